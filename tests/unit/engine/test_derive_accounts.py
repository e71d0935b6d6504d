"""Accounts at Derive: figures of the models, orders, refusals, explanations."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from engine.snapshot import CollateralSet
from engine.venue_accounts import VenueMargins, venue_margins
from engine.venue_rules import VenueRules
from tests.worlds import derive, small, venues
from tests.worlds.derive_models import (
    model_portfolio,
    model_standard,
    portfolio_rules,
    with_set,
)

BOOK = (
    (derive.PERP, 2.0),
    (derive.CALL, -3.0),
    (derive.HIGH_CALL, 1.0),
    (derive.NEAR_CALL, -1.0),
    (derive.LOW_PUT, 5.0),
)
P, S = derive.accounts(("P", "portfolio")), derive.accounts(("S", "standard"))


def margins_of(
    held: list[tuple[str, str, float]], rows: pd.DataFrame, **options: object
) -> VenueMargins:
    snapshot = options.pop("snapshot", derive.snapshot())
    rules = options.pop("rules", derive.rules())
    collateral = options.pop("collateral", small.collateral_set())
    positions = venues.position_set(held, rows, **options)  # type: ignore[arg-type]
    # Settled at the marks of the close: nothing is gained yet.
    table = derive.instruments()
    marks = small.marks(table).set_index("instrument_id")["mark_price"]
    settled = positions.positions["instrument_id"].map(marks).fillna(1.0)
    positions = replace(positions, positions=positions.positions.assign(settled_price=settled))
    return venue_margins(snapshot, positions, collateral, rules)  # type: ignore[arg-type]


def only(found: VenueMargins) -> pd.Series:
    assert len(found.margins) == 1
    return found.margins.iloc[0]


def held_by(owner: str, book: tuple[tuple[str, float], ...] = BOOK) -> list[tuple[str, str, float]]:
    return [(owner, name, quantity) for name, quantity in book]


def at_venue(owner: str, asset: str, quantity: float) -> CollateralSet:
    found = small.collateral_set((owner, asset, quantity))
    return replace(found, holdings=found.holdings.assign(location=f"{owner}-a"))


def test_portfolio_account_has_the_margin_of_the_model() -> None:
    found, model = only(margins_of(held_by("P"), P)), model_portfolio(BOOK)
    assert found["status"] == "assessed"
    assert found["initial_margin"] == pytest.approx(model.initial_margin, rel=1e-12)
    assert found["maintenance_margin"] == pytest.approx(model.maintenance_margin, rel=1e-12)
    # Discounts of the set are not as the deployment states them.
    assert found["evidence"] == "inferred"


def test_a_perpetual_alone_by_hand() -> None:
    found = only(margins_of([("P", derive.PERP, -2.0)], P))
    # 18 % of 120,000; 3 % and 1 % on top; 0.8 of the loss for maintenance.
    assert found["initial_margin"] == pytest.approx(21_600.0 + 4_800.0, rel=1e-12)
    assert found["maintenance_margin"] == pytest.approx(0.8 * 21_600.0 + 3_600.0, rel=1e-12)


def test_standard_account_has_the_margin_of_the_model() -> None:
    found, (initial, maintenance) = only(margins_of(held_by("S"), S)), model_standard(BOOK)
    assert found["initial_margin"] == pytest.approx(initial, rel=1e-12)
    assert found["maintenance_margin"] == pytest.approx(maintenance, rel=1e-12)
    assert found["evidence"] == "documented"


def test_a_spread_of_calls_needs_no_more_than_its_worst_payoff() -> None:
    spread = [("S", derive.CALL, -1.0), ("S", derive.HIGH_CALL, 1.0)]
    found = margins_of(spread, S)
    assert only(found)["initial_margin"] == pytest.approx(12_000.0, rel=1e-12)
    assert found.components["worst_cell"].tolist() == ["worst payoff at expiry"]
    assert found.components["component"].tolist() == ["BTC options 2026-06-26 08:00"]


def test_each_underlying_of_a_portfolio_account_is_a_bucket() -> None:
    found = margins_of([*held_by("P"), ("P", derive.ETH_PERP, -10.0)], P)
    assert found.buckets["bucket"].tolist() == ["BTC", "ETH"]
    assert found.buckets["initial_margin"].tolist() == pytest.approx(
        [model_portfolio(BOOK).initial_margin, 0.22 * 30_000.0], rel=1e-12
    )


def test_coins_held_as_spot_offset_a_short_perpetual() -> None:
    hedged = ((derive.PERP, -1.0), (derive.SPOT, 1.0))
    found = only(margins_of(held_by("P", hedged), P))
    assert found["initial_margin"] == pytest.approx(0.04 * 60_000.0, rel=1e-12)
    assert found["initial_margin"] == pytest.approx(model_portfolio(hedged).initial_margin)


def test_equity_counts_options_under_the_portfolio_manager_alone() -> None:
    held = [("P", derive.CALL, 2.0)]
    both = pd.concat([P, derive.accounts(("Q", "standard"))], ignore_index=True)
    one, other = at_venue("P", "USDC", 1_000.0), at_venue("Q", "USDC", 1_000.0)
    pledged = CollateralSet(pd.concat([one.holdings, other.holdings], ignore_index=True))
    found = margins_of([*held, ("Q", derive.CALL, 2.0)], both, collateral=pledged).margins
    equity = found.set_index("netting_set_id")["equity"]
    assert equity["P"] == pytest.approx(1_000.0 + 2.0 * 6_000.0)
    assert equity["Q"] == pytest.approx(1_000.0)


def test_coins_count_after_the_collateral_rate() -> None:
    found = margins_of([("S", derive.PERP, 1.0)], S, collateral=at_venue("S", "BTC", 1.0))
    margin = only(found)
    assert margin["equity"] == pytest.approx(0.75 * 0.93 * 60_000.0)
    assert margin["margin_ratio"] == pytest.approx(0.75 * 0.93 / 0.067)
    assert margin["ratio_kind"] == "adjusted_equity"


@pytest.mark.parametrize("quantity", [1.0, -1.0])
def test_equity_meets_maintenance_margin_at_the_liquidation_price(quantity: float) -> None:
    held = [("S", derive.PERP, quantity), ("S", derive.NEAR_CALL, -0.1)]
    pledged = at_venue("S", "USDC", 12_000.0)
    found = margins_of(held, S, collateral=pledged)
    rows = found.positions.set_index("instrument_id")
    price = float(rows.loc[derive.PERP, "liquidation_price"])
    assert (price < 60_000.0) is (quantity > 0.0)
    assert np.isnan(rows.loc[derive.NEAR_CALL, "liquidation_price"])
    market = derive.snapshot()
    marks = market.marks.copy()
    marks.loc[marks["instrument_id"] == derive.PERP, "mark_price"] = price
    moved = only(margins_of(held, S, collateral=pledged, snapshot=replace(market, marks=marks)))
    assert moved["margin_ratio"] == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize(("owner", "mode"), [("P", "portfolio"), ("S", "standard")])
def test_open_orders_count_on_the_worse_side(owner: str, mode: str) -> None:
    rows = derive.accounts((owner, mode))
    orders = venues.orders((owner, derive.PERP, "sell", 5.0), (owner, derive.PERP, "buy", 2.0))
    found = only(margins_of([(owner, derive.PERP, 1.0)], rows, orders=orders))
    alone = only(margins_of([(owner, derive.PERP, 1.0)], rows))
    worse = only(margins_of([(owner, derive.PERP, -4.0)], rows))
    assert found["book"] == "agreed + sells"
    assert found["initial_margin"] == worse["initial_margin"]
    assert found["maintenance_margin"] == alone["maintenance_margin"]


def test_scenarios_are_told_with_the_worst_one() -> None:
    found = margins_of([("P", derive.PERP, -2.0), ("P", derive.CALL, -1.0)], P)
    cells, one = found.scenarios, found.components.iloc[0]
    assert len(cells) == len(portfolio_rules().scenarios) == 33
    worst = cells[cells["is_worst"]].iloc[0]
    assert worst["pnl"] == cells["pnl"].min() == -one["worst_loss"]
    assert one["worst_cell"] == "price +18 %, volatility up"
    assert one["worst_loss"] + one["contingencies"] == pytest.approx(one["initial_margin"])
    assert found.positions["worst_cell_pnl"].sum() == pytest.approx(worst["pnl"], rel=1e-12)


def test_a_forward_contingency_that_governs_is_named() -> None:
    # Long the far month against the near one: spot moves cancel, forwards need not.
    held = [("P", derive.NEAR_CALL, -10.0), ("P", derive.CALL, 9.0), ("P", derive.PERP, 0.5)]
    heavy = replace(portfolio_rules(), forward_addend=50.0)
    found = margins_of(held, P, rules=with_set("derive_portfolio", heavy))
    assert found.components["worst_cell"].tolist() == ["forward contingency"]
    assert not found.scenarios["is_worst"].any()
    assert found.positions["worst_cell_pnl"].isna().all()


def test_what_a_close_does_not_know_is_said_to_be_assumed() -> None:
    assert "oracles are sure and rates zero" in only(margins_of(held_by("P"), P))["note"]
    assert only(margins_of(held_by("S"), S))["note"] == "oracles are sure"


def test_a_stablecoin_off_its_peg_raises_initial_margin_alone() -> None:
    off = pd.DataFrame({"asset": ["EUR", "USD", "USDC", "USDT"], "usd_rate": [1.1, 1.0, 0.9, 1.0]})
    market = derive.snapshot(fx_rates=off)
    for owner, rows, rate in (("P", P, 0.0), ("S", S, 2.0 * 0.09)):
        found = only(margins_of([(owner, derive.PERP, -1.0)], rows, snapshot=market))
        before = only(margins_of([(owner, derive.PERP, -1.0)], rows))
        assert found["maintenance_margin"] == pytest.approx(0.9 * before["maintenance_margin"])
        grown = rate * 60_000.0 if rate else 4.0 * 0.09 * 0.18 * 60_000.0
        expected = 0.9 * (before["initial_margin"] + grown)
        assert found["initial_margin"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("held", "mode", "reason"),
    [
        ((derive.SPOT, -1.0), "portfolio", "lends no coins"),
        ((derive.SPOT, -1.0), "standard", "states no margin of a loan"),
        ((derive.PERP, 1.0), "unheard-of", "derive/account_mode/unheard-of"),
        (("derive:SOL-PERP", 1.0), "portfolio", "no parameters derive/derive_portfolio/SOL"),
        (("derive:SOL-PERP", 1.0), "standard", "no parameters derive/derive_standard/SOL"),
        (("derive:BTC-26JUN26", 1.0), "portfolio", "margins no dated futures"),
        (("derive:BTC-26JUN26", 1.0), "standard", "margins no dated futures"),
    ],
)
def test_what_the_managers_do_not_margin_fails_by_name(
    held: tuple[str, float], mode: str, reason: str
) -> None:
    table = derive.instruments()
    extra = table[table["instrument_id"] == derive.PERP]
    sol = extra.assign(instrument_id="derive:SOL-PERP", venue_symbol="SOL-PERP", underlying="SOL")
    dated = extra.assign(
        instrument_id="derive:BTC-26JUN26",
        venue_symbol="BTC-26JUN26",
        kind="future",
        expiry_utc=(pd.Timestamp(small.AS_OF) + timedelta(days=107)).floor("ms"),
    ).astype({"expiry_utc": "datetime64[ms, UTC]"})
    listed = pd.concat([table, sol, dated], ignore_index=True)
    market = derive.snapshot(instruments=listed.sort_values("instrument_id", ignore_index=True))
    rows = derive.accounts(("P", mode))
    found = only(margins_of([("P", *held)], rows, snapshot=market))
    assert found["status"] in ("failed", "unmodelled")
    assert reason in found["reason"]
    assert np.isnan(found["initial_margin"])


def test_a_missing_forward_or_index_is_never_a_margin_of_zero() -> None:
    market = derive.snapshot()
    lost = market.marks.assign(
        forward_price=market.marks["forward_price"].mask(
            market.marks["instrument_id"] == derive.CALL
        )
    )
    for owner, rows in (("P", P), ("S", S)):
        found = only(margins_of(held_by(owner), rows, snapshot=replace(market, marks=lost)))
        assert found["status"] == "failed"
        assert derive.CALL in found["reason"]
        unindexed = market.index_prices[market.index_prices["asset"] != "BTC"]
        found = only(
            margins_of(held_by(owner), rows, snapshot=replace(market, index_prices=unindexed))
        )
        assert found["status"] == "failed"


def test_a_set_without_scenarios_margins_nothing() -> None:
    silent = with_set("derive_portfolio", replace(portfolio_rules(), scenarios=()))
    found = only(margins_of(held_by("P"), P, rules=silent))
    assert found["status"] == "failed"
    assert "derive/derive_portfolio/BTC states no scenarios" in found["reason"]


def test_other_coins_under_the_portfolio_manager_are_collateral_alone() -> None:
    table = derive.instruments()
    coin = table[table["instrument_id"] == derive.SPOT].assign(
        instrument_id="derive:SOL-USDC-SPOT", venue_symbol="SOL-USDC-SPOT", underlying="SOL"
    )
    listed = pd.concat([table, coin], ignore_index=True)
    market = derive.snapshot(instruments=listed.sort_values("instrument_id", ignore_index=True))
    held = [("P", derive.PERP, 1.0), ("P", "derive:SOL-USDC-SPOT", 100.0)]
    found = only(margins_of(held, P, snapshot=market, collateral=at_venue("P", "USDC", 9e3)))
    assert found["initial_margin"] == only(margins_of(held[:1], P))["initial_margin"]
    assert found["equity"] == pytest.approx(9e3)
    assert "no collateral rate of SOL" in found["note"]


def test_drift_names_the_position_that_the_venue_left_out() -> None:
    whole = only(margins_of(held_by("P"), P))
    short = margins_of(held_by("P", BOOK[1:]), P).buckets.iloc[0]
    told = venues.reported(
        ("P", "BTC", "USD", short["initial_margin"], short["maintenance_margin"], 1e6)
    )
    found = margins_of(held_by("P"), P, reported=told).drift.iloc[0]
    assert found["initial_margin"] == whole["initial_margin"]
    assert (found["drift_class"], found["cause"]) == ("model_only", "missing_position")
    assert derive.PERP in found["detail"]


def test_drift_knows_prices_of_another_second() -> None:
    base = derive.snapshot()
    factor = 1.0 + 5e-4
    is_option = base.marks["mark_iv"].notna()
    marks = base.marks.assign(
        mark_price=base.marks["mark_price"].where(is_option, base.marks["mark_price"] * factor),
        forward_price=base.marks["forward_price"] * factor,
    )
    later = replace(
        base,
        marks=marks,
        index_prices=base.index_prices.assign(
            index_price=base.index_prices["index_price"] * factor
        ),
    )
    for owner, rows in (("P", P), ("S", S)):
        bucket = margins_of(held_by(owner), rows, snapshot=later).buckets.iloc[0]
        told = venues.reported(
            (
                owner, bucket["bucket"], "USD", bucket["initial_margin"],
                bucket["maintenance_margin"], 1e6,
            )
        )  # fmt: skip
        found = margins_of(held_by(owner), rows, reported=told).drift.iloc[0]
        assert found["cause"] == "snapshot_skew" or found["drift_class"] == "snapshot_skew"


def test_rules_without_derive_leave_the_account_unmodelled() -> None:
    found = only(margins_of(held_by("P"), P, rules=venues.rules(venues=VenueRules())))
    assert found["status"] == "unmodelled"
