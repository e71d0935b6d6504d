"""Margin of one Derive account under its standard manager.

Short options are margined one by one, but an expiry never needs more than its worst payoff. Written
from the manager's published formulas alone and held to the venue's own cases (test folder of
``derivexyz/v2-core``, Jan 2026). Evidence: published examples. Amounts are in the settlement
stablecoin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D
from engine.errors import ModelInputError
from engine.kernels.exact_sums import total
from engine.limits import STRICT, Fraction, NonNegative
from engine.pricing.black76 import option_value
from engine.pricing.terms import OptionTerms

__all__ = [
    "DeriveStandardAccount",
    "DeriveStandardCollateral",
    "DeriveStandardMargin",
    "DeriveStandardMarket",
    "DeriveStandardOption",
    "DeriveStandardParameters",
    "DeriveStandardPerpetual",
    "DeriveUnderlying",
    "derive_standard_margin",
]

_SECONDS_PER_YEAR = 31_536_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveStandardParameters:
    """Rates of the standard manager; fractions unless stated.

    Attributes
    ----------
    initial_margin_rate, initial_margin_rate_min : float
        Of spot less what an option is out of the money, and its floor.
    maintenance_margin_rate_call, maintenance_margin_rate_put : float
        Of spot.
    maintenance_margin_rate_put_mark : float
        Of the put's mark.
    maintenance_offset : float
        Initial margin of a short put is at least this times its maintenance.
    unpaired_call_initial, unpaired_call_maintenance : float
        Times the forward per net short call.
    perpetual_initial_rate, perpetual_maintenance_rate : float
        Of notional.
    confidence_threshold, confidence_factor : float
        Oracle confidence below which its charge starts, and its slope.
    stable_price_threshold, stable_price_factor : float
        Price of the stablecoin below which the depeg charge starts, and its slope. [USD], [-]
    """

    __pydantic_config__ = STRICT
    initial_margin_rate: Fraction
    initial_margin_rate_min: Fraction
    maintenance_margin_rate_call: Fraction
    maintenance_margin_rate_put: Fraction
    maintenance_margin_rate_put_mark: Fraction
    maintenance_offset: NonNegative
    unpaired_call_initial: NonNegative
    unpaired_call_maintenance: NonNegative
    perpetual_initial_rate: Fraction
    perpetual_maintenance_rate: Fraction
    confidence_threshold: Fraction
    confidence_factor: NonNegative
    stable_price_threshold: NonNegative
    stable_price_factor: NonNegative


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveUnderlying:
    """Oracle's spot price [USD] and its confidence, 0 to 1."""

    spot_price: float
    spot_confidence: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveStandardOption:
    """Option position; ``quantity`` long > 0, prices in quote currency."""

    underlying: str
    expiry: datetime
    strike_price: float
    is_call: bool
    quantity: float
    volatility: float
    forward_price: float
    forward_confidence: float = 1.0
    volatility_confidence: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveStandardPerpetual:
    """Perpetual position; ``unpaid_funding`` > 0 is owed to the holder."""

    underlying: str
    quantity: float
    mark_price: float
    entry_price: float
    confidence: float = 1.0
    unpaid_funding: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveStandardCollateral:
    """Base-asset collateral, of whose value ``collateral_rate`` counts as margin."""

    asset: str
    quantity: float
    mark_price: float
    collateral_rate: float
    confidence: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveStandardAccount:
    """What one account holds; ``cash_balance`` < 0 is debt."""

    cash_balance: float = 0.0
    options: tuple[DeriveStandardOption, ...] = ()
    perpetuals: tuple[DeriveStandardPerpetual, ...] = ()
    collateral: tuple[DeriveStandardCollateral, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveStandardMarket:
    """Underlyings by name, price of the stablecoin [USD], and the instant of the calculation."""

    underlyings: Mapping[str, DeriveUnderlying]
    valuation_time: datetime
    stable_price: float = 1.0

    def underlying(self, name: str) -> DeriveUnderlying:
        """Return an underlying, or raise ModelInputError if there is none of that name."""
        if name not in self.underlyings:
            raise ModelInputError(f"market has no {name!r}, which is held", identifier=name)
        return self.underlyings[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveStandardMargin:
    """Margin of one account, not rounded; net margins below zero mean under-margined."""

    net_initial_margin: float
    net_maintenance_margin: float
    mark_to_market: float


def derive_standard_margin(
    account: DeriveStandardAccount,
    market: DeriveStandardMarket,
    parameters: DeriveStandardParameters,
) -> DeriveStandardMargin:
    """Return the net margins of one account, the requirement taken off what it owns.

    Raises
    ------
    ModelInputError
        If an underlying has no price, an option has expired, or a number is not usable.
    """
    initial, maintenance, worth = ([account.cash_balance] for _ in range(3))
    for book in _expiry_books(account.options, market):
        book_initial, book_maintenance = book.net_margins(parameters)
        initial.append(book_initial)
        maintenance.append(book_maintenance)
        worth.append(total(book.quantity * book.mark))
    for held in account.perpetuals:
        gain = held.quantity * (held.mark_price - held.entry_price) + held.unpaid_funding
        notional = abs(held.quantity) * held.mark_price
        initial += [gain, -notional * parameters.perpetual_initial_rate]
        maintenance += [gain, -notional * parameters.perpetual_maintenance_rate]
        worth.append(gain)
    for asset in account.collateral:
        value = asset.quantity * asset.mark_price
        initial.append(value * asset.collateral_rate)
        maintenance.append(value * asset.collateral_rate)
        worth.append(value)
    initial += [-charge for charge in _oracle_charges(account, market, parameters)]
    return DeriveStandardMargin(
        net_initial_margin=total(initial),
        net_maintenance_margin=total(maintenance),
        mark_to_market=total(worth),
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _ExpiryBook:
    """Options of one underlying and expiry, with their marks."""

    spot_price: float
    forward_price: float
    is_call: BoolArray1D
    strike: Float64Array1D
    quantity: Float64Array1D
    mark: Float64Array1D

    def net_margins(self, one: DeriveStandardParameters) -> tuple[float, float]:
        """Return initial and maintenance: the better of option by option and worst payoff."""
        isolated_initial, isolated_maintenance = self._isolated(one)
        floor = self._payoff_floor()
        short_calls = max(-total(self.quantity[self.is_call]), 0.0) * self.forward_price
        return (
            max(isolated_initial, floor - short_calls * one.unpaired_call_initial),
            max(isolated_maintenance, floor - short_calls * one.unpaired_call_maintenance),
        )

    def _isolated(self, one: DeriveStandardParameters) -> tuple[float, float]:
        spot, mark = self.spot_price, self.mark
        distance = np.where(self.is_call, self.strike - spot, spot - self.strike)
        put_floor = np.maximum(
            one.maintenance_margin_rate_put * spot, one.maintenance_margin_rate_put_mark * mark
        )
        maintenance = (
            np.where(self.is_call, one.maintenance_margin_rate_call * spot, put_floor) + mark
        )
        needed = one.initial_margin_rate * spot - np.maximum(distance, 0.0)
        raw = np.maximum(needed, one.initial_margin_rate_min * spot) + mark
        floored = np.maximum(raw, one.maintenance_offset * maintenance)
        initial = np.where(self.is_call, raw, floored)
        short = np.minimum(self.quantity, 0.0)
        return total(short * initial), total(short * maintenance)

    def _payoff_floor(self) -> float:
        prices = np.concatenate([[0.0], self.strike])
        sign = np.where(self.is_call, 1.0, -1.0)
        payoffs = np.maximum(sign * (prices[:, np.newaxis] - self.strike), 0.0) * self.quantity
        return min(0.0, *(total(row) for row in payoffs))


def _expiry_books(
    options: Sequence[DeriveStandardOption], market: DeriveStandardMarket
) -> Iterator[_ExpiryBook]:
    held: dict[tuple[str, datetime], list[DeriveStandardOption]] = {}
    for option in options:
        held.setdefault((option.underlying, option.expiry), []).append(option)
    for (name, expiry), rows in held.items():
        seconds = (expiry - market.valuation_time).total_seconds()
        if seconds < 0.0:
            raise ModelInputError(
                f"option on {name} expired at {expiry.isoformat()}, before the valuation at "
                f"{market.valuation_time.isoformat()}",
                identifier=name,
            )
        terms = OptionTerms(
            is_call=np.array([row.is_call for row in rows], dtype=np.bool_),
            strike_price=np.array([row.strike_price for row in rows], dtype=np.float64),
            years=seconds / _SECONDS_PER_YEAR,
        )
        forward = np.array([row.forward_price for row in rows], dtype=np.float64)
        volatility = np.array([row.volatility for row in rows], dtype=np.float64)
        yield _ExpiryBook(
            spot_price=market.underlying(name).spot_price,
            forward_price=rows[0].forward_price,
            is_call=np.asarray(terms.is_call),
            strike=np.asarray(terms.strike_price),
            quantity=np.array([row.quantity for row in rows], dtype=np.float64),
            mark=option_value(terms, forward, volatility).option_price,
        )


def _oracle_charges(
    account: DeriveStandardAccount,
    market: DeriveStandardMarket,
    parameters: DeriveStandardParameters,
) -> Iterator[float]:
    """Yield what initial margin pays for a stablecoin off its peg and for unsure oracles."""
    depeg = max(parameters.stable_price_threshold - market.stable_price, 0.0)
    depeg_rate = depeg * parameters.stable_price_factor

    def confidence_rate(confidence: float) -> float:
        if confidence >= parameters.confidence_threshold:
            return 0.0
        return (1.0 - confidence) * parameters.confidence_factor

    for option in account.options:
        spot = market.underlying(option.underlying)
        confidence = min(
            option.forward_confidence, option.volatility_confidence, spot.spot_confidence
        )
        notional = max(-option.quantity, 0.0) * spot.spot_price
        yield notional * (depeg_rate + confidence_rate(confidence))
    for held in account.perpetuals:
        spot = market.underlying(held.underlying)
        confidence = min(held.confidence, spot.spot_confidence)
        notional = abs(held.quantity) * spot.spot_price
        yield notional * (depeg_rate + confidence_rate(confidence))
    for asset in account.collateral:
        yield asset.quantity * asset.mark_price * confidence_rate(asset.confidence)
