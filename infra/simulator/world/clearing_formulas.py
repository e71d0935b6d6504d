"""SPAN and rates by open interest as a venue writes them down: none of the engine's arithmetic.

What the simulated venues report has to be able to differ from the replica.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from scipy.special import ndtr

from engine.margin.span import SpanParameters
from engine.margin.tiered import OpenInterestScaled
from infra.simulator.world.venue_account_desk import DeskMarket
from infra.simulator.world.venue_formulas import Contract


class Demand(NamedTuple):
    """What a venue demands of an account. [USD]"""

    initial: float
    maintenance: float


def span_demand(book: Mapping[str, float], desk: DeskMarket, venue: str) -> Demand:
    """Return the margin of a clearing account: each commodity by itself, no credits between."""
    initial = maintenance = 0.0
    coins = {name: str(desk.instruments[name]["underlying"]) for name in book}
    for coin in sorted(set(coins.values())):
        rule = desk.rules.parameters(venue, "span", coin, SpanParameters)
        mine = {name: quantity for name, quantity in book.items() if coins[name] == coin}
        risk, value = _commodity(mine, desk, rule, desk.usd_rates[coin])
        initial += max(rule.initial_margin_factor * risk - value, 0.0)
        maintenance += max(risk - value, 0.0)
    return Demand(max(initial, maintenance), maintenance)


def open_interest_demand(book: Mapping[str, float], desk: DeskMarket, venue: str) -> Demand:
    """Return the margin of an account at a venue whose rates go by open interest.

    At its base rate: the simulated markets are below the caps.
    """
    initial = maintenance = 0.0
    for name, quantity in sorted(book.items()):
        symbol = str(desk.instruments[name]["venue_symbol"])
        rule = desk.rules.parameters(venue, "tiered", symbol, OpenInterestScaled)
        size = abs(quantity) * desk.contracts[name].price * desk.usd_rates["USDC"]
        initial += size * rule.initial_margin_rate
        maintenance += size * rule.initial_margin_rate * rule.maintenance_fraction
    return Demand(initial, maintenance)


def _commodity(
    book: Mapping[str, float], desk: DeskMarket, rule: SpanParameters, index: float
) -> tuple[float, float]:
    """Return risk margin and net option value of one commodity. [USD]"""
    losses = [
        -weight * sum(q * _gain(desk.contracts[n], move, up, rule) for n, q in book.items())
        for move, up, weight in _scenarios(rule)
    ]
    by_month: dict[str, float] = {}
    value = sold = 0.0
    for name, quantity in sorted(book.items()):
        contract = desk.contracts[name]
        month = f"{desk.instruments[name]['expiry_utc']:%Y-%m}"
        units = quantity * contract.multiplier
        by_month[month] = by_month.get(month, 0.0) + units * _delta(contract)
        if contract.kind == "option":
            value += units * _price(contract, contract.forward, contract.volatility)
            sold += max(-units, 0.0)
    long = sum(max(delta, 0.0) for delta in by_month.values())
    short = sum(max(-delta, 0.0) for delta in by_month.values())
    scan = max(*losses, 0.0)
    charge = min(long, short) * index * rule.inter_month_charge_rate
    least = sold * index * rule.price_scan_range * rule.short_option_minimum_rate
    return max(scan + charge, least), value


def _scenarios(rule: SpanParameters) -> list[tuple[float, int, float]]:
    """Return price move, direction of volatility and weight of the sixteen scenarios."""
    found = [
        (third * rule.price_scan_range / 3.0, up, 1.0)
        for third in (0, 1, -1, 2, -2, 3, -3)
        for up in (1, -1)
    ]
    extreme = rule.extreme_move_multiplier * rule.price_scan_range
    fall = extreme if rule.extreme_fall_max is None else min(extreme, rule.extreme_fall_max)
    found += [(extreme, 0, rule.extreme_cover_fraction), (-fall, 0, rule.extreme_cover_fraction)]
    return found


def _gain(contract: Contract, move: float, up: int, rule: SpanParameters) -> float:
    if contract.kind != "option":
        return contract.multiplier * contract.price * move
    step = rule.volatility_scan_range
    step *= contract.volatility if rule.volatility_scan == "relative" else 1.0
    moved = max(contract.volatility + up * step, 0.0)
    after = _price(contract, contract.forward * (1.0 + move), moved)
    return contract.multiplier * (after - _price(contract, contract.forward, contract.volatility))


def _price(contract: Contract, forward: float, volatility: float) -> float:
    sign = 1.0 if contract.is_call else -1.0
    deviation = volatility * math.sqrt(contract.years)
    if deviation <= 0.0:
        return max(sign * (forward - contract.strike), 0.0)
    d1 = math.log(forward / contract.strike) / deviation + 0.5 * deviation
    at_forward, at_strike = ndtr(sign * d1), ndtr(sign * (d1 - deviation))
    return float(sign * (forward * at_forward - contract.strike * at_strike))


def _delta(contract: Contract) -> float:
    if contract.kind != "option":
        return 1.0
    deviation = contract.volatility * math.sqrt(contract.years)
    d1 = math.log(contract.forward / contract.strike) / deviation + 0.5 * deviation
    return float(ndtr(d1)) - (0.0 if contract.is_call else 1.0)
