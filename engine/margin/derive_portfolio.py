"""Portfolio margin of one Derive account under its second portfolio manager.

Written from the manager's published formulas alone and held to the venue's own cases (test folder
of ``derivexyz/v2-core``, Jan 2026). Evidence: published examples. Amounts are in the settlement
stablecoin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D
from engine.errors import ModelInputError
from engine.kernels.exact_sums import grouped_sums, rounded, total
from engine.margin.derive_parameters import (
    DeriveAccount,
    DeriveCollateral,
    DeriveExpiry,
    DeriveMarket,
    DeriveMove,
    DeriveOption,
    DerivePerpetual,
    DerivePortfolioParameters,
    DeriveScenario,
)
from engine.pricing.black76 import option_value
from engine.pricing.terms import OptionTerms

__all__ = [
    "DeriveAccount",
    "DeriveCollateral",
    "DeriveExpiry",
    "DeriveMarket",
    "DeriveOption",
    "DerivePerpetual",
    "DerivePortfolioMargin",
    "DerivePortfolioParameters",
    "DeriveScenario",
    "derive_portfolio_margin",
]

_SECONDS_PER_YEAR = 31_536_000.0
_DAYS_PER_YEAR = 365.0
_REFERENCE_DAYS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivePortfolioMargin:
    """Margin of one account, not rounded; net margins below zero mean under-margined.

    Attributes
    ----------
    net_initial_margin, net_maintenance_margin : float
        What is left after the requirement.
    mark_to_market : float
        Cash, collateral, options, and profit and funding of the perpetual.
    initial_margin, maintenance_margin : float
        Requirement: mark-to-market less the net margin.
    worst_scenario_pnl : float
        Lowest of the scenarios and the forward contingency, at most 0.
    forward_contingency : float
        Loss if forwards move against the spot, at most 0.
    confidence_contingency : float
        Charge for oracles that are unsure, at least 0.
    """

    net_initial_margin: float
    net_maintenance_margin: float
    mark_to_market: float
    initial_margin: float
    maintenance_margin: float
    worst_scenario_pnl: float
    forward_contingency: float
    confidence_contingency: float


def derive_portfolio_margin(
    account: DeriveAccount,
    market: DeriveMarket,
    scenarios: tuple[DeriveScenario, ...],
    parameters: DerivePortfolioParameters,
    valuation_time: datetime,
) -> DerivePortfolioMargin:
    """Return the margin of one account: worst scenario loss, contingencies and mark-to-market.

    Raises
    ------
    ModelInputError
        If there is no scenario, an option's expiry has no or two market rows, or a number is not
        usable or too large.
    """
    if not scenarios:
        raise ModelInputError("scenarios are empty, limit: at least one", identifier="scenarios")
    books = list(_expiry_books(account, market, parameters, valuation_time))
    spot, held = market.spot_price, account.perpetual
    values = [each.quantity * each.mark_price / market.stable_price for each in account.collateral]
    delta_one = total(
        value
        for value, each in zip(values, account.collateral, strict=True)
        if each.offsets_spot_risk
    )
    delta_one += held.quantity * held.mark_price if held else 0.0
    forward_contingency = total(book.forward_contingency() for book in books)
    worst = min(0.0, forward_contingency, _worst_scenario(books, scenarios, delta_one))
    maintenance_charge, initial_charge = _static_charges(account, books, values, spot, parameters)
    confidence_charge = _confidence_charge(account, market, books, values, parameters)
    mark_to_market = total(
        [account.cash_balance, *values, *(book.value for book in books)]
        + ([held.unrealized_pnl, held.unpaid_funding] if held else [])
    )
    depeg = max(parameters.stable_price_threshold - market.stable_price, 0.0)
    net_maintenance = (
        parameters.maintenance_loss_factor * worst - maintenance_charge + mark_to_market
    )
    factor = parameters.initial_loss_factor + depeg * parameters.stable_price_factor
    charges = maintenance_charge + initial_charge + confidence_charge
    net_initial = factor * worst - charges + mark_to_market
    if not (math.isfinite(net_initial) and math.isfinite(net_maintenance)):
        raise ModelInputError("the net margin is not finite: inputs too large")
    return DerivePortfolioMargin(
        net_initial_margin=net_initial,
        net_maintenance_margin=net_maintenance,
        mark_to_market=mark_to_market,
        initial_margin=mark_to_market - net_initial,
        maintenance_margin=mark_to_market - net_maintenance,
        worst_scenario_pnl=worst,
        forward_contingency=forward_contingency,
        confidence_contingency=confidence_charge,
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _ExpiryBook:
    """Options of one expiry, revalued under shocks."""

    quote: DeriveExpiry
    years: float
    fixed_share: float
    is_call: BoolArray1D
    strike: Float64Array1D
    quantity: Float64Array1D
    volatility: Float64Array1D
    parameters: DerivePortfolioParameters
    value: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", self.shocked(0.0, self.volatility))

    @property
    def naked_shorts(self) -> float:
        strikes, strike_of = np.unique(self.strike, return_inverse=True)
        net = rounded(grouped_sums(self.quantity, strike_of, len(strikes)))
        return total(np.maximum(-net, 0.0))

    def forward_price(self, price_shock: float) -> float:
        # What the settlement average has already fixed does not move.
        moving = 1.0 - self.fixed_share
        return self.quote.forward_price * (moving * (1.0 + price_shock) + self.fixed_share)

    def shocked(self, price_shock: float, volatility: Float64Array1D) -> float:
        terms = OptionTerms(is_call=self.is_call, strike_price=self.strike, years=self.years)
        rate = max(self.quote.risk_free_rate, 0.0)
        worth = option_value(terms, self.forward_price(price_shock), volatility, rate).option_price
        return total(self.quantity * worth)

    def gain(self, scenario: DeriveScenario) -> float:
        """Return the change of value in a scenario; a skew may go either way, so it is a loss."""
        volatility = self.moved_volatility(scenario.volatility_move, scenario.price_shock)
        after = self.discounted(self.shocked(scenario.price_shock, volatility))
        change = after - self.value
        is_skew = scenario.volatility_move in ("skew_linear", "skew_absolute")
        return -abs(change) if is_skew else change

    def moved_volatility(self, move: DeriveMove, price_shock: float) -> Float64Array1D:
        one = self.parameters
        if move == "unchanged":
            return self.volatility
        if move in ("skew_linear", "skew_absolute"):
            return self._skewed(move, price_shock)
        days = _DAYS_PER_YEAR * self.years
        is_short = days <= _REFERENCE_DAYS
        power = one.volatility_power_short if is_short else one.volatility_power_long
        scale = (_REFERENCE_DAYS / max(days, one.days_to_expiry_min)) ** power
        if move == "up":
            moved = self.volatility * (1.0 + one.volatility_shock_up * scale)
            return np.asarray(np.maximum(moved, one.volatility_min))
        moved = self.volatility * max(1.0 - one.volatility_shock_down * scale, 0.0)
        return np.asarray(moved)

    def _skewed(self, move: DeriveMove, price_shock: float) -> Float64Array1D:
        one, root = self.parameters, math.sqrt(self.years)
        moneyness = np.log(self.strike / self.forward_price(price_shock))
        if move == "skew_linear":
            cap = one.skew_linear_cap + one.skew_linear_slope * root
        else:
            cap = one.skew_absolute_cap + one.skew_absolute_slope * root
            moneyness = np.abs(moneyness)
        width = root * one.skew_width_scale * (one.skew_width_static + one.skew_width_slope * root)
        slope = cap / max(one.skew_width_min, width)
        skew = np.minimum(np.maximum(moneyness * slope, -cap), cap)
        moved: Float64Array1D = self.volatility * np.maximum(1.0 + skew, 0.0)
        return moved

    def discounted(self, value: float) -> float:
        """Return ``value`` after the static discount: less if owned, more if owed."""
        one, rate = self.parameters, max(self.quote.risk_free_rate, 0.0)
        if value >= 0.0:
            spread = rate * one.discount_long_rate_multiplier + one.discount_long_rate_addend
            return value * one.discount_long * math.exp(-self.years * spread)
        spread = rate * one.discount_short_rate_multiplier + one.discount_short_rate_addend
        mark_up = one.discount_short * math.exp(self.years * spread)
        return value * min(math.exp(rate * self.years), mark_up)

    def forward_contingency(self) -> float:
        one = self.parameters
        up = self.shocked(one.forward_shock_up, self.volatility) - self.value
        down = self.shocked(one.forward_shock_down, self.volatility) - self.value
        weight = one.forward_addend + one.forward_multiplier * self.years
        return min(up, down, 0.0) * weight


def _expiry_books(
    account: DeriveAccount,
    market: DeriveMarket,
    parameters: DerivePortfolioParameters,
    valuation_time: datetime,
) -> Iterator[_ExpiryBook]:
    quotes = {quote.expiry: quote for quote in market.expiries}
    if len(quotes) < len(market.expiries):
        raise ModelInputError("market.expiries name an expiry twice", identifier="market.expiries")
    held: dict[datetime, list[DeriveOption]] = {}
    for option in account.options:
        held.setdefault(option.expiry, []).append(option)
    for expiry in sorted(held):
        if expiry not in quotes:
            raise ModelInputError(
                f"market.expiries have no row for {expiry.isoformat()}, which an option needs",
                identifier=expiry.isoformat(),
            )
        seconds = max((expiry - valuation_time).total_seconds(), 0.0)
        options = held[expiry]
        yield _ExpiryBook(
            quote=quotes[expiry],
            years=seconds / _SECONDS_PER_YEAR,
            fixed_share=max(1.0 - seconds / parameters.settlement_window_seconds, 0.0),
            is_call=np.array([each.is_call for each in options], dtype=np.bool_),
            strike=np.array([each.strike_price for each in options], dtype=np.float64),
            quantity=np.array([each.quantity for each in options], dtype=np.float64),
            volatility=np.array([each.volatility for each in options], dtype=np.float64),
            parameters=parameters,
        )


def _worst_scenario(
    books: list[_ExpiryBook], scenarios: tuple[DeriveScenario, ...], delta_one: float
) -> float:
    return min(
        scenario.weight
        * total([delta_one * scenario.price_shock, *(book.gain(scenario) for book in books)])
        for scenario in scenarios
    )


def _static_charges(
    account: DeriveAccount,
    books: list[_ExpiryBook],
    values: list[float],
    spot: float,
    parameters: DerivePortfolioParameters,
) -> tuple[float, float]:
    """Return the maintenance charge, and what the initial charge adds to it."""
    size = abs(account.perpetual.quantity) if account.perpetual else 0.0
    naked = total(book.naked_shorts for book in books)
    haircuts = list(zip(account.collateral, values, strict=True))
    maintenance = spot * (
        parameters.perpetual_maintenance_rate * size + parameters.option_maintenance_rate * naked
    ) + total(each.maintenance_haircut * value for each, value in haircuts)
    initial = spot * (
        parameters.perpetual_initial_rate * size + parameters.option_initial_rate * naked
    ) + total(each.initial_haircut * value for each, value in haircuts)
    return maintenance, initial


def _confidence_charge(
    account: DeriveAccount,
    market: DeriveMarket,
    books: list[_ExpiryBook],
    values: list[float],
    parameters: DerivePortfolioParameters,
) -> float:
    def charge(confidence: float, notional: float) -> float:
        if confidence >= parameters.confidence_threshold:
            return 0.0
        return (1.0 - confidence) * parameters.confidence_factor * notional

    held, spot = account.perpetual, market.spot_confidence
    charges = [
        charge(min(each.confidence, spot), value)
        for each, value in zip(account.collateral, values, strict=True)
    ]
    if held:
        charges.append(charge(min(held.confidence, spot), abs(held.quantity) * market.spot_price))
    for book in books:
        quote = book.quote
        confidences = [quote.forward_confidence, quote.rate_confidence, quote.volatility_confidence]
        worst = min([*confidences, spot] + ([held.confidence] if held else []))
        charges.append(charge(worst, market.spot_price * total(np.abs(book.quantity))))
    return total(charges)
