"""Margins of Derive's two managers as the venue would work them out, position by position.

Plain arithmetic on published parameters, and on purpose none of the engine's: what the simulated
venue reports has to be able to differ from the replica.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.margin.derive_parameters import (
    DerivePortfolioRules,
    DeriveScenario,
    DeriveStandardParameters,
)
from infra.simulator.world.venue_formulas import Contract

_DAYS_PER_YEAR = 365.0
_SECONDS_PER_YEAR = 31_536_000.0


@dataclass(frozen=True, slots=True)
class Held:
    """One position; coins are contracts times the multiplier, long > 0."""

    contract: Contract
    coins: float


@dataclass(frozen=True, slots=True)
class Oracle:
    """Price of the coin in dollars, and of the dollar coin that pays."""

    spot_price: float
    stable_price: float


def portfolio_margin(
    held: Sequence[Held], oracle: Oracle, rule: DerivePortfolioRules
) -> tuple[float, float]:
    """Return initial and maintenance margin of what an account holds on one coin. [USD]"""
    books = _by_expiry(held)
    straight = [each for each in held if each.contract.kind != "option"]
    moving = sum(each.coins * each.contract.price for each in straight)
    outcomes = [0.0, sum(_forward_loss(book, rule) for book in books.values())]
    for scenario in rule.scenarios:
        gain = moving * scenario.price_shock
        gain += sum(_gain(book, scenario, rule) for book in books.values())
        outcomes.append(gain * scenario.weight)
    loss = -min(outcomes)
    perpetual = sum(abs(each.coins) for each in straight if each.contract.kind != "spot")
    naked = sum(max(-net, 0.0) for book in books.values() for net in _by_strike(book).values())
    floor = oracle.spot_price * (
        rule.perpetual_maintenance_rate * perpetual + rule.option_maintenance_rate * naked
    )
    added = oracle.spot_price * (
        rule.perpetual_initial_rate * perpetual + rule.option_initial_rate * naked
    )
    below = max(rule.stable_price_threshold - oracle.stable_price, 0.0)
    factor = rule.initial_loss_factor + below * rule.stable_price_factor
    return (
        oracle.stable_price * (factor * loss + floor + added),
        oracle.stable_price * (rule.maintenance_loss_factor * loss + floor),
    )


def standard_margin(
    held: Sequence[Held], oracle: Oracle, rule: DeriveStandardParameters
) -> tuple[float, float]:
    """Return initial and maintenance margin of what an account holds on one coin. [USD]"""
    initial = maintenance = 0.0
    below = max(rule.stable_price_threshold - oracle.stable_price, 0.0) * rule.stable_price_factor
    for each in held:
        if each.contract.kind == "perpetual":
            notional = abs(each.coins) * each.contract.price
            initial += notional * rule.perpetual_initial_rate
            initial += abs(each.coins) * oracle.spot_price * below
            maintenance += notional * rule.perpetual_maintenance_rate
    for book in _by_expiry(held).values():
        singly = [0.0, 0.0]
        for each in book:
            size = max(-each.coins, 0.0)
            first, least = _short_option(each.contract, oracle.spot_price, rule)
            singly[0] += size * first
            singly[1] += size * least
            initial += size * oracle.spot_price * below
        prices = [0.0, *(each.contract.strike for each in book)]
        worst = -min(0.0, *(sum(_payoff(each, price) for each in book) for price in prices))
        calls = max(-sum(each.coins for each in book if each.contract.is_call), 0.0)
        unpaired = calls * book[0].contract.forward
        initial += min(singly[0], worst + unpaired * rule.unpaired_call_initial)
        maintenance += min(singly[1], worst + unpaired * rule.unpaired_call_maintenance)
    return oracle.stable_price * initial, oracle.stable_price * maintenance


def option_value(contract: Contract, forward: float, volatility: float) -> float:
    """Return what one coin of an option is worth before any discount. [quote currency]"""
    sign = 1.0 if contract.is_call else -1.0
    deviation = volatility * math.sqrt(contract.years)
    if deviation == 0.0:
        return max(sign * (forward - contract.strike), 0.0)
    upper = math.log(forward / contract.strike) / deviation + 0.5 * deviation
    return sign * (
        forward * _normal(sign * upper) - contract.strike * _normal(sign * (upper - deviation))
    )


def _short_option(
    contract: Contract, spot: float, rule: DeriveStandardParameters
) -> tuple[float, float]:
    mark = option_value(contract, contract.forward, contract.volatility)
    away = contract.strike - spot if contract.is_call else spot - contract.strike
    first = max(
        rule.initial_margin_rate * spot - max(away, 0.0), rule.initial_margin_rate_min * spot
    )
    if contract.is_call:
        return first + mark, rule.maintenance_margin_rate_call * spot + mark
    share = rule.maintenance_margin_rate_put_mark * mark
    least = max(rule.maintenance_margin_rate_put * spot, share) + mark
    return max(first + mark, rule.maintenance_offset * least), least


def _payoff(each: Held, price: float) -> float:
    sign = 1.0 if each.contract.is_call else -1.0
    return each.coins * max(sign * (price - each.contract.strike), 0.0)


def _by_expiry(held: Iterable[Held]) -> dict[float, list[Held]]:
    books: dict[float, list[Held]] = {}
    for each in held:
        if each.contract.kind == "option":
            books.setdefault(each.contract.years, []).append(each)
    return books


def _by_strike(book: Iterable[Held]) -> Mapping[float, float]:
    nets: dict[float, float] = {}
    for each in book:
        nets[each.contract.strike] = nets.get(each.contract.strike, 0.0) + each.coins
    return nets


def _worth(book: Iterable[Held], shock: float, move: str, rule: DerivePortfolioRules) -> float:
    total = 0.0
    for each in book:
        contract = each.contract
        seconds = contract.years * _SECONDS_PER_YEAR
        fixed = max(1.0 - seconds / rule.settlement_window_seconds, 0.0)
        forward = contract.forward * ((1.0 - fixed) * (1.0 + shock) + fixed)
        volatility = _moved(contract, forward, move, rule)
        total += each.coins * option_value(contract, forward, volatility)
    return total


def _gain(book: Sequence[Held], scenario: DeriveScenario, rule: DerivePortfolioRules) -> float:
    before = _worth(book, 0.0, "unchanged", rule)
    after = _worth(book, scenario.price_shock, scenario.volatility_move, rule)
    years = book[0].contract.years
    if after >= 0.0:
        after *= rule.discount_long * math.exp(-years * rule.discount_long_rate_addend)
    else:
        after *= min(1.0, rule.discount_short * math.exp(years * rule.discount_short_rate_addend))
    gain = after - before
    return -abs(gain) if scenario.volatility_move.startswith("skew") else gain


def _forward_loss(book: Sequence[Held], rule: DerivePortfolioRules) -> float:
    before = _worth(book, 0.0, "unchanged", rule)
    moved = [
        _worth(book, shock, "unchanged", rule) - before
        for shock in (rule.forward_shock_up, rule.forward_shock_down)
    ]
    weight = rule.forward_addend + rule.forward_multiplier * book[0].contract.years
    return min(0.0, *moved) * weight


def _moved(contract: Contract, forward: float, move: str, rule: DerivePortfolioRules) -> float:
    volatility, days = contract.volatility, _DAYS_PER_YEAR * contract.years
    power = rule.volatility_power_short if days <= 30.0 else rule.volatility_power_long
    scale = math.pow(30.0 / max(days, rule.days_to_expiry_min), power)
    if move == "up":
        return max(volatility * (1.0 + rule.volatility_shock_up * scale), rule.volatility_min)
    if move == "down":
        return volatility * max(1.0 - rule.volatility_shock_down * scale, 0.0)
    if move == "unchanged":
        return volatility
    root, away = math.sqrt(contract.years), math.log(contract.strike / forward)
    cap = rule.skew_linear_cap + rule.skew_linear_slope * root
    if move == "skew_absolute":
        cap, away = rule.skew_absolute_cap + rule.skew_absolute_slope * root, abs(away)
    width = root * rule.skew_width_scale * (rule.skew_width_static + rule.skew_width_slope * root)
    skew = min(max(away * cap / max(rule.skew_width_min, width), -cap), cap)
    return volatility * max(1.0 + skew, 0.0)


def _normal(value: float) -> float:
    return 0.5 * math.erfc(-value / math.sqrt(2.0))
