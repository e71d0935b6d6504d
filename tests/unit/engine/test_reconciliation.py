"""Three-way reconciliation: classes, owners, tolerance, and what still counts."""

from __future__ import annotations

import pandas as pd
import pytest

from engine.reconciliation import close, reconcile, reporting_quantities
from tests.worlds import small

PERP = "binance:BTCUSDT"


def with_quantity(source: str, quantity: float | None) -> pd.DataFrame:
    """Return one agreed position of 5 contracts, changed (or dropped) at one source."""
    rows = small.positions(("A", PERP, 5.0))
    if quantity is None:
        return rows[rows["source"] != source]
    rows.loc[rows["source"] == source, "quantity"] = quantity
    return rows


def breaks_of(rows: pd.DataFrame) -> pd.DataFrame:
    # Another netting set keeps every source reporting.
    others = small.positions(("B", PERP, 1.0))
    holdings = small.collateral_set(("A", "USD", 1.0)).holdings
    return reconcile(pd.concat([rows, others]), holdings).breaks


def test_agreeing_sources_have_no_break() -> None:
    assert breaks_of(small.positions(("A", PERP, 5.0))).empty


def test_difference_inside_binary_noise_is_no_break() -> None:
    assert breaks_of(with_quantity("venue", 5.0 + 1e-12)).empty


def test_missing_position_names_the_source_and_its_owner() -> None:
    found = breaks_of(with_quantity("clearing", None))
    assert found["kind"].tolist() == ["missing_at_clearing"]
    assert found["owner"].tolist() == ["clearing operations"]
    assert found["difference"].tolist() == [5.0]


def test_opposite_sign_is_its_own_class() -> None:
    assert breaks_of(with_quantity("oms", -5.0))["kind"].tolist() == ["sign"]


def test_lone_quantity_is_attributed_to_its_source() -> None:
    assert breaks_of(with_quantity("venue", 6.0))["kind"].tolist() == ["quantity_venue"]


def test_three_different_quantities_belong_to_the_middle_office() -> None:
    rows = with_quantity("venue", 6.0)
    rows.loc[rows["source"] == "clearing", "quantity"] = 7.0
    assert breaks_of(rows)["owner"].tolist() == ["middle office"]


def test_wrong_account_is_a_break_but_not_a_different_book() -> None:
    rows = small.positions(("A", PERP, 5.0), ("B", PERP, 1.0))
    moved = (rows["netting_set_id"] == "A") & (rows["source"] == "oms")
    rows.loc[moved, "account_id"] = "A-other"
    found = reconcile(rows, small.collateral_set(("A", "USD", 1.0)).holdings)
    assert found.breaks["kind"].tolist() == ["account", "account"]
    assert not found.broken_netting_sets


def test_break_keeps_its_identifier_while_its_size_changes() -> None:
    first = breaks_of(with_quantity("venue", 6.0))["break_id"].tolist()
    second = breaks_of(with_quantity("venue", 9.0))["break_id"].tolist()
    assert first == second


def test_collateral_counts_at_the_smallest_confirmed_quantity() -> None:
    holdings = small.collateral_set(("A", "BTC", 3.0)).holdings
    holdings.loc[holdings["source"] == "clearing", "quantity"] = 2.0
    found = reconcile(small.positions(("A", PERP, 1.0)), holdings)
    assert found.collateral["quantity"].tolist() == [2.0]
    assert found.breaks["kind"].tolist() == ["balance"]


def test_source_that_reports_nothing_at_all_is_not_compared() -> None:
    rows = small.positions(("A", PERP, 5.0), sources=("oms", "venue"))
    holdings = small.collateral_set(("A", "USD", 1.0), sources=("venue",)).holdings
    assert reconcile(rows, holdings).breaks.empty


def test_rows_that_repeat_a_key_add_up() -> None:
    rows = small.positions(("B", PERP, 1.0), ("A", PERP, 5.0))
    twice = pd.concat([rows, rows[rows["netting_set_id"] == "A"]], ignore_index=True)
    found = reporting_quantities(twice, ["netting_set_id", "instrument_id"])
    assert found.index.tolist() == [("A", PERP), ("B", PERP)]
    assert found.to_numpy().tolist() == [[10.0] * 3, [1.0] * 3]


def test_keys_in_any_number_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = small.positions(("B", PERP, 1.0), ("A", PERP, 5.0), ("C", PERP, 2.0))
    keys = ["netting_set_id", "account_id", "instrument_id"]
    expected = reporting_quantities(rows, keys)
    monkeypatch.setattr(close, "_NUMBERS_MAX", 2)
    pd.testing.assert_frame_equal(reporting_quantities(rows, keys), expected)
