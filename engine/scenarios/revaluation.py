"""Profit and loss of one contract of every instrument in every scenario, in USD.

Linear, inverse and quanto payoffs are exact, and the settlement asset moves in the same scenario:
a coin-settled gain is worth less when the coin has fallen. Shocks are instantaneous: no time
decay is credited over the margin period of risk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D
from engine.kernels.black76 import scenario_option_values
from engine.rules import HouseParameters
from engine.scenarios.scenario_set import ScenarioSet
from engine.times import NANOSECONDS_PER_YEAR

SPOT, PERPETUAL, FUTURE, OPTION = "spot", "perpetual", "future", "option"
DELTA_BUMP: Final = 1e-4
"""Relative move either way that the delta of an option is taken from."""


@dataclass(frozen=True, slots=True, eq=False)
class PricedInstruments:
    """Instruments with everything that revaluation needs, as arrays of one row each.

    Attributes
    ----------
    instrument_id, kind, payoff, underlying : numpy.ndarray of str objects
    quote_asset, settlement_asset : numpy.ndarray of str objects
    contract_multiplier : Float64Array1D
        Units per contract. [underlying, quote currency or settlement asset, by payoff]
    mark_price : Float64Array1D
        Mark; NaN where unusable. [quote currency; coin for inverse options]
    forward_price, volatility, years, strike : Float64Array1D
        Options: forward [quote], annual volatility, time from the mark to expiry [365-day years],
        strike. Measured from the mark, so that the model's value is the mark's.
    tenor_years : Float64Array1D
        Time from the close to expiry of options and futures, by which shocks spread; NaN for
        others. [365-day years]
    is_call : BoolArray1D
    settlement_rate : Float64Array1D
        Price of the settlement asset. [USD]
    fault : tuple of str
        Why an instrument cannot be revalued, expiry included; empty text where it can.
    """

    instrument_id: np.ndarray
    kind: np.ndarray
    payoff: np.ndarray
    underlying: np.ndarray
    quote_asset: np.ndarray
    settlement_asset: np.ndarray
    contract_multiplier: Float64Array1D
    mark_price: Float64Array1D
    forward_price: Float64Array1D
    volatility: Float64Array1D
    years: Float64Array1D
    tenor_years: Float64Array1D
    strike: Float64Array1D
    is_call: BoolArray1D
    settlement_rate: Float64Array1D
    fault: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Revaluation:
    """What one contract gains or loses, and what it is worth now.

    Attributes
    ----------
    scenario_pnl : Float64Array2D, shape (n_instruments, n_scenarios)
        Profit (+) or loss (-) of one contract held long; zero rows where ``fault`` is set. [USD]
    unit_value : Float64Array1D
        Value of one contract: notional of linear and inverse contracts, premium of options. [USD]
    delta_notional : Float64Array1D
        Change of value per unit relative change of the underlying's price. [USD]
    """

    scenario_pnl: Float64Array2D
    unit_value: Float64Array1D
    delta_notional: Float64Array1D


def revalue(
    instruments: PricedInstruments, scenarios: ScenarioSet, house: HouseParameters
) -> Revaluation:
    """Return the scenario profit and loss of one contract of each instrument.

    Instruments are grouped by everything that makes their shocks equal (underlying, settlement
    asset, payoff, MPOR, tenor), so that the inner loops run over plain arrays.
    """
    n = len(instruments.fault)
    pnl = np.zeros((n, len(scenarios.names)))
    unit_value, delta_notional = np.zeros(n), np.zeros(n)
    row_of = {asset: row for row, asset in enumerate(scenarios.assets)}
    for rows in groups_of(instruments):
        group = FactorGroup.of(instruments, rows, scenarios, row_of, house)
        if group.kind == OPTION:
            _option(group, pnl, unit_value, delta_notional)
        else:
            _delta_one(group, pnl, unit_value, delta_notional)
    return Revaluation(scenario_pnl=pnl, unit_value=unit_value, delta_notional=delta_notional)


def groups_of(instruments: PricedInstruments) -> list[Int64Array1D]:
    """Return the rows without a fault, by everything that makes their shocks equal."""
    # A dictionary of a few hundred rows: a frame takes ten times as long, tick after tick.
    tenor = np.nan_to_num(instruments.tenor_years, nan=-1.0).tolist()
    columns = (
        instruments.kind, instruments.payoff, instruments.underlying, instruments.quote_asset,
        instruments.settlement_asset, tenor, instruments.fault,
    )  # fmt: skip
    by_key: dict[tuple[object, ...], list[int]] = {}
    for row, (*key, fault) in enumerate(zip(*columns, strict=True)):
        if not fault:
            by_key.setdefault(tuple(key), []).append(row)
    return [np.array(rows, dtype=np.int64) for rows in by_key.values()]


@dataclass(frozen=True, slots=True, eq=False)
class FactorGroup:
    """Instruments whose shocks are equal, with those shocks as factors."""

    instruments: PricedInstruments
    rows: Int64Array1D
    kind: str
    is_inverse: bool
    price_factor: Float64Array1D
    index_factor: Float64Array1D
    settlement_factor: Float64Array1D
    volatility_factor: Float64Array1D

    @classmethod
    def of(
        cls,
        instruments: PricedInstruments,
        rows: Int64Array1D,
        scenarios: ScenarioSet,
        row_of: dict[str, int],
        house: HouseParameters,
    ) -> FactorGroup:
        first = int(rows[0])
        kind, underlying = str(instruments.kind[first]), str(instruments.underlying[first])
        shocks = scenarios.by_mpor[house.mpor.days(kind, underlying)]
        row = row_of[underlying]
        settlement_row = row_of[str(instruments.settlement_asset[first])]
        # Indices are in USD; a price quoted in a stablecoin rises when the stablecoin falls.
        quote_row = row_of.get(str(instruments.quote_asset[first]))
        quote = shocks.index[quote_row] if quote_row is not None else 0.0
        years = float(instruments.tenor_years[first])
        tenor = {SPOT: 0.0, PERPETUAL: house.surface.perpetual_basis_tenor_years}.get(kind, years)
        weight = _tenor_weight(years, house)
        return cls(
            instruments=instruments,
            rows=rows,
            kind=kind,
            is_inverse=str(instruments.payoff[first]) == "inverse",
            price_factor=np.exp(shocks.index[row] + shocks.basis[row] * tenor - quote),
            index_factor=np.exp(shocks.index[row]),
            settlement_factor=np.exp(shocks.index[settlement_row]),
            volatility_factor=np.exp(weight * shocks.volatility_level[row]),
        )


def _tenor_weight(years: float, house: HouseParameters) -> float:
    """Return how much of the 30-day volatility shock reaches an expiry: short ones move more."""
    surface = house.surface
    days = max(years * 365.0, surface.tenor_days_min) if np.isfinite(years) else np.inf
    return float((surface.reference_tenor_days / days) ** surface.tenor_exponent)


def _delta_one(
    group: FactorGroup,
    pnl: Float64Array2D,
    unit_value: Float64Array1D,
    delta_notional: Float64Array1D,
) -> None:
    one, rows = group.instruments, group.rows
    mark, multiplier = one.mark_price[rows][:, None], one.contract_multiplier[rows][:, None]
    rate = one.settlement_rate[rows][:, None]
    rate_then = rate * group.settlement_factor[None, :]
    price_then = mark * group.price_factor[None, :]
    if group.is_inverse:
        pnl[rows] = multiplier * (1.0 / mark - 1.0 / price_then) * rate_then
        notional = multiplier / mark * rate
    elif group.kind == SPOT:
        # A holding is exposed to its quote currency whole, a future only with its gain.
        pnl[rows] = multiplier * (price_then * rate_then - mark * rate)
        notional = multiplier * mark * rate
    else:
        pnl[rows] = multiplier * (price_then - mark) * rate_then
        notional = multiplier * mark * rate
    unit_value[rows] = delta_notional[rows] = notional[:, 0]


def _option(
    group: FactorGroup,
    pnl: Float64Array2D,
    unit_value: Float64Array1D,
    delta_notional: Float64Array1D,
) -> None:
    one, rows = group.instruments, group.rows
    factors = option_factors(group)
    values = scenario_option_values(
        forward=one.forward_price[rows],
        strike=one.strike[rows],
        is_call=one.is_call[rows],
        volatility=one.volatility[rows],
        years=one.years[rows],
        forward_factor=factors.forward,
        volatility_factor=factors.volatility,
    )
    rate = one.settlement_rate[rows]
    # Paid in coin: value over forward coins, each worth the shocked index.
    coin_price = rate / one.forward_price[rows] if group.is_inverse else rate
    rates = coin_price[:, None] * factors.payment[None, :]
    worth = one.contract_multiplier[rows][:, None] * values * rates
    pnl[rows] = worth[:, 1:-2] - worth[:, :1]
    unit_value[rows] = worth[:, 0]
    delta_notional[rows] = (worth[:, -2] - worth[:, -1]) / (2.0 * DELTA_BUMP)


@dataclass(frozen=True, slots=True, eq=False)
class OptionFactors:
    """What moves options of a group: today first, then the scenarios, then two bumps of delta.

    ``forward`` and ``volatility`` multiply those of the option, ``payment`` the dollars that a unit
    of its value is paid in.
    """

    forward: Float64Array1D
    volatility: Float64Array1D
    payment: Float64Array1D


def option_factors(group: FactorGroup) -> OptionFactors:
    """Return the factors of a group of options; the loss is measured from the model's own value."""
    ones = np.ones(1)
    payment = (
        group.index_factor / group.price_factor if group.is_inverse else group.settlement_factor
    )
    return OptionFactors(
        forward=np.concatenate([ones, group.price_factor, [1.0 + DELTA_BUMP, 1.0 - DELTA_BUMP]]),
        volatility=np.concatenate([ones, group.volatility_factor, [1.0, 1.0]]),
        payment=np.concatenate([ones, payment, [1.0, 1.0]]),
    )


def years_to(expiry_ns: Int64Array1D, from_ns: Int64Array1D | int) -> Float64Array1D:
    """Return 365-day years from ``from_ns`` to each expiry, never negative."""
    years: Float64Array1D = np.maximum(expiry_ns - from_ns, 0) / NANOSECONDS_PER_YEAR
    return years
