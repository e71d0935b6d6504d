"""Reports of venues against replicas: classes, and causes that were planted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine.snapshot import PositionSet
from engine.venue_accounts import VenueMargins, venue_margins
from tests.worlds import small, venues

PERP, ETH = "binance:BTCUSDT", "binance:ETHUSDT"
CALL, INVERSE = "deribit:BTC-26JUN26-60000-C", "deribit:BTC-PERPETUAL"
USDM = venues.accounts(("A", "binance", "usdm_cross", 20.0))
HELD = [("A", PERP, -2.0), ("A", ETH, 10.0)]


def replicated(
    reported: pd.DataFrame,
    held: list[tuple[str, str, float]] = HELD,
    rows: pd.DataFrame = USDM,
) -> VenueMargins:
    positions = venues.position_set(held, rows, reported=reported)
    return venue_margins(small.snapshot(), positions, small.collateral_set(), venues.rules())


def drift_of(initial: float, maintenance: float) -> pd.Series:
    told = venues.reported(("A", "USDT", "USDT", initial, maintenance, 1e5))
    found = replicated(told).drift
    assert len(found) == 1
    return found.iloc[0]


# Ours: 7,500 initial; 550 + 150 maintenance.
def test_equal_figures_are_exact() -> None:
    found = drift_of(7_500.0, 700.0 * (1.0 + 1e-12))
    assert (found["drift_class"], found["cause"]) == ("exact", "")


def test_seconds_between_snapshots_are_a_skew() -> None:
    found = drift_of(7_500.0 * 1.0001, 700.0 * 1.0001)
    assert found["drift_class"] == "snapshot_skew"
    assert found["relative_difference"] == pytest.approx(1e-4, rel=1e-3)


def test_a_newer_tier_table_shows_in_one_figure_alone() -> None:
    found = drift_of(7_500.0, 875.0)
    assert (found["drift_class"], found["cause"]) == ("model_only", "parameters")
    assert "binance/tiered/BTCUSDT" in found["detail"]


def test_a_position_that_the_venue_missed_is_named() -> None:
    found = drift_of(6_000.0 * 1.0001, 550.0 * 1.0001)
    assert (found["drift_class"], found["cause"]) == ("model_only", "missing_position")
    assert found["detail"].endswith(f"without {ETH}")


def test_what_the_venue_does_not_report_to_hold_is_found() -> None:
    positions = small.positions(*HELD, ("A", "binance:BTCUSDT-SPOT", 0.1))
    known = ~((positions["source"] == "venue") & (positions["instrument_id"] == PERP))
    told = venues.reported(("A", "USDT", "USDT", 1_500.0, 150.0, 1e5))
    found = venue_margins(
        small.snapshot(),
        PositionSet(positions[known], venues.no_orders(), USDM, told),
        small.collateral_set(),
        venues.rules(),
    ).drift.iloc[0]
    assert found["cause"] == "missing_position"
    assert "what the venue does not report to hold" in found["detail"]


def test_a_bucket_of_which_the_venue_missed_everything_is_a_missing_position() -> None:
    told = venues.reported(("A", "USDT", "USDT", 0.0, 0.0, 1e5))
    found = replicated(told, [("A", PERP, -2.0)]).drift.iloc[0]
    assert (found["relative_difference"], found["cause"]) == (-1.0, "missing_position")
    assert found["detail"].endswith(f"without {PERP}")


def test_a_move_of_prices_is_likelier_than_a_position_as_small_as_it() -> None:
    held = [("A", PERP, -2.0), ("A", ETH, 0.02)]
    ours = replicated(venues.reported(), held).buckets.iloc[0]
    initial, maintenance = ours["initial_margin"], ours["maintenance_margin"]
    factor = 1.0 - 4e-4
    told = venues.reported(("A", "USDT", "USDT", initial * factor, maintenance * factor, 1e5))
    found = replicated(told, held).drift.iloc[0]
    assert (found["drift_class"], found["cause"]) == ("model_only", "snapshot_skew")


def test_a_small_move_of_prices_explains_a_margin_that_moves_faster() -> None:
    rows = venues.accounts(("B", "deribit", "segregated_portfolio"))
    held = [("B", CALL, -5.0), ("B", INVERSE, 13_000.0)]
    ours = replicated(venues.reported(), held, rows).buckets.iloc[0]
    market = small.snapshot()
    marks, index = market.marks.copy(), market.index_prices.copy()
    is_option = marks["instrument_id"].str.endswith(("-C", "-P"))
    marks.loc[~is_option, "mark_price"] *= 1.0004
    marks["forward_price"] *= 1.0004
    index["index_price"] *= 1.0004
    moved = small.snapshot(marks=marks, index_prices=index)
    theirs = venue_margins(
        moved, venues.position_set(held, rows), small.collateral_set(), venues.rules()
    ).buckets.iloc[0]
    figures = theirs["initial_margin"], theirs["maintenance_margin"]
    assert abs(figures[0] / ours["initial_margin"] - 1.0) > 2e-4
    told = venues.reported(("B", "BTC", "BTC", *figures, 10.0))
    found = replicated(told, held, rows).drift.iloc[0]
    assert (found["drift_class"], found["cause"]) == ("model_only", "snapshot_skew")
    assert found["detail"] == "prices 0.0400% higher"


def test_what_nothing_explains_is_unknown() -> None:
    found = drift_of(9_000.0, 800.0)
    assert (found["drift_class"], found["cause"]) == ("model_only", "unknown")


def test_one_bucket_off_while_the_others_agree_is_a_parameter() -> None:
    rows = venues.accounts(("B", "deribit", "standard"))
    held = [("B", INVERSE, 6_000.0), ("B", CALL, -5.0)]
    ours = replicated(venues.reported(), held, rows).buckets.iloc[0]
    told = venues.reported(
        ("B", "BTC", "BTC", 1.1 * ours["initial_margin"], 1.3 * ours["maintenance_margin"], 9.0),
        ("B", "USDC", "USDC", 0.0, 0.0, 0.0),
    )
    found = replicated(told, held, rows).drift.set_index("bucket")
    assert found.loc["USDC", "drift_class"] == "exact"
    assert found.loc["BTC", "cause"] == "parameters"


def test_accounts_without_report_or_replica_say_so() -> None:
    rows = venues.accounts(("A", "binance", "usdm_cross"), ("B", "deribit", ""))
    held = [("A", PERP, 1.0), ("B", INVERSE, 10.0)]
    told = venues.reported(("B", "BTC", "BTC", 0.01, 0.01, 0.1))
    found = replicated(told, held, rows).drift.set_index("account_id")
    assert found.loc["A-a", "drift_class"] == "unreported"
    assert found.loc["B-a", "drift_class"] == "unmodelled"
    assert found["relative_difference"].isna().all()


def test_a_report_in_another_currency_is_converted() -> None:
    told = venues.reported(("A", "USDT", "BTC", 7_500.0 / 60_000.0, 700.0 / 60_000.0, 1.0))
    found = replicated(told).drift.iloc[0]
    assert found["currency"] == "BTC"
    assert found["drift_class"] == "exact"
    assert found["initial_margin"] == pytest.approx(0.125)


def test_an_account_that_is_empty_on_both_sides_has_no_drift() -> None:
    rows = venues.accounts(("A", "binance", "usdm_cross"), ("F", "binance", "usdm_cross"))
    found = replicated(venues.reported(), [("A", PERP, 1.0)], rows).drift
    assert found["account_id"].tolist() == ["A-a"]
    assert not np.isfinite(found["difference"]).any()
