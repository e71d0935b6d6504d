"""Profit and loss of one contract of each instrument in every cell of a scenario grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, ObjectArray1D
from engine.errors import ModelInputError
from engine.kernels.black76 import scenario_option_values
from engine.margin.scenario_cells import Int8Array1D, ScenarioCells
from engine.pricing.black76 import option_value
from engine.pricing.terms import OptionTerms

PERPETUAL, FUTURE, OPTION, SPOT = range(4)
INSTRUMENT_TYPES: Final = ("perpetual", "future", "option", "spot")
"""Words of ``kind``, by their code."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ScenarioInstruments:
    """Instruments with what their revaluation needs, as arrays of one row each.

    A number that does not apply or is not known is NaN; `faults` says whom that leaves without a
    value.

    Attributes
    ----------
    symbol : ObjectArray1D of str
        Name in error messages.
    kind : Int8Array1D
        ``PERPETUAL``, ``FUTURE``, ``OPTION`` or ``SPOT``.
    is_inverse : BoolArray1D
        Paid in the coin, else in the quote currency.
    contract_multiplier : Float64Array1D
        Units per contract. [underlying if linear; quote currency, options coin, if inverse]
    mark_price : Float64Array1D
        Price that the shock moves; not used by options. [quote currency]
    years : Float64Array1D
        Time to expiry of options and futures, above zero. [years of 365 days]
    is_call : BoolArray1D
    strike_price, forward_price : Float64Array1D
        Of options. [quote currency]
    volatility : Float64Array1D
        Of options, annual. [1/sqrt(year)]
    risk_free_rate : Float64Array1D
        Of options, continuous, for discounting. [1/year]
    """

    symbol: ObjectArray1D
    kind: Int8Array1D
    is_inverse: BoolArray1D
    contract_multiplier: Float64Array1D
    mark_price: Float64Array1D
    years: Float64Array1D
    is_call: BoolArray1D
    strike_price: Float64Array1D
    forward_price: Float64Array1D
    volatility: Float64Array1D
    risk_free_rate: Float64Array1D

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def is_option(self) -> BoolArray1D:
        """Whether each instrument is an option."""
        return np.asarray(self.kind == OPTION)

    @property
    def is_derivative_future(self) -> BoolArray1D:
        """Whether each instrument is a perpetual or a dated future."""
        return np.asarray((self.kind == PERPETUAL) | (self.kind == FUTURE))


def faults(instruments: ScenarioInstruments) -> tuple[str, ...]:
    """Return for each instrument why it cannot be revalued, or empty text where it can.

    Who holds an instrument with a fault has no margin; a missing price is never a loss of zero.
    """
    positive = {
        "contract_multiplier": np.ones(len(instruments), dtype=np.bool_),
        "mark_price": ~instruments.is_option,
        "years": instruments.is_option | (instruments.kind == FUTURE),
        "strike_price": instruments.is_option,
        "forward_price": instruments.is_option,
        "volatility": instruments.is_option,
    }
    found = np.full(len(instruments), "", dtype=object)
    for name, is_needed in positive.items():
        values = getattr(instruments, name)
        limit = ">= 0" if name == "volatility" else "> 0"
        fits = np.isfinite(values) & ((values >= 0.0) if name == "volatility" else (values > 0.0))
        for row in np.flatnonzero(is_needed & ~fits & (found == "")):
            found[row] = f"{name} of {instruments.symbol[row]} is {values[row]}, limit {limit}"
    lacks_rate = instruments.is_option & ~np.isfinite(instruments.risk_free_rate)
    for row in np.flatnonzero(lacks_rate & (found == "")):
        rate = instruments.risk_free_rate[row]
        found[row] = f"risk_free_rate of {instruments.symbol[row]} is {rate}, limit: finite"
    return tuple(found)


def unit_scenario_pnl(
    instruments: ScenarioInstruments, cells: ScenarioCells, volatilities: Float64Array2D
) -> Float64Array2D:
    """Return what one contract held long gains or loses in each cell, times the cell's weight.

    Futures, perpetuals and spot are exact, linear and inverse; options are repriced whole by
    Black-76 at an unshortened time to expiry. The matrix depends on the market alone: books that
    hold the instruments, and candidates for them, are multiples of its rows.

    Parameters
    ----------
    volatilities : Float64Array2D, shape (n_moves, n_instruments)
        Volatility of each option in each of the moves that ``cells.move`` names; NaN for others.

    Returns
    -------
    Float64Array2D, shape (n_instruments, n_cells)
        Profit (+) or loss (-); NaN where `faults` has a reason. [settlement currency]

    Raises
    ------
    ModelInputError
        If a shocked price or value is not finite.
    """
    pnl = np.full((len(instruments), len(cells)), np.nan)
    is_usable = np.array([not fault for fault in faults(instruments)], dtype=np.bool_)
    shock = cells.price_shock
    for is_inverse in (False, True):
        weight = cells.inverse_weight if is_inverse else cells.weight
        rows = np.flatnonzero(
            is_usable & ~instruments.is_option & (instruments.is_inverse == is_inverse)
        )
        multiplier = instruments.contract_multiplier[rows]
        mark = instruments.mark_price[rows]
        notional = multiplier / mark if is_inverse else multiplier * mark
        move = shock / (1.0 + shock) if is_inverse else shock
        pnl[rows] = notional[:, np.newaxis] * move * weight
    options = np.flatnonzero(is_usable & instruments.is_option)
    if len(options):
        gain = _option_gain(instruments, options, cells, volatilities)
        weight = np.where(
            instruments.is_inverse[options, np.newaxis], cells.inverse_weight, cells.weight
        )
        pnl[options] = instruments.contract_multiplier[options, np.newaxis] * gain * weight
    if not np.isfinite(pnl[is_usable]).all():
        row = int(np.flatnonzero(is_usable & ~np.isfinite(pnl).all(axis=1))[0])
        raise ModelInputError(
            f"scenario P&L of {instruments.symbol[row]} is not finite: inputs too large",
            identifier=str(instruments.symbol[row]),
        )
    return pnl


def unit_delta(instruments: ScenarioInstruments) -> Float64Array1D:
    """Return the delta of one contract: coins that hedge it; NaN where `faults` has a reason.

    Of options with respect to the forward, of an inverse one after the premium held in coin.
    """
    is_usable = np.array([not fault for fault in faults(instruments)], dtype=np.bool_)
    multiplier = instruments.contract_multiplier
    with np.errstate(divide="ignore", invalid="ignore"):
        coins = np.where(instruments.is_inverse, multiplier / instruments.mark_price, multiplier)
    delta = np.where(is_usable & ~instruments.is_option, coins, np.nan)
    for settlement in ("linear", "inverse"):
        rows = np.flatnonzero(
            is_usable
            & instruments.is_option
            & (instruments.is_inverse == (settlement == "inverse"))
        )
        terms = OptionTerms(
            is_call=instruments.is_call[rows],
            strike_price=instruments.strike_price[rows],
            years=instruments.years[rows],
            settlement="inverse" if settlement == "inverse" else "linear",
        )
        value = option_value(
            terms,
            instruments.forward_price[rows],
            instruments.volatility[rows],
            instruments.risk_free_rate[rows],
        )
        delta[rows] = multiplier[rows] * value.net_delta
    return delta


def unit_option_value(instruments: ScenarioInstruments) -> Float64Array1D:
    """Return the value of one option contract held long; zero for others, NaN with a fault.

    [settlement currency]
    """
    options = np.flatnonzero(instruments.is_option)
    worth = np.zeros(len(instruments))
    worth[options] = np.nan
    is_usable = np.array([not fault for fault in faults(instruments)], dtype=np.bool_)
    options = options[is_usable[options]]
    if not len(options):
        return worth
    one = np.ones(1)
    value = _values(instruments, options, instruments.volatility[options], one)[:, 0]
    forward = instruments.forward_price[options]
    paid = np.where(instruments.is_inverse[options], value / forward, value)
    worth[options] = (
        instruments.contract_multiplier[options] * _discount(instruments, options) * paid
    )
    return worth


def _option_gain(
    instruments: ScenarioInstruments,
    options: np.ndarray[tuple[int], np.dtype[np.intp]],
    cells: ScenarioCells,
    volatilities: Float64Array2D,
) -> Float64Array2D:
    factor = 1.0 + cells.price_shock
    forward = instruments.forward_price[options, np.newaxis]
    is_inverse = instruments.is_inverse[options, np.newaxis]
    # From the same kernel as the cells, so that a cell without moves gains exactly nothing.
    before = _values(instruments, options, instruments.volatility[options], np.ones(1))
    before = np.where(is_inverse, before / forward, before)
    gain = np.empty((len(options), len(cells)))
    for move in np.unique(cells.move):
        columns = np.flatnonzero(cells.move == move)
        after = _values(instruments, options, volatilities[move, options], factor[columns])
        after = np.where(is_inverse, after / (forward * factor[columns]), after)
        gain[:, columns] = after - before
    return gain * _discount(instruments, options)[:, np.newaxis]


def _values(
    instruments: ScenarioInstruments,
    options: np.ndarray[tuple[int], np.dtype[np.intp]],
    volatility: Float64Array1D,
    factor: Float64Array1D,
) -> Float64Array2D:
    return scenario_option_values(
        forward=instruments.forward_price[options],
        strike=instruments.strike_price[options],
        is_call=instruments.is_call[options],
        volatility=volatility,
        years=instruments.years[options],
        forward_factor=factor,
        volatility_factor=np.ones(len(factor)),
    )


def _discount(
    instruments: ScenarioInstruments, options: np.ndarray[tuple[int], np.dtype[np.intp]]
) -> Float64Array1D:
    with np.errstate(over="ignore"):
        discount: Float64Array1D = np.exp(
            -instruments.risk_free_rate[options] * instruments.years[options]
        )
    return discount
