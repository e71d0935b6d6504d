"""Portfolio margin of one account as a venue would compute it: grid, charges, offsets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtr

from engine.arrays import Float64Array1D
from engine.margin.scenario_grid import ScenarioGridParameters
from infra.simulator.world.venue_formulas import Contract, cells_of

FUTURES: Final = ("perpetual", "future")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Holding:
    """One position of a unit: contract, signed quantity and its weighted gains by cell."""

    contract: Contract
    quantity: float
    settlement_asset: str
    gains: Float64Array1D


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class UnitMargin:
    """Margins of one underlying in one currency, and the dampened gains by cell."""

    initial: float
    maintenance: float
    gains: Float64Array1D


def unit_margin(
    holdings: Sequence[Holding], rule: ScenarioGridParameters, *, in_coin: bool
) -> UnitMargin:
    """Return the margin of what an account holds on one underlying.

    Parameters
    ----------
    holdings : sequence of Holding
        Gains in one currency: the coin, or the quote currency of the contracts.
    """
    index = holdings[0].contract.index
    gains = np.sum([each.gains for each in holdings], axis=0)
    gains = _dampened(gains, rule, index, in_coin)
    worst = max(0.0, -float(gains.min()))
    risk = worst + sum(_charges(holdings, rule, index, in_coin))
    futures = [_at_mark(each, in_coin) for each in holdings if each.contract.kind in FUTURES]
    floor = rule.minimum_charge_rate * sum(abs(value) for value in futures)
    if rule.minimum_charge_tiers:
        floors = [tier.charge_floor for tier in rule.minimum_charge_tiers]
        floor = _marginal(floor, floors, [tier.multiplier for tier in rule.minimum_charge_tiers])
    risk = max(risk, floor)
    return UnitMargin(
        initial=rule.initial_margin_factor * risk + sum(a.initial_margin for a in rule.add_ons),
        maintenance=rule.maintenance_margin_factor * risk
        + sum(a.maintenance_margin for a in rule.add_ons),
        gains=gains,
    )


def saved_by_offsets(
    units: Sequence[tuple[UnitMargin, ScenarioGridParameters, float]],
) -> tuple[float, float]:
    """Return by how much gains of some units lower the initial and maintenance margin of all.

    ``units`` are margins, their grid, and USD per unit of their currency. [USD]
    """
    granting = [u for u in units if u[1].gain_offset_fraction is not None]
    if not granting or len({len(u[0].gains) for u in granting}) > 1:
        return 0.0, 0.0
    counted = np.zeros(len(granting[0][0].gains))
    alone = 0.0
    for margin, rule, rate in granting:
        usd = margin.gains * rate
        cap = math.inf if rule.gain_offset_max is None else rule.gain_offset_max
        kept = np.minimum((rule.gain_offset_fraction or 0.0) * usd, cap)
        counted += np.where(usd > 0.0, kept, usd)
        alone += max(0.0, -float(usd.min()))
    saved = max(alone - max(0.0, -float(counted.min())), 0.0)
    return (
        saved * min(rule.initial_margin_factor for _, rule, _ in granting),
        saved * min(rule.maintenance_margin_factor for _, rule, _ in granting),
    )


def _charges(
    holdings: Sequence[Holding], rule: ScenarioGridParameters, index: float, in_coin: bool
) -> list[float]:
    by_expiry: dict[float, float] = {}
    by_strike: dict[tuple[float, float], float] = {}
    by_asset: dict[str, float] = {}
    long = short = gross_options = delta = 0.0
    for each in holdings:
        contract, units = each.contract, each.quantity * each.contract.multiplier
        delta += _delta(each, in_coin)
        if contract.kind in FUTURES:
            value = _at_mark(each, in_coin)
            key = -1.0 if contract.kind == "perpetual" else contract.years
            by_expiry[key] = by_expiry.get(key, 0.0) + value
            by_asset[each.settlement_asset] = by_asset.get(each.settlement_asset, 0.0) + value
            at_index = value if in_coin else value / contract.price * index
            long, short = long + max(at_index, 0.0), short + max(-at_index, 0.0)
        elif contract.kind == "option":
            gross_options += abs(units)
            place = contract.years, contract.strike
            by_strike[place] = by_strike.get(place, 0.0) + units
    per_option = 1.0 if in_coin else index
    roll = sum(
        abs(value) * max(_growth(rule, years), rule.annualised_move_min)
        for years, value in by_expiry.items()
    )
    naked = sum(max(-units, 0.0) for units in by_strike.values()) * per_option
    hedged = min(
        sum(max(value, 0.0) for value in by_asset.values()),
        sum(max(-value, 0.0) for value in by_asset.values()),
    )
    floors = [tier.notional_floor for tier in rule.depeg_tiers]
    return [
        roll,
        rule.futures_gross_rate * (long + short) + rule.futures_offset_rate * min(long, short),
        rule.option_gross_rate * gross_options * per_option + rule.net_short_option_rate * naked,
        0.0 if in_coin else _marginal(hedged, floors, [tier.rate for tier in rule.depeg_tiers]),
        _concentration(abs(delta), rule, index) * per_option,
        rule.contingency_amount,
    ]


def _growth(rule: ScenarioGridParameters, years: float) -> float:
    return math.expm1(rule.annualised_move_risk * years) if years >= 0.0 else 0.0


def _concentration(delta: float, rule: ScenarioGridParameters, index: float) -> float:
    if rule.delta_shock_threshold is None:
        return 0.0
    excess = max(delta - rule.delta_shock_threshold / index, 0.0)
    return delta * min(rule.delta_shock_slope * excess, rule.delta_shock_max)


def _at_mark(each: Holding, in_coin: bool) -> float:
    contract, units = each.contract, each.quantity * each.contract.multiplier
    return units / contract.price if in_coin else units * contract.price


def _delta(each: Holding, in_coin: bool) -> float:
    """Return the coins that hedge a position; of a coin-paid option after its premium."""
    contract, units = each.contract, each.quantity * each.contract.multiplier
    if contract.kind != "option":
        return units / contract.price if in_coin else units
    deviation = contract.volatility * math.sqrt(contract.years)
    sign = 1.0 if contract.is_call else -1.0
    d1 = math.log(contract.forward / contract.strike) / deviation + 0.5 * deviation
    delta = sign * float(ndtr(sign * d1))
    if in_coin:
        premium = sign * (
            contract.forward * float(ndtr(sign * d1))
            - contract.strike * float(ndtr(sign * (d1 - deviation)))
        )
        delta -= premium / contract.forward
    return units * delta


def _dampened(
    gains: Float64Array1D, rule: ScenarioGridParameters, index: float, in_coin: bool
) -> Float64Array1D:
    damp = np.array([cell[4] for cell in cells_of(rule)])
    if in_coin:
        reach = max(abs(s) for s in rule.price_shocks)
        edge = np.array([1.0 + math.copysign(reach, cell[0]) for cell in cells_of(rule)])
        damp = damp / (index * np.where(damp > 0.0, edge, 1.0))
    found: Float64Array1D = np.sign(gains) * np.maximum(np.abs(gains) - damp, 0.0)
    return found


def _marginal(value: float, floors: Sequence[float], rates: Sequence[float]) -> float:
    total = 0.0
    for floor, ceiling, rate in zip(floors, [*floors[1:], math.inf], rates, strict=False):
        total += rate * max(min(value, ceiling) - floor, 0.0)
    return total
