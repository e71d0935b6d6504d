"""Accounts whose rates go by the open interest of the market: by hand, and strict without it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine.margin.tiered import NotionalTiers, Tier
from engine.venue_accounts import VenueMargins, venue_margins
from engine.venue_rules import venue_rules
from tests.worlds import clearing, small, venues
from tests.worlds.clearing import BTC, SOL

ACCOUNT = venues.accounts(("A", "dydx", "cross"))


def margins_of(*held: tuple[str, str, float], open_interest: float = np.nan) -> VenueMargins:
    positions = venues.position_set(list(held), ACCOUNT)
    market = clearing.snapshot(open_interest)
    return venue_margins(market, positions, small.collateral_set(), clearing.rules())


def only(found: VenueMargins) -> pd.Series:
    assert len(found.margins) == 1
    return found.margins.iloc[0]


def test_the_rate_rises_with_the_market() -> None:
    found = only(margins_of(("A", SOL, -1_000.0), open_interest=clearing.OPEN_INTEREST))
    # A third of the way: 5 % + 95 % / 3, rounded down to a millionth.
    assert found["initial_margin"] == pytest.approx(150_000 * 0.366666, rel=1e-12)
    assert found["maintenance_margin"] == pytest.approx(150_000 * 0.03, rel=1e-12)
    assert found["note"] == ""


def test_without_open_interest_the_rate_is_one_and_the_account_says_so() -> None:
    found = margins_of(("A", SOL, -1_000.0), ("A", BTC, 1.0))
    account = only(found)
    assert account["status"] == "assessed"
    assert account["initial_margin"] == pytest.approx(150_000 + 60_000 * 0.02, rel=1e-12)
    assert account["maintenance_margin"] == pytest.approx(150_000 * 0.03 + 720, rel=1e-12)
    note = "open interest of dydx:SOL-USD is not known: initial margin is its whole notional"
    assert account["note"] == note
    by_name = found.components.set_index("component")["note"]
    assert by_name[SOL] == note
    # A market whose caps are equal does not depend on it.
    assert by_name[BTC] == ""


def test_a_venue_without_options_margins_none() -> None:
    instruments = clearing.instruments()
    is_call = instruments["instrument_id"] == clearing.CALL
    moved = instruments.assign(venue=instruments["venue"].mask(is_call, "dydx"))
    market = small.snapshot(instruments=moved, marks=clearing.marks())
    positions = venues.position_set([("A", clearing.CALL, 1.0)], ACCOUNT)
    found = only(venue_margins(market, positions, small.collateral_set(), clearing.rules()))
    assert found["status"] == "failed"
    assert found["reason"] == f"{clearing.CALL}: dydx/cross margins no option"


def test_a_position_above_the_largest_that_is_admitted_is_said_so() -> None:
    tier = Tier(notional_floor=0.0, maintenance_margin_rate=0.01, initial_margin_rate=0.02)
    capped = NotionalTiers(tiers=(tier,), notional_max=100_000.0, rate_applies="whole")
    sets = [*clearing.sets(), *venues.sets()]
    kept = [each for each in sets if each.scope != "SOL-USD"]
    book = venue_rules([*kept, venues.parameter_set("dydx", "tiered", "SOL-USD", capped)])
    positions = venues.position_set([("A", SOL, -1_000.0)], ACCOUNT)
    found = only(
        venue_margins(
            clearing.snapshot(), positions, small.collateral_set(), venues.rules(venues=book)
        )
    )
    assert found["initial_margin"] == pytest.approx(3_000.0)
    assert found["note"] == (
        "dydx:SOL-USD is 150,000, above the 100,000 that dydx/tiered/SOL-USD admits: the last "
        "tier's rates"
    )


def test_a_drift_of_parameters_says_what_ours_assumes() -> None:
    told = venues.reported(("A", "account", "USD", 60_000.0, 4_500.0, 1e6))
    positions = venues.position_set([("A", SOL, -1_000.0)], ACCOUNT, reported=told)
    market = clearing.snapshot(np.nan)
    found = venue_margins(market, positions, small.collateral_set(), clearing.rules())
    (row,) = found.drift.to_dict("records")
    assert row["cause"] == "parameters"
    assert "; ours assumes: open interest of dydx:SOL-USD is not known" in row["detail"]
    known = venue_margins(clearing.snapshot(), positions, small.collateral_set(), clearing.rules())
    assert "assumes" not in known.drift["detail"].iloc[0]
