"""Clearing accounts under SPAN: by hand, and never less for what is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from engine.errors import ParameterError
from engine.margin.span import SpanCharges, SpanParameters, span_requirement
from engine.margin.span_spreads import InterCommoditySpread, InterCommoditySpreads
from engine.venue_accounts import VenueMargins, venue_margins
from tests.worlds import clearing, small, venues
from tests.worlds.clearing import APRIL, CALL, ETHER, JUNE, MICRO, PUT

ACCOUNT = venues.accounts(("A", "cme", "clearing"))
MIXED = (
    ("A", APRIL, 2.0), ("A", JUNE, -3.0), ("A", CALL, -4.0), ("A", PUT, 1.0), ("A", ETHER, 6.0),
)  # fmt: skip


def margins_of(*held: tuple[str, str, float], **options: object) -> VenueMargins:
    rules = options.pop("rules", clearing.rules())
    snapshot = options.pop("snapshot", clearing.snapshot())
    collateral = options.pop("collateral", small.collateral_set())
    positions = venues.position_set(list(held), ACCOUNT, **options)  # type: ignore[arg-type]
    return venue_margins(snapshot, positions, collateral, rules)  # type: ignore[arg-type]


def only(found: VenueMargins) -> pd.Series:
    assert len(found.margins) == 1
    return found.margins.iloc[0]


def test_a_future_needs_its_scan_range() -> None:
    found = only(margins_of(("A", JUNE, -2.0)))
    assert found["status"] == "assessed"
    assert found["maintenance_margin"] == pytest.approx(2 * 5 * 60_000 * 0.3, rel=1e-12)
    assert found["initial_margin"] == pytest.approx(1.1 * 180_000, rel=1e-12)


def test_contracts_of_one_commodity_net_whatever_their_size() -> None:
    found = only(margins_of(("A", JUNE, -2.0), ("A", MICRO, 100.0)))
    # A tenth of a coin is no binary fraction.
    assert found["initial_margin"] == pytest.approx(0.0, abs=1e-9)


def test_a_spread_between_months_is_charged_where_its_scan_risk_is_nothing() -> None:
    found = margins_of(("A", APRIL, 3.0), ("A", JUNE, -2.0))
    part = found.components.iloc[0]
    assert part["worst_loss"] == pytest.approx(1 * 5 * 60_000 * 0.3, rel=1e-12)
    assert part["contingencies"] == pytest.approx(2 * 5 * 60_000 * 0.02, rel=1e-12)
    assert only(found)["maintenance_margin"] == pytest.approx(90_000 + 12_000, rel=1e-12)


def test_a_strangle_hardly_scanned_still_has_its_minimum() -> None:
    # With neither price nor volatility ranges to speak of, the minimum is all there is.
    rules = clearing.rules()
    tiny = SpanParameters(
        price_scan_range=1e-9, volatility_scan_range=0.0, short_option_minimum_rate=1e6
    )
    sets = [each for each in rules.venues if each.model != "span"]
    book = venues.venue_rules([*sets, venues.parameter_set("cme", "span", "BTC", tiny)])
    found = margins_of(("A", CALL, -4.0), ("A", PUT, -1.0), rules=venues.rules(venues=book))
    part = found.components.iloc[0]
    # Calls and puts both count: five contracts of five coins.
    assert part["minimum_charge"] == pytest.approx(25 * 60_000 * 1e-9 * 1e6, rel=1e-9)
    assert part["worst_loss"] < 1.0 < part["minimum_charge"]


def test_an_account_is_the_published_combination_of_its_parts() -> None:
    found = margins_of(*MIXED, rules=clearing.rules(spreads=None))
    scenarios = found.scenarios[found.scenarios["underlying"] == "BTC"].sort_values("cell")
    part = found.components.set_index("component").loc["BTC"]
    held = {name: quantity for _, name, quantity in MIXED}
    values = found.positions.set_index("instrument_id")["quantity"]
    assert dict(values) == held
    net_option_value = -(part["maintenance_margin"] - (part["worst_loss"] + part["contingencies"]))
    wanted = span_requirement(
        -scenarios["pnl"].to_numpy(),
        SpanCharges(
            intra_commodity_charge=part["contingencies"],
            short_option_minimum=part["minimum_charge"],
            net_option_value=net_option_value,
        ),
    )
    assert wanted.scan_risk == part["worst_loss"]
    assert wanted.margin_requirement == pytest.approx(part["maintenance_margin"], rel=1e-12)
    # Four calls sold against one put bought: a debt, which adds to the requirement.
    assert net_option_value < 0.0


def test_bought_options_pay_for_their_own_risk_and_for_nothing_else() -> None:
    assert only(margins_of(("A", CALL, 4.0)))["maintenance_margin"] == 0.0
    together = only(margins_of(("A", CALL, 4.0), ("A", ETHER, 1.0)))
    assert together["maintenance_margin"] == pytest.approx(50 * 3_000 * 0.32, rel=1e-12)


def test_commodities_held_against_each_other_get_their_credit() -> None:
    # 5 bitcoin against 50 ether: two and a half spreads of one bitcoin and twenty ether.
    held = (("A", JUNE, 1.0), ("A", ETHER, -1.0))
    gross = only(margins_of(*held, rules=clearing.rules(spreads=None)))
    found = margins_of(*held)
    bitcoin, ether = 60_000 * 0.3, 3_000 * 0.32
    saved = 0.5 * 2.5 * (1 * bitcoin + 20 * ether)
    net = only(found)
    assert gross["maintenance_margin"] == pytest.approx(5 * bitcoin + 50 * ether, rel=1e-12)
    assert net["maintenance_margin"] == pytest.approx(
        gross["maintenance_margin"] - saved, rel=1e-12
    )
    given = found.components[found.components["component"].str.endswith("spread credit")]
    assert (given["maintenance_margin"] < 0.0).all()
    assert set(given["parameters"]) == {"cme/span_spreads/clearing"}
    assert gross["evidence"] == "documented"
    assert net["evidence"] == "unverified"


def test_commodities_on_one_side_get_no_credit() -> None:
    held = (("A", JUNE, 1.0), ("A", ETHER, 1.0))
    one = only(margins_of(*held))["initial_margin"]
    assert one == only(margins_of(*held, rules=clearing.rules(spreads=None)))["initial_margin"]


def test_orders_count_on_the_worse_side_for_initial_margin_alone() -> None:
    orders = venues.orders(("A", JUNE, "buy", 3.0), ("A", JUNE, "sell", 1.0))
    found = only(margins_of(("A", JUNE, 1.0), orders=orders))
    outright = 5 * 60_000 * 0.3
    assert found["book"] == "agreed + buys"
    assert found["initial_margin"] == pytest.approx(1.1 * 4 * outright, rel=1e-12)
    assert found["maintenance_margin"] == pytest.approx(outright, rel=1e-12)


def test_sixteen_scenarios_explain_the_worst_one() -> None:
    found = margins_of(*MIXED)
    scenarios = found.scenarios[found.scenarios["underlying"] == "BTC"]
    assert len(scenarios) == 16
    worst = scenarios[scenarios["is_worst"]].iloc[0]
    part = found.components.set_index("component").loc["BTC"]
    assert worst["pnl"] == -part["worst_loss"] == scenarios["pnl"].min()
    assert part["worst_cell"].startswith(f"scenario {worst['cell'] + 1}: price ")
    lost = found.positions[found.positions["instrument_id"] != ETHER]["worst_cell_pnl"].sum()
    assert lost == pytest.approx(worst["pnl"], rel=1e-12)
    assert found.margins["initial_margin"].iloc[0] == pytest.approx(
        found.components["initial_margin_usd"].sum(), rel=1e-12
    )


def test_what_is_missing_fails_by_name() -> None:
    market = clearing.snapshot()
    lacking = market.marks[market.marks["instrument_id"] != CALL]
    found = only(margins_of(*MIXED, snapshot=replace(market, marks=lacking)))
    assert found["status"] == "failed"
    assert CALL in found["reason"]
    assert np.isnan(found["initial_margin"])
    index = market.index_prices[market.index_prices["asset"] != "ETH"]
    found = only(margins_of(*MIXED, snapshot=replace(market, index_prices=index)))
    assert found["status"] == "failed"
    assert "ETH" in found["reason"]


def test_a_commodity_without_a_set_fails() -> None:
    found = only(margins_of(("A", "dydx:SOL-USD", 1.0)))
    assert found["status"] == "failed"
    assert found["reason"] == "dydx:SOL-USD is listed at another venue"


def test_a_range_beyond_a_third_says_where_the_fall_ends() -> None:
    with pytest.raises(ParameterError, match="extreme_fall_max"):
        SpanParameters(price_scan_range=0.5, volatility_scan_range=0.1)
    wide = SpanParameters(price_scan_range=0.5, volatility_scan_range=0.1, extreme_fall_max=0.95)
    assert wide.extreme_fall_max == 0.95


def test_a_spread_is_between_two_commodities() -> None:
    with pytest.raises(ParameterError, match="BTC twice"):
        InterCommoditySpread(
            first="BTC", second="BTC", first_delta=1.0, second_delta=1.0, credit_rate=0.5
        )


def test_what_one_spread_has_used_is_gone_for_the_next() -> None:
    spread = clearing.SPREADS.spreads[0]
    twice = InterCommoditySpreads(spreads=(spread, spread))
    held = (("A", JUNE, 1.0), ("A", ETHER, -1.0))
    once = only(margins_of(*held))["initial_margin"]
    assert only(margins_of(*held, rules=clearing.rules(spreads=twice)))["initial_margin"] == once
