"""What venues demand of accounts: by hand, and never zero for what is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from engine.snapshot import PositionSet
from engine.venue_accounts import VenueMargins, venue_margins
from engine.venue_rules import venue_rules
from tests.worlds import small, venues

PERP, SOL, ETH = "binance:BTCUSDT", "binance:SOLUSDT", "binance:ETHUSDT"
CALL, INVERSE = "deribit:BTC-26JUN26-60000-C", "deribit:BTC-PERPETUAL"
USDM = venues.accounts(("A", "binance", "usdm_cross", 20.0))


def margins_of(
    held: list[tuple[str, str, float]], rows: pd.DataFrame, **options: object
) -> VenueMargins:
    collateral = options.pop("collateral", small.collateral_set())
    snapshot = options.pop("snapshot", small.snapshot())
    rules = options.pop("rules", venues.rules())
    positions = venues.position_set(held, rows, **options)  # type: ignore[arg-type]
    return venue_margins(snapshot, positions, collateral, rules)  # type: ignore[arg-type]


def only(found: VenueMargins) -> pd.Series:
    assert len(found.margins) == 1
    return found.margins.iloc[0]


def test_tiers_by_hand() -> None:
    found = only(margins_of([("A", PERP, -2.0)], USDM))
    # 120,000: 50,000 at 0.4 %, 70,000 at 0.5 %; leverage 20.
    assert found["maintenance_margin"] == pytest.approx(200.0 + 350.0, rel=1e-12)
    assert found["initial_margin"] == pytest.approx(6_000.0, rel=1e-12)
    assert found["status"] == "assessed"
    assert found["evidence"] == "documented"


def test_leverage_counts_up_to_the_largest_of_the_tier() -> None:
    rows = venues.accounts(("A", "binance", "usdm_cross", 125.0))
    # 4.2 million is in the tier of leverage 50.
    assert only(margins_of([("A", PERP, 70.0)], rows))["initial_margin"] == pytest.approx(84_000.0)


def test_a_standard_account_adds_its_positions_up() -> None:
    rows = venues.accounts(("B", "deribit", "standard"))
    found = margins_of([("B", CALL, -5.0), ("B", INVERSE, 6_000.0)], rows)
    coins = 5 * (0.15 + 0.1) + 1.0 * (0.02 + 0.00005)
    assert found.buckets["initial_margin"].tolist() == pytest.approx([coins], rel=1e-12)
    assert found.buckets["currency"].tolist() == ["BTC"]
    assert only(found)["initial_margin"] == pytest.approx(60_000.0 * coins, rel=1e-12)


def test_a_portfolio_account_takes_the_worst_cell() -> None:
    rows = venues.accounts(("B", "deribit", "segregated_portfolio"))
    found = margins_of([("B", INVERSE, 6_000.0)], rows)
    # One coin long falls 16 %: 1 - 1/0.84 coins; the roll charge is the minimum of 1 %.
    coins = 1.0 / 0.84 - 1.0 + 0.01
    assert found.buckets["initial_margin"][0] == pytest.approx(coins, rel=1e-12)
    assert found.buckets["maintenance_margin"][0] == pytest.approx(0.8 * coins, rel=1e-12)
    assert only(found)["evidence"] == "inferred"
    worst = found.scenarios[found.scenarios["is_worst"]].iloc[0]
    assert worst["price_shock"] == -0.16
    assert found.components["worst_cell"][0].startswith("price -16 %")


def test_a_hedge_in_the_same_grid_lowers_the_margin() -> None:
    rows = venues.accounts(("B", "deribit", "segregated_portfolio"))
    alone = only(margins_of([("B", CALL, -5.0)], rows))["initial_margin"]
    hedged = only(margins_of([("B", CALL, -5.0), ("B", INVERSE, 12_000.0)], rows))
    assert hedged["initial_margin"] < alone


def test_orders_count_on_the_worse_side_for_initial_margin_alone() -> None:
    orders = venues.orders(("A", PERP, "buy", 5.0), ("A", PERP, "sell", 1.0))
    found = only(margins_of([("A", PERP, -2.0)], USDM, orders=orders))
    assert found["book"] == "agreed + buys" or found["book"] == "agreed + sells"
    # Bought 5 against a short of 2 is 3 long, sold 1 more is 3 short: equal, 180,000 at 20.
    assert found["initial_margin"] == pytest.approx(9_000.0)
    assert found["maintenance_margin"] == pytest.approx(550.0)


def test_while_sources_disagree_the_worse_book_counts() -> None:
    positions = small.positions(("A", PERP, -2.0))
    venue_says = positions["source"] == "venue"
    positions.loc[venue_says, "quantity"] = -4.0
    found = venue_margins(
        small.snapshot(),
        PositionSet(positions, venues.no_orders(), USDM),
        small.collateral_set(),
        venues.rules(),
    )
    assert only(found)["book"] == "venue"
    assert only(found)["initial_margin"] == pytest.approx(12_000.0)


def test_an_empty_account_needs_nothing_whatever_its_mode() -> None:
    rows = venues.accounts(("A", "binance", "usdm_cross"), ("F", "nowhere", "unheard-of"))
    found = margins_of([("A", PERP, 1.0)], rows).margins.set_index("netting_set_id")
    assert found.loc["F", "status"] == "assessed"
    assert found.loc["F", "initial_margin"] == found.loc["F", "demand"] == 0.0


def test_a_missing_mark_is_never_a_margin_of_zero() -> None:
    market = small.snapshot()
    market = replace(market, marks=market.marks[market.marks["instrument_id"] != PERP])
    found = only(margins_of([("A", PERP, 1.0), ("A", ETH, 1.0)], USDM, snapshot=market))
    assert found["status"] == "failed"
    assert f"no mark of {PERP}" in found["reason"]
    assert np.isnan(found["initial_margin"])
    assert np.isnan(found["demand"])


@pytest.mark.parametrize(
    ("held", "mode", "status", "reason"),
    [
        (SOL, "usdm_cross", "failed", "no parameters binance/tiered/SOLUSDT"),
        (PERP, "", "unmodelled", "no margin mode"),
        (PERP, "unheard-of", "unmodelled", "binance/account_mode/unheard-of"),
        ("okx:NOTHING", "usdm_cross", "failed", "nobody lists"),
    ],
)
def test_what_is_unknown_fails_by_name(held: str, mode: str, status: str, reason: str) -> None:
    rows = venues.accounts(("A", "binance", mode))
    found = only(margins_of([("A", held, 1.0)], rows))
    assert found["status"] == status
    assert reason in found["reason"]
    assert np.isnan(found["initial_margin"])


def test_a_model_that_is_not_replicated_is_named() -> None:
    rows = venues.accounts(("D", "bybit", "auction"))
    found = only(margins_of([("D", "bybit:ETH-26JUN26-3000-C", 1.0)], rows))
    assert found["status"] == "unmodelled"
    assert "margined by auction; modelled are" in found["reason"]


def test_an_account_that_nobody_registered_is_unmodelled() -> None:
    found = margins_of([("A", PERP, 1.0), ("B", INVERSE, 1.0)], USDM).margins
    assert found.set_index("account_id").loc["B-a", "status"] == "unmodelled"


def test_a_position_in_quarantine_fails_the_accounts_of_its_netting_set() -> None:
    lost = {"dataset": ["positions"], "identifier": ["A"], "reason": ["quantity: NaN"]}
    market = replace(small.snapshot(), faults=pd.DataFrame(lost, dtype="str"))
    found = only(margins_of([("A", PERP, 1.0)], USDM, snapshot=market))
    assert found["status"] == "failed"
    assert "quarantine (quantity: NaN)" in found["reason"]


def test_an_unmodelled_account_demands_what_its_venue_reports() -> None:
    rows = venues.accounts(("A", "binance", ""))
    told = venues.reported(
        ("A", "BTC", "BTC", 0.5, 0.2, 1.0), ("A", "USDT", "USDT", 10.0, 5.0, 9.0)
    )
    found = only(margins_of([("A", PERP, 1.0)], rows, reported=told))
    assert found["demand"] == pytest.approx(30_010.0)
    assert found["demand_source"] == "venue report"


def test_a_short_spot_holding_is_a_loan() -> None:
    rows = venues.accounts(("A", "binance", "portfolio"))
    found = margins_of([("A", "binance:BTCUSDT-SPOT", -0.5)], rows)
    assert only(found)["maintenance_margin"] == pytest.approx(3_000.0)
    assert found.components["model"].tolist() == ["collateral_rates"]
    long = only(margins_of([("A", "binance:BTCUSDT-SPOT", 0.5)], rows))
    assert long["initial_margin"] == 0.0


def test_a_future_in_dollars_is_the_same_linear_or_inverse() -> None:
    joined = venues.mode(
        futures_model="scenario_grid", option_model="scenario_grid", futures_scope="underlying",
        bucket="underlying",
    )  # fmt: skip
    sets = [
        *venues.sets(),
        venues.parameter_set("binance", "account_mode", "joined", joined),
        venues.parameter_set("deribit", "account_mode", "joined", joined),
        venues.parameter_set("binance", "scenario_grid", "BTC", venues.BTC_GRID),
    ]
    rules = venues.rules(venues=venue_rules(sets))
    linear = margins_of(
        [("A", PERP, 1.0)], venues.accounts(("A", "binance", "joined")), rules=rules
    )
    inverse = margins_of(
        [("B", INVERSE, 6_000.0)], venues.accounts(("B", "deribit", "joined")), rules=rules
    )
    assert only(linear)["initial_margin"] == pytest.approx(60_000.0 * 0.17, rel=1e-12)
    assert only(inverse)["initial_margin"] == pytest.approx(60_000.0 * 0.17, rel=1e-12)


def test_the_liquidation_price_leaves_exactly_the_maintenance_margin() -> None:
    told = venues.reported(("A", "USDT", "USDT", 6_000.0, 550.0, 9_000.0))
    found = margins_of([("A", PERP, -2.0)], USDM, reported=told)
    price = float(found.positions["liquidation_price"][0])
    equity = 9_000.0 - 2.0 * (price - 60_000.0)
    notional = 2.0 * price
    maintenance = 200.0 + (notional - 50_000.0) * 0.005
    assert equity == pytest.approx(maintenance, rel=1e-9)
    assert price > 60_000.0


def test_without_equity_there_is_no_ratio_and_no_liquidation_price() -> None:
    found = margins_of([("A", PERP, -2.0)], USDM)
    assert np.isnan(only(found)["margin_ratio"])
    assert found.positions["liquidation_price"].isna().all()


def test_ratios_are_the_venues_own() -> None:
    told = venues.reported(("A", "USDT", "USDT", 6_000.0, 550.0, 5_500.0))
    used = only(margins_of([("A", PERP, -2.0)], USDM, reported=told))
    assert (used["ratio_kind"], used["margin_ratio"]) == ("margin_balance", pytest.approx(0.1))
    rows = venues.accounts(("A", "binance", "portfolio", 20.0))
    told = venues.reported(("A", "account", "USD", 6_000.0, 550.0, 5_500.0))
    cover = only(margins_of([("A", PERP, -2.0)], rows, reported=told))
    assert (cover["ratio_kind"], cover["margin_ratio"]) == ("adjusted_equity", pytest.approx(10.0))


def test_collateral_counts_by_the_venues_rates() -> None:
    rows = venues.accounts(("A", "binance", "portfolio", 20.0))
    held = small.collateral_set(("A", "BTC", 2.0), ("A", "ETH", 1.0))
    held.holdings["location"] = "A-a"
    found = only(margins_of([("A", PERP, -2.0)], rows, collateral=held))
    # 100,000 of 120,000 at 95 %, the rest at 90 %; no rate is known of ETH.
    assert found["equity"] == pytest.approx(95_000.0 + 18_000.0)
    assert found["equity_source"] == "collateral"


def test_a_mode_in_force_later_does_not_count_yet() -> None:
    rows = pd.concat(
        [
            venues.accounts(("A", "binance", "portfolio")).assign(
                effective_date=pd.Timestamp("2025-06-01")
            ),
            venues.accounts(("A", "binance", "usdm_cross")),
        ]
    )
    assert only(margins_of([("A", PERP, 1.0)], rows))["account_mode"] == "usdm_cross"


def test_components_add_up_to_the_account() -> None:
    rows = venues.accounts(("A", "binance", "usdm_cross", 20.0), ("B", "deribit", "standard"))
    held = [("A", PERP, -2.0), ("A", ETH, 10.0), ("B", CALL, -5.0), ("B", INVERSE, 6_000.0)]
    found = margins_of(held, rows, orders=venues.orders(("A", PERP, "sell", 1.0)))
    sums = found.components.groupby("account_id")[
        ["initial_margin_usd", "maintenance_margin_usd"]
    ].sum()
    expected = found.margins.set_index("account_id")
    np.testing.assert_allclose(sums["initial_margin_usd"], expected["initial_margin"], rtol=1e-12)
    np.testing.assert_allclose(
        sums["maintenance_margin_usd"], expected["maintenance_margin"], rtol=1e-12
    )
    assert (found.components["source"] != "").all()
