"""What SPAN reads off deltas: spreads between months and commodities, the short-option minimum.

Deltas are those at the close. A clearing house takes the mean over its scenarios (the composite
delta), which differs for options near expiry; so these parts are at best inferred.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt, MinLen

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D, ObjectArray1D
from engine.errors import ParameterError
from engine.kernels.exact_sums import grouped_sums, rounded
from engine.limits import STRICT, Fraction

# Scenarios 15 and 16, the extremes, have no partner with the opposite move of volatility.
_N_PAIRED = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class InterCommoditySpread:
    """Credit for one commodity held long against another held short.

    Attributes
    ----------
    first, second : str
        Combined commodities.
    first_delta, second_delta : float
        Units of each that make one spread. [coin]
    credit_rate : float
        Share of the price risk that a spread takes off on either side. [-]
    """

    __pydantic_config__ = STRICT
    first: str
    second: str
    first_delta: Annotated[float, Gt(0.0)]
    second_delta: Annotated[float, Gt(0.0)]
    credit_rate: Fraction

    def __post_init__(self) -> None:
        if self.first == self.second:
            raise ParameterError(
                f"a spread is between two commodities, found {self.first} twice",
                identifier="second",
                value=self.second,
                limit=f"not {self.first}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class InterCommoditySpreads:
    """Spreads in the order in which they are formed; what one has used is gone for the next."""

    __pydantic_config__ = STRICT
    spreads: Annotated[tuple[InterCommoditySpread, ...], MinLen(1)]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeltaRows:
    """Holdings as deltas; arrays of shape (n_holdings,).

    Attributes
    ----------
    unit : Int64Array1D
        What one book holds of one combined commodity.
    month : Int64Array1D
        Month of expiry, any numbering; contracts without one are a month of their own.
    delta : Float64Array1D
        Signed. [coin]
    short_options : Float64Array1D
        Underlying of options sold, >= 0. [coin]
    """

    unit: Int64Array1D
    month: Int64Array1D
    delta: Float64Array1D
    short_options: Float64Array1D


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class UnitDeltas:
    """Deltas of units; arrays of shape (n_units,). [coin]

    Attributes
    ----------
    net : Float64Array1D
        Signed.
    spread : Float64Array1D
        Held long in some months against short in others, >= 0.
    short_options : Float64Array1D
        Underlying of options sold, >= 0.
    """

    net: Float64Array1D
    spread: Float64Array1D
    short_options: Float64Array1D


def unit_deltas(rows: DeltaRows, n_units: int) -> UnitDeltas:
    """Return net delta, spreads between months and short options of each unit.

    As many spreads are formed as the smaller side allows: long months against short months. The
    sums are exact, so the order of holdings does not matter.
    """
    months, code = np.unique(rows.month, return_inverse=True)
    n_months = max(len(months), 1)
    by_month = rounded(
        grouped_sums(rows.delta, rows.unit * n_months + code, n_units * n_months)
    ).reshape(n_units, n_months)
    long = np.maximum(by_month, 0.0).sum(axis=1)
    short = np.maximum(-by_month, 0.0).sum(axis=1)
    return UnitDeltas(
        net=rounded(grouped_sums(rows.delta, rows.unit, n_units)),
        spread=np.minimum(long, short),
        short_options=rounded(grouped_sums(rows.short_options, rows.unit, n_units)),
    )


def price_risk(scenario_losses: Float64Array2D) -> Float64Array1D:
    """Return the part of each unit's scan risk that the price alone makes, >= 0 [1]_.

    The mean of the worst scenario and the one with the same price and the opposite volatility,
    less the mean of the two that move volatility alone; none where nothing is lost.

    References
    ----------
    .. [1] CME Group, SPAN component pages: volatility-adjusted scan risk, time risk, price risk.
       Evidence: inferred.
    """
    unit = np.arange(len(scenario_losses))
    worst = scenario_losses.argmax(axis=1)
    partner = np.where(worst < _N_PAIRED, worst ^ 1, worst)
    loss = scenario_losses[unit, worst]
    risk: Float64Array1D = 0.5 * (loss + scenario_losses[unit, partner])
    risk = risk - 0.5 * (scenario_losses[:, 0] + scenario_losses[:, 1])
    return np.where(loss > 0.0, np.maximum(risk, 0.0), 0.0)


def inter_commodity_credits(
    book: Int64Array1D,
    commodity: ObjectArray1D,
    net_delta: Float64Array1D,
    risk: Float64Array1D,
    spreads: InterCommoditySpreads,
) -> Float64Array1D:
    """Return what spreads take off the scan risk of each unit, >= 0 [1]_.

    ``credit = risk / |net delta| * spreads * delta per spread * credit_rate`` on either side; as
    many spreads are formed as the remaining opposite deltas allow, in the order of ``spreads``.

    Parameters
    ----------
    book, commodity, net_delta, risk : arrays, shape (n_units,)
        A book has at most one unit of a commodity; ``risk`` is of ``price_risk``.

    References
    ----------
    .. [1] CME Group, SPAN inter-commodity spreading; weighted price risk by the normal method.
       Evidence: inferred.
    """
    credit = np.zeros(len(book))
    left = net_delta.copy()
    safe = np.where(net_delta == 0.0, 1.0, np.abs(net_delta))
    weighted = risk / safe
    for spread in spreads.spreads:
        first, second = _pairs(book, commodity, spread)
        is_opposite: BoolArray1D = left[first] * left[second] < 0.0
        first, second = first[is_opposite], second[is_opposite]
        formed = np.minimum(
            np.abs(left[first]) / spread.first_delta, np.abs(left[second]) / spread.second_delta
        )
        for unit, ratio in ((first, spread.first_delta), (second, spread.second_delta)):
            used = np.minimum(formed * ratio, np.abs(left[unit]))
            credit[unit] += weighted[unit] * used * spread.credit_rate
            left[unit] -= np.copysign(used, left[unit])
    return credit


def _pairs(
    book: Int64Array1D, commodity: ObjectArray1D, spread: InterCommoditySpread
) -> tuple[Int64Array1D, Int64Array1D]:
    """Return the units of both legs, of the books that hold both."""
    first = np.flatnonzero(commodity == spread.first)
    second = np.flatnonzero(commodity == spread.second)
    _, at, other = np.intersect1d(
        book[first], book[second], assume_unique=True, return_indices=True
    )
    return first[at], second[other]
