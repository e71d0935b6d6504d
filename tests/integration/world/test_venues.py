"""The book's accounts and what simulated venues report, against the engine's replica."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from data_contracts.registry import contract
from data_contracts.validation import Judge, faults, validate
from engine.ids import SnapshotId
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from engine.times import close_of
from engine.venue_accounts import VenueMargins, venue_margins
from infra.rules import DEFAULT_PARAMETERS, agreements_from, read_house_parameters, rule_book
from infra.simulator.world.venue_rules import modes_of, shipped_rules, surprises
from tests.integration.world.conftest import SMALL, BuiltWorld

MARKET = (
    "instruments", "marks", "index_prices", "fx_rates", "funding", "liquidity", "price_history",
    "volatility_history", "basis_history",
)  # fmt: skip
HELD = (
    "positions", "open_orders", "accounts", "venue_margin", "collateral", "agreements",
)  # fmt: skip


@pytest.fixture(scope="module")
def replica(small_world: BuiltWorld) -> VenueMargins:
    day: date = SMALL.last_business_date
    found = {
        name: validate(contract(name), small_world.frame(name), day, Judge.MASKS)
        for name in (*MARKET, *HELD)
    }
    rows = {name: outcome.accepted for name, outcome in found.items()}
    snapshot = Snapshot(
        snapshot_id=SnapshotId("world"),
        business_date=day,
        as_of=close_of(day),
        faults=pd.concat([faults(contract(name), found[name], day) for name in found]),
        **{name: rows[name] for name in MARKET},
    )
    house, text = read_house_parameters(DEFAULT_PARAMETERS, day)
    rules = rule_book(house, text, agreements_from(rows["agreements"]), shipped_rules(day))
    held = (rows[name] for name in ("positions", "open_orders", "accounts", "venue_margin"))
    return venue_margins(snapshot, PositionSet(*held), CollateralSet(rows["collateral"]), rules)


def test_every_account_of_the_book_has_a_row(small_world: BuiltWorld) -> None:
    accounts = small_world.frame("accounts")
    for name in ("positions", "open_orders"):
        assert set(small_world.frame(name)["account_id"]) <= set(accounts["account_id"])
    known = modes_of(shipped_rules(SMALL.business_dates[0]))
    named = accounts.dropna(subset="account_mode")
    assert len(named) > 0.9 * len(accounts)
    assert all(
        mode in known[venue]
        for venue, mode in zip(named["venue"], named["account_mode"], strict=True)
    )


def test_accounts_with_a_mode_are_assessed(replica: VenueMargins) -> None:
    margins = replica.margins
    assert (margins.loc[margins["account_mode"] != "", "status"] == "assessed").all()
    assert margins["demand"].notna().mean() > 0.95


def test_two_arithmetics_of_the_same_rules_agree_where_prices_are_the_same(
    replica: VenueMargins,
) -> None:
    # The simulated OKX reports at the prices of the close.
    drift = replica.drift[replica.drift["venue"] == "okx"]
    compared = drift[drift["drift_class"].isin(["exact", "snapshot_skew", "model_only"])]
    assert len(compared) > 20
    on_break = compared["cause"] == "missing_position"
    assert (compared.loc[~on_break, "drift_class"] == "exact").all()


def test_clearing_and_open_interest_accounts_agree_with_their_venues_arithmetic(
    replica: VenueMargins,
) -> None:
    drift = replica.drift[replica.drift["venue"].isin(["cme", "dydx"])]
    assert set(drift["venue"]) == {"cme", "dydx"}
    assert (drift["drift_class"] == "exact").all()
    assert (drift["initial_margin"] > drift["maintenance_margin"]).all()
    names = replica.components["parameters"]
    assert names.str.startswith("cme/span/").any()
    assert names.str.startswith("dydx/tiered/").any()


def test_all_drift_is_explained(replica: VenueMargins) -> None:
    beyond = replica.drift[replica.drift["drift_class"] == "model_only"]
    assert "unknown" not in set(beyond["cause"])
    assert {"snapshot_skew", "exact", "unreported"} <= set(replica.drift["drift_class"])


def test_the_planted_surprises_are_found_and_named(
    small_world: BuiltWorld, replica: VenueMargins
) -> None:
    positions = small_world.last("positions")
    in_force = small_world.frame("accounts").drop_duplicates("account_id", keep="last")
    modes = modes_of(shipped_rules(SMALL.last_business_date))
    newer, (forgetful, instrument) = surprises(positions, in_force, modes)
    drift = replica.drift.set_index("account_id")
    reported = set(replica.drift.dropna(subset="reported_initial_margin")["account_id"])
    if newer in reported:
        assert "parameters" in set(drift.loc[[newer], "cause"])
    if forgetful in reported:
        details = " ".join(drift.loc[[forgetful], "detail"])
        assert f"without {instrument}" in details
    assert {newer, forgetful} & reported


def test_collateral_covers_what_venues_demand_for_most(small_world: BuiltWorld) -> None:
    bases = small_world.frame("agreements")["call_basis"]
    assert set(bases) == {"larger", "house"}
    assert (bases == "house").mean() < 0.2
