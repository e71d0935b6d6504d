"""Bybit: risk limits, collateral ratios and borrowing tiers of the Unified Trading Account.

``GET /v5/market/risk-limit``, ``/v5/spot-margin-trade/collateral`` (tiers by quantity),
``/v5/account/collateral-info`` and ``/v5/spot-margin-trade/position-tiers``
(bybit-exchange.github.io/docs/v5). Risk limits state their rates as fractions or as percentages;
which of the two is told by the leverage beside them, and a row where neither fits is set aside.
Borrowing tiers count coins; that their rates are marginal is inferred.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from infra.venues.parameters.importing import (
    BadRow,
    Imported,
    PayloadFacts,
    Row,
    at_best_inferred,
    exact_complement,
    imported_rows,
    number,
    read_json,
    unknown_form,
)
from infra.venues.parameters.tiers import (
    PublishedTier,
    notional_tiers,
    require_consistent,
    rising_tiers,
)

VENUE: Final = "bybit"
_FORMS: Final = (
    "market/risk-limit: result.list of {symbol, riskLimitValue, maintenanceMargin, maxLeverage}",
    "spot-margin-trade/collateral: result.list of {currency, collateralRatioList}",
    "spot-margin-trade/position-tiers: result.list of {currency, positionTiersRatioList}",
    "account/collateral-info: result.list of {currency, collateralRatio}",
)
# 57.14 times leverage stands beside an initial margin of 1.75 %.
_LEVERAGE_TOLERANCE: Final = 0.02


def import_payload(payload: bytes, facts: PayloadFacts) -> Imported:
    """Return the sets that a payload holds.

    ``tiered`` by symbol from risk limits and by ``loan:<currency>`` from borrowing tiers,
    ``collateral_rates`` by currency.
    """
    content = read_json(payload, VENUE)
    result = content.get("result") if isinstance(content, dict) else None
    rows = result.get("list") if isinstance(result, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise unknown_form(VENUE, _FORMS)
    first = rows[0]
    if "riskLimitValue" in first:
        return _risk_limits(rows, facts)
    currencies = [(str(row.get("currency")), row) for row in rows]
    if "collateralRatioList" in first:
        made = [Row(name, partial(_rates_by_quantity, row)) for name, row in currencies]
        return imported_rows(VENUE, "collateral_rates", made, facts)
    if "positionTiersRatioList" in first:
        made = [Row(f"loan:{name}", partial(_loan_tiers, row)) for name, row in currencies]
        return imported_rows(VENUE, "tiered", made, at_best_inferred(facts), "loan:.*")
    if "collateralRatio" in first:
        made = [Row(name, partial(_flat_rate, row)) for name, row in currencies]
        return imported_rows(VENUE, "collateral_rates", made, facts)
    raise unknown_form(VENUE, _FORMS)


def _risk_limits(rows: Sequence[Mapping[str, Any]], facts: PayloadFacts) -> Imported:
    by_symbol: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_symbol.setdefault(str(row.get("symbol")), []).append(row)
    made = [Row(symbol, partial(_limits_of, symbol, found)) for symbol, found in by_symbol.items()]
    return imported_rows(VENUE, "tiered", made, facts, "(?!loan:).*")


def _limits_of(symbol: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    identifier = f"{VENUE} risk limit {symbol}"
    ordered = sorted(rows, key=lambda row: number(row, "riskLimitValue", identifier))
    tiers: list[PublishedTier] = []
    for row in ordered:
        unit = _unit(row, identifier)
        deduction = row.get("mmDeduction")
        tiers.append(
            PublishedTier(
                floor=tiers[-1].cap if tiers else 0.0,
                cap=number(row, "riskLimitValue", identifier),
                rate=number(row, "maintenanceMargin", identifier) / unit,
                leverage_max=number(row, "maxLeverage", identifier),
                # The first tier has none; an empty text is how the venue writes that.
                deduction=number(row, "mmDeduction", identifier) if deduction else None,
            )
        )
    if any(tier.deduction is not None for tier in tiers):
        first = tiers[0]
        tiers[0] = PublishedTier(
            first.floor, first.cap, first.rate, first.leverage_max, first.deduction or 0.0
        )
    require_consistent(tiers, identifier)
    return notional_tiers(tiers)


def _unit(row: Mapping[str, Any], identifier: str) -> float:
    initial, leverage = (
        number(row, "initialMargin", identifier), number(row, "maxLeverage", identifier)
    )  # fmt: skip
    for unit in (1.0, 100.0):
        if abs(initial / unit * leverage - 1.0) <= _LEVERAGE_TOLERANCE:
            return unit
    name = f"{identifier} id {row.get('id')}"
    raise BadRow(
        name,
        initial,
        f"1 / {leverage:g} or 100 / {leverage:g}",
        f"{name}: initialMargin {initial:g} is neither a fraction nor a percentage that goes with "
        f"maxLeverage {leverage:g}",
    )


def _rates_by_quantity(row: Mapping[str, Any]) -> dict[str, object]:
    identifier = f"{VENUE} collateral ratio of {row.get('currency')}"
    listed = rising_tiers(row.get("collateralRatioList"), "minQty", "maxQty", identifier)
    tiers = [{"floor": floor, "haircut": _haircut(one, identifier)} for floor, _, one in listed]
    last = listed[-1][1]
    if last is not None:
        # What lies above the last bound counts for nothing.
        tiers.append({"floor": last, "haircut": 1.0})
    return {"tier_basis": "quantity", "haircut_tiers": tiers}


def _flat_rate(row: Mapping[str, Any]) -> dict[str, object]:
    identifier = f"{VENUE} collateral ratio of {row.get('currency')}"
    # ``collateralSwitch`` is the client's own choice, ``marginCollateral`` the venue's rule.
    counts = row.get("marginCollateral")
    if not isinstance(counts, bool):
        reason = f"{identifier}: marginCollateral is {counts!r}, limit: true or false"
        raise BadRow(identifier, counts, "true or false", reason)
    haircut = _haircut(row, identifier) if counts else 1.0
    return {"tier_basis": "quantity", "haircut_tiers": [{"floor": 0.0, "haircut": haircut}]}


def _haircut(row: Mapping[str, Any], identifier: str) -> float:
    number(row, "collateralRatio", identifier)
    return exact_complement(row["collateralRatio"])


def _loan_tiers(row: Mapping[str, Any]) -> dict[str, object]:
    identifier = f"{VENUE} borrowing tiers of {row.get('currency')}"
    listed = row.get("positionTiersRatioList")
    if not isinstance(listed, list) or not listed:
        raise BadRow(identifier, listed, "at least one tier", f"{identifier} has no tier")
    ordered = sorted(listed, key=lambda one: number(one, "borrowLimit", identifier))
    rows, floor = [], 0.0
    for one in ordered:
        rows.append(
            {
                "notional_floor": floor,
                "maintenance_margin_rate": number(one, "positionMMR", identifier),
                "initial_margin_rate": number(one, "positionIMR", identifier),
                "leverage_max": number(one, "maxLeverage", identifier),
            }
        )
        floor = number(one, "borrowLimit", identifier)
    return {"rule": "notional_tiers", "tiers": rows}
