"""Which side binds, and what is owed and called then."""

from __future__ import annotations

import pandas as pd
import pytest

from engine.assess import assess
from engine.assessment import VENUE_FRAMES, Assessment
from engine.snapshot import PositionSet
from tests.worlds import small, venues

PERP, SOL = "binance:BTCUSDT", "binance:SOLUSDT"


def assessed(
    held: list[tuple[str, str, float]],
    rows: pd.DataFrame,
    *,
    collateral: float = 1e6,
    call_basis: str = "larger",
    reported: pd.DataFrame | None = None,
) -> Assessment:
    names = sorted({name for name, _, _ in held})
    return assess(
        small.snapshot(),
        venues.position_set(held, rows, reported=reported),
        small.collateral_set(*((name, "USD", collateral) for name in names)),
        venues.rules(*(small.agreement(name, call_basis=call_basis) for name in names)),
    )


def test_the_house_binds_where_it_requires_more() -> None:
    rows = venues.accounts(("A", "binance", "usdm_cross", 50.0))
    found = assessed([("A", PERP, 1.0)], rows).requirements.iloc[0]
    assert found["venue_initial_margin"] == pytest.approx(1_200.0)
    assert found["binding"] == "house"
    assert found["owed_amount"] == found["requirement_amount"]


def test_the_larger_side_is_owed_and_called() -> None:
    rows = venues.accounts(("A", "binance", "usdm_cross", 1.0))
    found = assessed([("A", PERP, 1.0)], rows, collateral=20_000.0).requirements.iloc[0]
    assert found["binding"] == "venue"
    assert found["owed"] == pytest.approx(60_000.0)
    assert found["requirement"] < 60_000.0
    assert (found["call_action"], float(found["call_amount"])) == ("call", 40_000.0)
    assert found["excess"] == pytest.approx(-40_000.0)


def test_an_agreement_may_keep_to_the_houses_margin() -> None:
    rows = venues.accounts(("A", "binance", "usdm_cross", 1.0))
    found = assessed(
        [("A", PERP, 1.0)], rows, collateral=20_000.0, call_basis="house"
    ).requirements.iloc[0]
    assert found["binding"] == "venue"
    assert found["owed_amount"] == found["requirement_amount"]


def test_an_unknown_demand_lowers_nothing_and_returns_nothing() -> None:
    rows = venues.accounts(("A", "binance", "usdm_cross"))
    house = assessed([("A", SOL, 1.0)], rows[:0]).requirements.iloc[0]
    found = assessed([("A", SOL, 1.0)], rows).requirements.iloc[0]
    assert found["binding"] == "unknown"
    assert found["requirement"] == house["requirement"] == found["owed"]
    assert house["call_action"] == "return"
    assert found["call_action"] == "blocked"
    kept = assessed([("A", SOL, 1.0)], rows, call_basis="house").requirements.iloc[0]
    assert kept["call_action"] == "return"


def test_a_part_that_is_larger_already_binds() -> None:
    rows = pd.concat(
        [
            venues.accounts(("A", "binance", "usdm_cross", 1.0)),
            venues.accounts(("A", "deribit", "")).assign(account_id="A-b"),
        ]
    )
    positions = venues.position_set([("A", PERP, 1.0)], rows)
    second = small.positions(("A", "deribit:BTC-PERPETUAL", 10.0)).assign(account_id="A-b")
    both = PositionSet(
        pd.concat([positions.positions, second], ignore_index=True), venues.no_orders(), rows
    )
    found = assess(
        small.snapshot(), both, small.collateral_set(("A", "USD", 1e6)),
        venues.rules(small.agreement("A")),
    ).requirements.iloc[0]  # fmt: skip
    assert found["n_venue_accounts_unknown"] == 1
    assert found["binding"] == "venue"


def test_a_report_stands_in_for_what_is_not_modelled() -> None:
    rows = venues.accounts(("A", "binance", ""))
    told = venues.reported(("A", "account", "USD", 70_000.0, 30_000.0, 1.0))
    found = assessed([("A", PERP, 1.0)], rows, reported=told).requirements.iloc[0]
    assert found["binding"] == "venue"
    assert found["owed"] == pytest.approx(70_000.0)


def test_shares_of_the_house_add_up_to_the_requirement() -> None:
    rows = venues.accounts(("A", "binance", "usdm_cross"), ("B", "deribit", "standard"))
    found = assessed(
        [("A", PERP, 1.0), ("A", "binance:ETHUSDT", -3.0), ("B", "deribit:BTC-PERPETUAL", 50.0)],
        rows,
    )
    shares = found.venue_margins.set_index("netting_set_id")["house_share"]
    requirement = found.requirements.set_index("netting_set_id")["requirement"]
    pd.testing.assert_series_equal(shares, requirement, check_names=False, rtol=1e-9)


def test_without_accounts_nothing_is_added_and_no_byte_moves() -> None:
    held = [("A", PERP, 1.0)]
    plain = small.position_set(*held)
    collateral, rules = small.collateral_set(("A", "USD", 1e6)), small.rules(small.agreement("A"))
    before = assess(small.snapshot(), plain, collateral, rules)
    after = assess(small.snapshot(), plain, collateral, venues.rules(small.agreement("A")))
    pd.testing.assert_frame_equal(before.requirements, after.requirements)
    assert not after.has_venues
    assert "binding" not in after.requirements
    assert all(getattr(after, name).empty for name in VENUE_FRAMES)
