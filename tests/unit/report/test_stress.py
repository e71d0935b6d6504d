"""The stress grid in words and tables, and what is shown where the rules have none."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from engine.assess import assess
from engine.assessment import Assessment
from engine.rules import RuleBook
from infra.report.components import exact_parts
from infra.report.explain import explain_json, explanation
from infra.report.netting_sets import netting_set_table
from infra.report.parameters import parameter_table
from infra.report.reporting import reporting_currency
from infra.report.stress import cell_text, role_text, stress_grid_table
from tests.worlds import small

PERP, ETH = "binance:BTCUSDT", "binance:ETHUSDT"
CALL, PUT = "deribit:BTC-26JUN26-60000-C", "deribit:BTC-26JUN26-60000-P"
REPORTING = reporting_currency(["USD"], {})


@cache
def close(kind: str = "beside") -> tuple[Assessment, RuleBook]:
    book = small.rules(small.agreement("A"), small.agreement("B"))
    grid = book.house.stress_grid
    assert grid is not None
    chosen = {"beside": grid, "floor": replace(grid, binds=True), "none": None}[kind]
    book = replace(book, house=replace(book.house, stress_grid=chosen))
    held = small.position_set(
        ("A", CALL, -3.0), ("A", PUT, -3.0), ("A", ETH, -2.0), ("B", PERP, 0.1)
    )
    return assess(small.snapshot(), held, small.collateral_set(), book), book


def table_of(kind: str = "beside"):
    found, _ = close(kind)
    sets = netting_set_table(found.requirements, None, REPORTING)
    return stress_grid_table(found, sets, REPORTING)


def test_the_largest_loss_comes_first_with_its_worst_cell() -> None:
    table = table_of()
    assert table["netting_set_id"].tolist() == ["A", "B"]
    assert table["n_underlyings"].tolist() == [2, 1]
    assert table["worst_cell"].iloc[0].startswith("BTC ")
    assert table["worst_cell"].iloc[1] == "BTC \N{MINUS SIGN}25\N{NO-BREAK SPACE}%"
    assert (table["floor_reported"] == 0.0).all()
    shares = table["stress_grid_reported"] / table["requirement_reported"].astype(float)
    # The requirement that is reported is rounded up to the cent.
    assert table["to_requirement"].tolist() == pytest.approx(shares.tolist(), rel=1e-5)


def test_a_floor_is_a_part_of_the_requirement_like_any_other() -> None:
    found, book = close("floor")
    parts = exact_parts(found.requirements)
    assert float(parts["stress_grid_floor"].iloc[0]) > 0.0
    shown = explanation(found, small.snapshot(), book, "A")
    assert "Stress floor" in [label for label, _, amount in shown.parts if amount]
    assert shown.stress_grid_role == "the floor of core and anti-procyclicality"
    assert (table_of("floor")["floor_reported"] > 0.0).any()


def test_an_explanation_names_the_worst_cell_of_every_underlying() -> None:
    found, book = close()
    told = explain_json(found, small.snapshot(), book, "A")
    cells = told["stress_cells"]
    assert isinstance(cells, list) and len(cells) == 2
    assert told["stress_grid_margin"] == found.requirements["stress_grid_margin"].iloc[0]
    assert told["stress_grid_role"] == role_text(book.house)
    assert "not charged" in role_text(book.house)


def test_without_a_grid_nothing_is_shown_of_it() -> None:
    found, book = close("none")
    assert table_of("none").empty
    shown = explanation(found, small.snapshot(), book, "A")
    assert shown.stress_cells.empty
    assert explain_json(found, small.snapshot(), book, "A")["stress_grid_margin"] is None
    assert "stress_grid" not in set(parameter_table(book.house)["section"])
    # A floor that the rules do not know is a part of nothing.
    assert not exact_parts(found.requirements)["stress_grid_floor"].iloc[0]


def test_parameters_of_each_class_are_spelled_key_by_key() -> None:
    _, book = close()
    table = parameter_table(book.house)
    keys = table.loc[table["section"] == "stress_grid", "key"].tolist()
    assert keys[0] == "binds"
    assert {"major.price_shocks", "minor.volatility_min", "pegged.price_shocks"} <= set(keys)
    assert not table["value"].str.contains("StressCells").any()


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (("BTC", -0.25, "unchanged", 1.0), "BTC −25 %"),
        (("BTC", 0.0, "up", 1.0), "BTC 0 %, volatility up"),
        (("SOL", 2.0, "up", 0.154), "SOL +200 %, volatility up, counts 15 %"),
        (("USDC", -0.125, "unchanged", 1.0), "USDC −12.5 %"),
    ],
)
def test_a_cell_in_words(cell: tuple[str, float, str, float], words: str) -> None:
    assert cell_text(*cell).replace("\N{NO-BREAK SPACE}", " ") == words
