"""The cells of a scenario grid, and how far each moves the volatility of an expiry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D
from engine.errors import ModelInputError
from engine.margin.scenario_parameters import ScenarioGridParameters

Int8Array1D: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int8]]

MOVES: Final = ("down", "unchanged", "up")
DOWN, UNCHANGED, UP = range(3)
_REFERENCE_DAYS: Final = 30.0
_DAYS_PER_YEAR: Final = 365.0


@dataclass(frozen=True, slots=True, eq=False)
class ScenarioCells:
    """Cells in the order of the grid, one row each.

    Attributes
    ----------
    price_shock : Float64Array1D
        Relative move of the underlying, above -1. [-]
    move : Int8Array1D
        Row of the volatilities that the cell uses; of a grid ``DOWN``, ``UNCHANGED`` or ``UP``.
    weight, inverse_weight : Float64Array1D
        Multiply the profit and loss of linear, and of inverse instruments. [-]
    dampener : Float64Array1D
        What comes off the size of a book's profit or loss. [quote currency]
    dampener_price : Float64Array1D
        Price, relative to the index, at which the dampener of an inverse book turns to coin. [-]
    """

    price_shock: Float64Array1D
    move: Int8Array1D
    weight: Float64Array1D
    inverse_weight: Float64Array1D
    dampener: Float64Array1D
    dampener_price: Float64Array1D

    def __len__(self) -> int:
        return len(self.price_shock)


def grid_cells(parameters: ScenarioGridParameters) -> ScenarioCells:
    """Return the cells: grid by price shock, then by volatility move; extra; extended."""
    regular = [
        (s, move, 1.0) for s in parameters.price_shocks for move in parameters.volatility_moves
    ]
    regular += [
        (extra.price_shock, extra.volatility_move, extra.weight)
        for extra in parameters.extra_scenarios
    ]
    tails = np.array(parameters.extended_price_shocks, dtype=np.float64)
    shock = np.array([each[0] for each in regular], dtype=np.float64)
    weight = np.array([each[2] for each in regular], dtype=np.float64)
    move = np.array([MOVES.index(each[1]) for each in regular], dtype=np.int8)
    span = parameters.price_range
    # Without tails the grid's range may be zero.
    distance = np.abs(tails) / span if len(tails) else tails
    tail_weight = parameters.extended_fraction / np.maximum(distance, 1.0)
    edge = 1.0 + np.copysign(span, tails)
    return ScenarioCells(
        price_shock=np.concatenate([shock, tails]),
        move=np.concatenate([move, np.full(len(tails), UP, dtype=np.int8)]),
        weight=np.concatenate([weight, tail_weight]),
        inverse_weight=np.concatenate([weight, tail_weight * (1.0 + tails) / edge]),
        dampener=np.concatenate(
            [np.zeros(len(shock)), np.maximum(distance - 1.0, 0.0) * parameters.extended_dampener]
        ),
        dampener_price=np.concatenate([np.ones(len(shock)), edge]),
    )


def shocked_volatilities(
    volatility: Float64Array1D, years: Float64Array1D, parameters: ScenarioGridParameters
) -> Float64Array2D:
    """Return the volatility of each option after a fall, unchanged, and after a rise.

    The shock is the one at 30 days times ``(30 / days) ** power``, so short expiries move more; a
    rise ends no lower than ``volatility_min`` and a fall no lower than zero.

    Parameters
    ----------
    volatility : Float64Array1D, shape (n_options,)
        Annual log-normal volatility. [1/sqrt(year)]
    years : Float64Array1D, shape (n_options,)
        Time to expiry, above zero. [years of 365 days]

    Returns
    -------
    Float64Array2D, shape (3, n_options)
        Rows ``DOWN``, ``UNCHANGED``, ``UP``. [1/sqrt(year)]

    Raises
    ------
    ModelInputError
        If a shocked volatility is not finite.
    """
    days = _DAYS_PER_YEAR * years
    power = np.where(
        days < _REFERENCE_DAYS,
        parameters.volatility_power_short,
        parameters.volatility_power_long,
    )
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        scale = (_REFERENCE_DAYS / np.maximum(days, parameters.days_to_expiry_min)) ** power
        risen = volatility * (1.0 + parameters.volatility_shock_up * scale)
        fallen = volatility * (1.0 - parameters.volatility_shock_down * scale)
    shocked: Float64Array2D = np.stack(
        (np.maximum(fallen, 0.0), volatility, np.maximum(risen, parameters.volatility_min))
    )
    if not np.isfinite(shocked).all():
        option = int(np.flatnonzero(~np.isfinite(shocked).all(axis=0))[0])
        raise ModelInputError(
            f"volatility {volatility[option]} shocked at {days[option]} days is not finite",
            identifier=f"volatility[{option}]",
            value=float(volatility[option]),
        )
    return shocked
