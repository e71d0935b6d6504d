"""Importers read what venues publish, set bad rows aside, and repair nothing."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from engine.errors import ContractViolation, ParameterError
from infra.venues.parameters.importing import Imported, PayloadFacts, import_payload

DAY = date(2024, 10, 24)


def imported(venue: str, content: object, **facts: Any) -> Imported:
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    return import_payload(venue, payload, PayloadFacts(DAY, "payload", **facts))


def bracket(floor: float, cap: float, rate: float, leverage: int, cum: float) -> dict[str, object]:
    return {
        "bracket": 1, "initialLeverage": leverage, "notionalCap": cap, "notionalFloor": floor,
        "maintMarginRatio": rate, "cum": cum,
    }  # fmt: skip


def btc(**changes: object) -> dict[str, object]:
    """Return the first three brackets of BTCUSDT in Oct 2024, as the venue answers."""
    second = {**bracket(50_000, 600_000, 0.005, 100, 50.0), **changes}
    return {
        "symbol": "BTCUSDT",
        "brackets": [
            bracket(0, 50_000, 0.004, 125, 0.0),
            second,
            bracket(600_000, 3_000_000, 0.0065, 75, 950.0),
        ],
    }


# --- Binance ----------------------------------------------------------------------------------


def test_binance_brackets_become_tiers_with_the_published_deductions() -> None:
    found = imported("binance", [btc()])
    (one,) = found.sets
    assert (one.venue, one.model, one.scope, one.effective_date) == (
        "binance", "tiered", "BTCUSDT", DAY
    )  # fmt: skip
    assert one.parameters.maintenance_deductions() == (0.0, 50.0, 950.0)
    assert one.parameters.tiers[1].leverage_max == 100.0


@pytest.mark.parametrize(
    ("changes", "value", "limit"),
    [
        ({"notionalFloor": 60_000}, "60000.0", "floor 50000, the cap before"),
        ({"maintMarginRatio": 0.004}, "0.004", "rate > 0.004"),
        ({"maintMarginRatio": "1.4"}, "1.4", "rate > 0 and <= 1"),
        ({"initialLeverage": 150}, "150.0", "leverage <= 125"),
        ({"cum": 60.0}, "60.0", "deduction 50 by the recursion"),
        ({"cum": None}, "None", "a finite number"),
        ({"maintMarginRatio": "high"}, "high", "a finite number"),
    ],
)
def test_a_bad_bracket_is_set_aside_and_the_rest_goes_on(
    changes: dict[str, object], value: str, limit: str
) -> None:
    other = {**btc(), "symbol": "ETHUSDT"}
    found = imported("binance", [btc(**changes), other])
    assert [one.scope for one in found.sets] == ["ETHUSDT"]
    (row,) = found.quarantined
    assert "BTCUSDT" in row.identifier
    assert (row.value, row.limit) == (value, limit)


def test_two_different_answers_for_one_symbol_are_both_set_aside() -> None:
    other = {"symbol": "BTCUSDT", "brackets": [bracket(0, 50_000, 0.01, 50, 0.0)]}
    found = imported("binance", [btc(), other, {**btc(), "symbol": "ETHUSDT"}])
    assert [one.scope for one in found.sets] == ["ETHUSDT"]
    assert {row.limit for row in found.quarantined} == {"listed once"}
    # Twice the same is the same.
    assert len(imported("binance", [btc(), btc()]).sets) == 1


def test_a_coin_margined_pair_serves_its_perpetual_and_deliveries() -> None:
    rows = [
        {"qtyFloor": 0, "qtyCap": 5, "maintMarginRatio": 0.004, "initialLeverage": 125, "cum": 0}
    ]
    found = imported("binance", [{"pair": "BTCUSD", "brackets": rows}])
    assert found.sets[0].scope == "BTCUSD_*"


def test_a_complete_listing_says_what_it_is_complete_for() -> None:
    found = imported("binance", [btc()], is_complete=True)
    (listing,) = found.listings
    assert listing.scopes == {"BTCUSDT"}
    assert imported("binance", [btc()]).listings == ()


def test_binance_collateral_rates_flat_and_tiered() -> None:
    flat = imported("binance", [{"asset": "USDC", "collateralRate": "0.9980"}])
    assert flat.sets[0].parameters.haircut_tiers[0].haircut == 0.002
    tiers = [
        {"tierFloor": "0", "tierCap": "1000", "collateralRate": "1.0", "cum": "0"},
        {"tierFloor": "1000", "tierCap": "5000", "collateralRate": "0.9", "cum": "0"},
    ]
    tiered = imported("binance", [{"asset": "BNB", "collateralInfo": tiers}])
    rows = [(tier.floor, tier.haircut) for tier in tiered.sets[0].parameters.haircut_tiers]
    assert rows == [(0.0, 0.0), (1000.0, 0.1), (5000.0, 1.0)]


# --- Bybit ------------------------------------------------------------------------------------


def risk_limit(
    cap: str, rate: str, initial: str, leverage: str, deduction: str = ""
) -> dict[str, str]:
    return {
        "id": 1, "symbol": "BTCUSD", "riskLimitValue": cap, "maintenanceMargin": rate,
        "initialMargin": initial, "maxLeverage": leverage, "mmDeduction": deduction,
    }  # type: ignore[dict-item]  # fmt: skip


def listed(*rows: object) -> dict[str, object]:
    return {"retCode": 0, "result": {"list": list(rows)}}


def test_bybit_rates_are_read_as_fraction_or_percentage_by_the_leverage_beside_them() -> None:
    percent = imported("bybit", listed(risk_limit("150", "0.5", "1", "100.00")))
    fraction = imported("bybit", listed(risk_limit("2000000", "0.005", "0.01", "100.00")))
    for found in (percent, fraction):
        assert found.sets[0].parameters.tiers[0].maintenance_margin_rate == 0.005


def test_a_bybit_rate_that_goes_with_no_unit_is_set_aside() -> None:
    with pytest.raises(ContractViolation, match="neither a fraction nor a percentage"):
        imported("bybit", listed(risk_limit("150", "0.5", "0.5", "100.00")))


def test_bybit_deductions_are_checked() -> None:
    rows = [risk_limit("2000000", "0.005", "0.01", "100"),
            risk_limit("2600000", "0.0056", "0.0111", "90", "1200")]  # fmt: skip
    assert imported("bybit", listed(*rows)).sets[0].parameters.maintenance_deductions() == (0, 1200)
    rows[1]["mmDeduction"] = "1300"
    with pytest.raises(ContractViolation, match="deduction 1200 by the recursion"):
        imported("bybit", listed(*rows))


def test_bybit_collateral_tiers_end_at_the_last_quantity() -> None:
    tiers = [{"minQty": "0", "maxQty": "10", "collateralRatio": "0.98"},
             {"minQty": "10", "maxQty": "20", "collateralRatio": "0.95"}]  # fmt: skip
    found = imported("bybit", listed({"currency": "BTC", "collateralRatioList": tiers}))
    rates = found.sets[0].parameters
    assert rates.tier_basis == "quantity"
    assert [tier.haircut for tier in rates.haircut_tiers] == [0.02, 0.05, 1.0]


def test_a_bybit_currency_that_is_no_collateral_counts_for_nothing() -> None:
    row = {"currency": "XYZ", "collateralRatio": "0.5", "marginCollateral": False}
    found = imported("bybit", listed(row))
    assert found.sets[0].parameters.haircut_tiers[0].haircut == 1.0


# --- OKX, Deribit, Hyperliquid, dYdX ------------------------------------------------------------


def okx_tiers(**changes: str) -> dict[str, object]:
    first = {"instFamily": "BTC-USDT", "instId": "", "tier": "1", "minSz": "0", "maxSz": "1000",
             "mmr": "0.004", "imr": "0.008", "maxLever": "125"}  # fmt: skip
    second = {**first, "tier": "2", "minSz": "1001", "maxSz": "5000", "mmr": "0.005", **changes}
    return {"code": "0", "data": [first, second]}


def test_okx_position_tiers_need_the_worth_of_a_contract() -> None:
    with pytest.raises(ContractViolation, match="--unit-notional BTC-USDT=NOTIONAL"):
        imported("okx", okx_tiers())
    found = imported("okx", okx_tiers(), unit_notionals={"BTC-USDT": 650.0})
    one = found.sets[0]
    assert (one.scope, one.evidence) == ("BTC-USDT-*", "inferred")
    assert [tier.notional_floor for tier in one.parameters.tiers] == [0.0, 650_000.0]
    assert one.parameters.rate_applies == "whole"
    assert one.parameters.notional_max == 5_000 * 650.0


def test_okx_position_tiers_that_leave_a_gap_are_set_aside() -> None:
    with pytest.raises(ContractViolation, match=r"2000 to 5000, limit: minSz 1000 or 1001"):
        imported("okx", okx_tiers(minSz="2000"), unit_notionals={"BTC-USDT": 650.0})


def test_okx_discount_rates_become_haircuts_by_quantity() -> None:
    details = [{"discountRate": "0.98", "minAmt": "0", "maxAmt": "20"},
               {"discountRate": "0.9775", "minAmt": "20", "maxAmt": "25"}]  # fmt: skip
    row = {"ccy": "BTC", "details": details, "minDiscountRate": "0"}
    found = imported("okx", {"code": "0", "data": [row]})
    rates = found.sets[0].parameters
    assert [(t.floor, t.haircut) for t in rates.haircut_tiers] == [(0, 0.02), (20, 0.0225), (25, 1)]


PME: dict[str, Any] = {
    "currency_pair": {"btc_usd": {
        "extended_table_factor": 1, "m_inc": 5e-05, "min_volatility_for_shock_up": 0.5,
        "max_delta_shock": 0.1, "delta_total_liq_shock_threshold": 20000000,
        "volatility_range_down": 0.25, "volatility_range_up": 0.5, "long_term_vega_power": 0.13,
        "short_term_vega_power": 0.3, "price_range": 0.16}},
    "currency": {"btc": {
        "max_offsetable_pnl": 20000000, "annualised_move_risk": 0.075, "extended_dampener": 100000,
        "min_annualised_move": 0.01, "haircut": 0, "pnl_offset": 0.6}},
    "general": {"mm_factor": 0.8, "buckets_count": 4, "vol_scenarios_count": 3},
}  # fmt: skip


def test_deribit_parameters_become_a_grid_of_nine_prices() -> None:
    found = imported("deribit", {"jsonrpc": "2.0", "result": PME})
    one = found.sets[0]
    assert (one.model, one.scope) == ("scenario_grid", "BTC")
    grid = one.parameters
    assert grid.price_shocks == (-0.16, -0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12, 0.16)
    assert (grid.annualised_move_risk, grid.maintenance_margin_factor) == (0.075, 0.8)
    # The cap is in dollars, a coin's grid is in coin: no gain may offset.
    assert grid.gain_offset_fraction is None


def test_deribit_parameters_without_a_value_are_set_aside() -> None:
    pair = {key: value for key, value in PME["currency_pair"]["btc_usd"].items() if key != "m_inc"}
    with pytest.raises(ContractViolation, match="m_inc is None"):
        imported("deribit", {"result": {**PME, "currency_pair": {"btc_usd": pair}}})


def test_hyperliquid_margin_tables_and_single_tiers() -> None:
    tiers = [("0.0", 40), ("150000000.0", 20)]
    table = [{"lowerBound": floor, "maxLeverage": leverage} for floor, leverage in tiers]
    tables = [[51, {"marginTiers": table}]]
    universe = [
        {"name": "BTC", "maxLeverage": 40, "marginTableId": 51},
        {"name": "ATOM", "maxLeverage": 5, "marginTableId": 5},
        {"name": "OLD", "maxLeverage": 3, "isDelisted": True},
        {"name": "BAD", "maxLeverage": 10, "marginTableId": 99},
    ]
    found = imported("hyperliquid", {"universe": universe, "marginTables": tables})
    assert [one.scope for one in found.sets] == ["ATOM", "BTC"]
    assert found.sets[1].parameters.maintenance_rates() == (0.0125, 0.025)
    assert found.quarantined[0].limit == "a listed table"


def test_dydx_markets_keep_their_open_interest_caps() -> None:
    row = {"initialMarginFraction": "0.05", "maintenanceMarginFraction": "0.03",
           "openInterestLowerCap": "40000000", "openInterestUpperCap": "100000000"}  # fmt: skip
    bad = {**row, "maintenanceMarginFraction": "0.06"}
    found = imported("dydx", {"markets": {"SOL-USD": row, "BAD-USD": bad}})
    scaled = found.sets[0].parameters
    assert (scaled.maintenance_fraction, scaled.open_interest_lower_cap) == (0.6, 4e7)
    assert found.quarantined[0].limit == "> 0 and <= initialMarginFraction 0.05"


# --- what is no payload -----------------------------------------------------------------------


@pytest.mark.parametrize("venue", ["binance", "bybit", "okx", "deribit", "hyperliquid", "dydx"])
@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"[1]", b"null", b"<html>", b'{"a": NaN}'])
def test_what_is_no_payload_of_the_venue_is_refused(venue: str, payload: bytes) -> None:
    with pytest.raises(ContractViolation):
        imported(venue, payload)


def test_a_venue_without_importer_is_named() -> None:
    with pytest.raises(ParameterError, match="no payload of 'kraken' can be imported, limit"):
        imported("kraken", {})
