"""The terminal says who owes what and what to do next, at any width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from infra.report.document import document
from infra.report.inputs import ReportInputs
from infra.report.terminal import next_action, owes_table
from tests.unit.report.builder import Size, build_inputs


def shown(renderable: RenderableType, width: int) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


@pytest.mark.parametrize("width", [80, 100, 118, 160])
def test_nothing_is_cut_off_at_any_usual_width(inputs: ReportInputs, width: int) -> None:
    text = shown(owes_table(inputs.assessment), width)
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width


def test_components_appear_where_there_is_room(inputs: ReportInputs) -> None:
    assert "Liq." not in shown(owes_table(inputs.assessment), 100)
    assert "Liq." in shown(owes_table(inputs.assessment), 140)


def test_a_failure_is_named_however_small_the_client(inputs: ReportInputs) -> None:
    text = shown(owes_table(inputs.assessment, top=2), 160)
    assert "1 failed" in text
    assert "mend ns-00002" in text
    assert "others" in text


def test_amounts_over_currencies_are_totals_in_dollars() -> None:
    inputs = build_inputs(Size(currencies=("USD", "EUR")))
    text = shown(owes_table(inputs.assessment, usd_rates=inputs.usd_rates), 160)
    assert "What each client owes, USD" in text


def test_the_next_action_follows_the_most_urgent_fact() -> None:
    sets = document(build_inputs(Size())).netting_sets
    by_name = {
        name: next_action(sets[sets["netting_set_id"] == name]) for name in sets["netting_set_id"]
    }
    assert by_name["ns-00002"] == "mend ns-00002"
    assert by_name["ns-00000"] == "refresh inputs of ns-00000"
    assert by_name["ns-00059"].startswith("call ")
