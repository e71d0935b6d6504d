"""Margin of one Derive account under its standard manager.

Short options are margined one by one, but an expiry never needs more than its worst payoff. Written
from the manager's published formulas alone and held to the venue's own cases (test folder of
``derivexyz/v2-core``, Jan 2026). Evidence: published examples. Amounts are in the settlement
stablecoin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from engine.arrays import Float64Array1D
from engine.errors import ModelInputError
from engine.kernels.exact_sums import total
from engine.margin.derive_parameters import DeriveStandardParameters
from engine.margin.derive_revaluation import SECONDS_PER_YEAR
from engine.margin.derive_standard_book import DeriveStandardOptions, option_nets
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
    options, n_books = _options_by_book(account.options, market)
    nets = option_nets(options, n_books, parameters)
    initial += nets.net_initial_margin.tolist()
    maintenance += nets.net_maintenance_margin.tolist()
    worth.append(total(options.quantity * options.mark_price))
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


def _options_by_book(
    held: Sequence[DeriveStandardOption], market: DeriveStandardMarket
) -> tuple[DeriveStandardOptions, int]:
    """Return the options with their marks, and the number of underlyings and expiries."""
    number: dict[tuple[str, datetime], int] = {}
    seconds = []
    for option in held:
        number.setdefault((option.underlying, option.expiry), len(number))
        seconds.append((option.expiry - market.valuation_time).total_seconds())
        if seconds[-1] < 0.0:
            raise ModelInputError(
                f"option on {option.underlying} expired at {option.expiry.isoformat()}, before the "
                f"valuation at {market.valuation_time.isoformat()}",
                identifier=option.underlying,
            )
    is_call = np.array([each.is_call for each in held], dtype=np.bool_)
    strike = _numbers(each.strike_price for each in held)
    forward = _numbers(each.forward_price for each in held)
    terms = OptionTerms(
        is_call=is_call, strike_price=strike, years=_numbers(seconds) / SECONDS_PER_YEAR
    )
    mark = option_value(terms, forward, _numbers(each.volatility for each in held)).option_price
    spot = _numbers(market.underlying(each.underlying).spot_price for each in held)
    options = DeriveStandardOptions(
        book=np.array([number[each.underlying, each.expiry] for each in held], dtype=np.int64),
        is_call=is_call,
        quantity=_numbers(each.quantity for each in held),
        strike_price=strike,
        mark_price=mark,
        spot_price=spot,
        forward_price=forward,
    )
    return options, len(number)


def _numbers(values: Iterable[float]) -> Float64Array1D:
    return np.array(list(values), dtype=np.float64)


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
