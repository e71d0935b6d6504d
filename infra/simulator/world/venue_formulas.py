"""The venues' margin formulas as a venue would write them down, position by position.

Plain arithmetic on published parameters, and on purpose none of the engine's: what the simulated
venues report has to be able to differ from the replica. Sources of the formulas stand with the
parameters in ``data_contracts/parameters/venues``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from engine.arrays import Float64Array1D
from engine.margin.scenario_grid import ScenarioGridParameters
from engine.margin.standard_option import StandardOptionParameters
from engine.margin.tiered import NotionalTiers, SizeSlope, Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One instrument with its prices at a venue; ``price`` of an inverse option is in coin."""

    name: str
    kind: str
    is_inverse: bool
    multiplier: float
    price: float
    index: float
    forward: float
    strike: float
    is_call: bool
    volatility: float
    years: float

    def notional(self, quantity: float) -> float:
        """Return the signed exposure at the mark. [settlement currency]"""
        if self.is_inverse and self.kind != "option":
            return quantity * self.multiplier / self.price
        return quantity * self.multiplier * self.price


def tier_margin(
    notional: float, rule: NotionalTiers, leverage: float | None
) -> tuple[float, float]:
    """Return initial and maintenance margin: each part of the notional at its tier's rate."""
    size = abs(notional)
    floors = [tier.notional_floor for tier in rule.tiers]
    maintenance = initial = 0.0
    current = rule.tiers[0]
    for tier, floor, ceiling in zip(rule.tiers, floors, [*floors[1:], math.inf], strict=True):
        part = min(size, ceiling) - floor
        if part <= 0.0:
            break
        current = tier
        maintenance += part * _maintenance_rate(tier)
        initial += part * (tier.initial_margin_rate or 0.0)
    most = current.leverage_max
    if leverage is not None:
        return size / (leverage if most is None else min(leverage, most)), maintenance
    if current.initial_margin_rate is None:
        return (size / most if most else math.nan), maintenance
    return initial, maintenance


def slope_margin(
    contract: Contract, quantity: float, rule: SizeSlope, leverage: float | None
) -> tuple[float, float]:
    """Return initial and maintenance margin at rates that rise with the coins held."""
    notional = abs(contract.notional(quantity))
    coins = notional if contract.is_inverse else abs(quantity) * contract.multiplier
    added = rule.rate_slope_per_unit * max(coins - rule.size_threshold, 0.0)
    initial = notional / leverage if leverage else notional * (rule.initial_margin_rate + added)
    return initial, notional * (rule.maintenance_margin_rate + added)


def short_option_margin(
    contract: Contract, quantity: float, rule: StandardOptionParameters
) -> tuple[float, float]:
    """Return initial and maintenance margin of one option; a long one needs none."""
    if quantity >= 0.0:
        return 0.0, 0.0
    unit = 1.0 if contract.is_inverse else contract.index
    away = (
        contract.strike - contract.index if contract.is_call else contract.index - contract.strike
    )
    out = max(away, 0.0) / (contract.index if contract.is_inverse else 1.0)
    floored = rule.rule == "mark_floor_all" or not contract.is_call
    least = rule.maintenance_margin_rate * unit
    if floored:
        least = max(least, rule.maintenance_margin_rate * contract.price)
    maintenance = least + contract.price + rule.liquidation_fee_rate * unit
    first, floor = rule.initial_margin_rate, rule.initial_margin_rate_min
    initial = math.nan
    if first is not None and floor is not None:
        initial = max(first * unit - out, floor * unit) + contract.price
        if floored:
            initial = max(initial, maintenance)
    size = -quantity * contract.multiplier
    return initial * size, maintenance * size


def cells_of(rule: ScenarioGridParameters) -> list[tuple[float, str, float, float, float]]:
    """Return shock, volatility move, weight, weight of inverse books and dampener of every cell."""
    cells: list[tuple[float, str, float, float, float]] = [
        (s, m, 1.0, 1.0, 0.0) for s in rule.price_shocks for m in rule.volatility_moves
    ]
    cells += [
        (e.price_shock, e.volatility_move, e.weight, e.weight, 0.0) for e in rule.extra_scenarios
    ]
    reach = max(abs(s) for s in rule.price_shocks)
    for s in rule.extended_price_shocks:
        weight = rule.extended_fraction * reach / abs(s)
        edge = 1.0 + math.copysign(reach, s)
        damp = max(abs(s) / reach - 1.0, 0.0) * rule.extended_dampener
        cells.append((s, "up", weight, weight * (1.0 + s) / edge, damp))
    return cells


def gains(
    contract: Contract, quantity: float, rule: ScenarioGridParameters, in_coin: bool
) -> Float64Array1D:
    """Return the gain of a position in every cell, weighted; in coin, else in quote currency."""
    cells = cells_of(rule)
    shocks = np.array([cell[0] for cell in cells])
    weights = np.array([cell[3] if in_coin else cell[2] for cell in cells])
    units = quantity * contract.multiplier
    gain: Float64Array1D
    if contract.kind != "option":
        coins = units / contract.price if contract.is_inverse else units
        gain = coins * ((1.0 - 1.0 / (1.0 + shocks)) if in_coin else contract.price * shocks)
        weighted: Float64Array1D = gain * weights
        return weighted
    moved = np.array([_moved(contract, rule, cell[1]) for cell in cells])
    ahead = contract.forward * (1.0 + shocks)
    before = _black(np.array([contract.forward]), np.array([contract.volatility]), contract)[0]
    after = _black(ahead, moved, contract)
    gain = units * ((after / ahead - before / contract.forward) if in_coin else after - before)
    found: Float64Array1D = gain * weights
    return found


def _moved(contract: Contract, rule: ScenarioGridParameters, move: str) -> float:
    days = 365.0 * contract.years
    power = rule.volatility_power_short if days < 30.0 else rule.volatility_power_long
    scale = math.pow(30.0 / max(days, rule.days_to_expiry_min), power)
    if move == "up":
        risen = contract.volatility * (1.0 + rule.volatility_shock_up * scale)
        return max(risen, rule.volatility_min)
    if move == "down":
        return max(contract.volatility * (1.0 - rule.volatility_shock_down * scale), 0.0)
    return contract.volatility


def _black(
    forward: Float64Array1D, volatility: Float64Array1D, contract: Contract
) -> Float64Array1D:
    deviation = volatility * math.sqrt(contract.years)
    sign = 1.0 if contract.is_call else -1.0
    intrinsic = np.maximum(sign * (forward - contract.strike), 0.0)
    safe = np.maximum(deviation, 1e-300)
    d1 = np.log(forward / contract.strike) / safe + 0.5 * safe
    value = sign * (forward * ndtr(sign * d1) - contract.strike * ndtr(sign * (d1 - safe)))
    found: Float64Array1D = np.where(deviation > 0.0, value, intrinsic)
    return found


def _maintenance_rate(tier: Tier) -> float:
    if tier.maintenance_margin_rate is not None:
        return tier.maintenance_margin_rate
    return 0.5 / tier.leverage_max if tier.leverage_max else 0.0
