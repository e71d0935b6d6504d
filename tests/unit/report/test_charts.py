"""Charts draw what they are given, say what they show, and draw nothing from nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from infra.report.charts.change import mover_chart, waterfall_chart
from infra.report.charts.clients import client_chart
from infra.report.charts.over_time import back_test_chart, back_test_svg, history_chart
from infra.report.charts.scenarios import scenario_chart
from infra.report.charts.style import Chart
from infra.report.charts.utilisation import call_region_chart, distribution_chart
from infra.report.document import Document, document
from tests.unit.report.builder import Size, build_inputs

_MAKERS: dict[str, Callable[[Document], Chart | None]] = {
    "clients": lambda d: client_chart(d.clients, "USD", on_page=False),
    "waterfall": lambda d: waterfall_chart(d.change, "USD", on_page=False) if d.change else None,
    "movers": lambda d: mover_chart(d.change, "USD", on_page=False) if d.change else None,
    "utilisation": lambda d: distribution_chart(d.netting_sets, on_page=False),
    "call-region": lambda d: call_region_chart(d.netting_sets, "USD", on_page=False),
    "scenarios": lambda d: scenario_chart(d.scenarios, "USD", on_page=False),
}


@pytest.mark.parametrize("name", sorted(_MAKERS))
def test_a_chart_as_a_file_is_well_formed_and_stands_alone(name: str, content: Document) -> None:
    chart = _MAKERS[name](content)
    assert chart is not None
    root = ElementTree.fromstring(chart.svg)
    assert root.attrib["aria-label"] == chart.summary
    assert "var(--" not in chart.svg
    assert "dc:date" not in chart.svg


@pytest.mark.parametrize("name", sorted(_MAKERS))
def test_a_chart_as_a_file_brings_its_own_background(name: str, content: Document) -> None:
    chart = _MAKERS[name](content)
    assert chart is not None
    # The first path is the whole sheet; readers with dark pages would see dark text on it.
    sheet = chart.svg[chart.svg.index("<path") :].split("/>", 1)[0]
    assert "fill: #" in sheet
    assert "opacity: 0" not in sheet


@pytest.mark.parametrize("name", sorted(_MAKERS))
def test_drawing_twice_gives_the_same_bytes(name: str, content: Document) -> None:
    assert _MAKERS[name](content) == _MAKERS[name](content)


@pytest.mark.parametrize("name", ["clients", "utilisation", "call-region", "scenarios"])
def test_nothing_is_drawn_when_nobody_owes_anything(name: str) -> None:
    content = document(build_inputs(Size(n_netting_sets=3, n_failed=3, n_held=0, n_breaks=0)))
    assert _MAKERS[name](content) is None


def test_one_netting_set_is_enough_for_every_chart() -> None:
    content = document(
        build_inputs(Size(n_netting_sets=1, n_failed=0, n_held=0, n_breaks=0), with_history=False)
    )
    for name in ("clients", "utilisation", "call-region", "scenarios"):
        assert _MAKERS[name](content) is not None


def test_many_netting_sets_are_drawn_as_density() -> None:
    content = document(build_inputs(Size(n_netting_sets=3100), with_history=False))
    chart = call_region_chart(content.netting_sets, "USD")
    assert chart is not None
    assert len(chart.svg) < 600_000


def test_the_summary_of_the_client_chart_names_the_largest(content: Document) -> None:
    chart = _MAKERS["clients"](content)
    assert chart is not None
    assert str(content.clients["client_id"].iat[0]) in chart.summary


def test_the_back_test_summary_counts_the_exceptions() -> None:
    days = pd.DataFrame(
        {
            "date": pd.date_range("2026-01-01", periods=4),
            "loss": [1.0, 5.0, -2.0, 0.5],
            "value_at_risk": [3.0, 3.0, 3.0, 3.0],
            "requirement": [4.0, 4.0, 4.0, 4.0],
            "exception": [False, True, False, False],
        }
    )
    chart = back_test_svg(days, "USD", 0.99)
    assert chart is not None
    assert "1 exceptions in 4 days" in chart.summary


def test_charts_for_a_readme_are_files(tmp_path: Path) -> None:
    inputs = build_inputs(Size())
    assert inputs.coverage is not None
    assert inputs.history is not None
    back_test_chart(inputs.coverage.days, tmp_path / "coverage.svg")
    history_chart(inputs.history, tmp_path / "history.svg")
    for name in ("coverage.svg", "history.svg"):
        assert ElementTree.parse(tmp_path / name).getroot().tag.endswith("svg")


@pytest.mark.parametrize("on_page", [True, False])
def test_what_the_process_has_set_changes_no_chart(on_page: bool) -> None:
    from matplotlib import rc_context

    def draw() -> str:
        return distribution_chart(drawn.netting_sets, on_page=on_page).svg

    drawn = document(build_inputs())
    plain = draw()
    with rc_context({"lines.linewidth": 9.0, "axes.linewidth": 4.0, "axes.xmargin": 0.4}):
        assert draw() == plain
