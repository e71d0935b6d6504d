"""All conformance vectors, where their folder stands beside the project."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.compute import CALCULATION_NAMES, answer_line
from infra.compute.description import describe
from tests.vectors.agreement import differences

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "vectors"
FIELD_ROW = re.compile(r"\| `([\w.\[\]<>]+)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$")


@pytest.fixture(scope="module")
def folder() -> Path:
    if not FOLDER.is_dir():
        pytest.skip(f"conformance vectors are not at {FOLDER}")
    return FOLDER


def cases_of(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


@pytest.mark.parametrize("calculation", CALCULATION_NAMES)
def test_every_vector_is_met(folder: Path, calculation: str) -> None:
    failures = []
    for case in cases_of(folder / f"{calculation}.jsonl"):
        request = {key: case[key] for key in ("id", "calculation", "inputs")}
        answer = json.loads(answer_line(json.dumps(request)))
        expected = case["expected"]
        if "error" in expected:
            found = (
                [] if answer.get("error", {}).get("type") == expected["error"]["type"] else [answer]
            )
        else:
            found = differences(expected, answer.get("outputs", answer), case["tolerance"])
        failures += [f"{case['id']}: {each}" for each in found]
    assert failures == []


@pytest.mark.parametrize("calculation", CALCULATION_NAMES)
def test_declared_fields_are_the_documented_ones(folder: Path, calculation: str) -> None:
    section = re.split(r"^## ", (folder / "README.md").read_text(encoding="utf-8"), flags=re.M)
    text = next(part for part in section if part.startswith(f"{calculation}\n"))
    rows = (FIELD_ROW.match(line) for line in text.splitlines())
    documented = [
        tuple(cell.strip().replace("`", "") for cell in row.groups()) for row in rows if row
    ]
    described = next(each for each in describe() if each.name == calculation)
    declared = [
        (field.name, field.type_name, field.default, field.limits, field.meaning)
        for field in described.fields
    ]
    assert declared == documented


def test_checker_of_the_vectors_agrees_with_the_command(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(folder / "check.py"), "--command",
         f"{sys.executable} -m infra.compute", "--only", "margin_call", "collateral_value"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
