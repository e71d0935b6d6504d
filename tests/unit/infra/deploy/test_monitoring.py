"""Alert rules and dashboard rest on figures that are exported, and parse as PromQL."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from infra.intraday.metrics import LoopMetrics
from tests.unit.infra.deploy.files import DEPLOY, ROOT, RUNBOOK

RULES = DEPLOY / "prometheus" / "rules.yaml"
DASHBOARD = DEPLOY / "grafana" / "dashboard.json"


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m")


def exported() -> set[str]:
    """Return the names of all series: of the web server by its source, of the loop by itself."""
    source = (ROOT / "infra/web/metrics.py").read_text(encoding="utf-8")
    names = {f"plimsoll_{name}" for name in re.findall(r'_(?:gauge|one)\(\s*"([a-z_]+)"', source)}
    text = LoopMetrics().text().decode()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M):
        names |= {name} if kind != "histogram" else {f"{name}_bucket", f"{name}_sum"}
    return names


def selected(expression: str) -> set[str]:
    """Return the names of series that an expression reads."""
    promql_parser.parse(expression)
    return set(re.findall(r"\b(plimsoll_[a-z_]+)\b", expression))


def test_every_expression_parses_and_reads_what_is_exported() -> None:
    known = exported()
    assert len(known) > 30
    read: set[str] = set()
    for title, expression in expressions():
        names = selected(expression)
        assert names <= known, f"{title}: {sorted(names - known)} is exported by nobody"
        read |= names
    assert len(read) > 25


def test_every_rule_says_how_grave_it_is_and_what_to_do() -> None:
    headings = set(re.findall(r"^## ([a-z-]+)$", RUNBOOK.read_text(encoding="utf-8"), re.M))
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) > 20
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["runbook"] in headings, rule["alert"]


def test_panels_have_names_of_their_own_and_lie_side_by_side() -> None:
    found = panels()
    assert len({panel["id"] for panel in found}) == len(found)
    cells: set[tuple[int, int]] = set()
    for panel in found:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        covered = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not covered & cells, f"{panel['title']} lies on another panel"
        cells |= covered


def test_prometheus_takes_the_rules_and_they_fire_when_they_should() -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")
    for arguments in (
        ["check", "rules", "rules.yaml"],
        ["test", "rules", "rules.test.yaml"],
        ["check", "config", "--syntax-only", "prometheus.yaml"],
    ):
        done = subprocess.run([tool, *arguments], cwd=RULES.parent, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_rules_under_test_are_rules_that_there_are() -> None:
    tests = yaml.safe_load((RULES.parent / "rules.test.yaml").read_text(encoding="utf-8"))
    names = {rule["alert"] for rule in rules()}
    for test in tests["tests"]:
        for case in test["alert_rule_test"]:
            assert case["alertname"] in names
    assert Path(RULES.parent / tests["rule_files"][0]).exists()
