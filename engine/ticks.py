"""Rounding of prices, rates and amounts of a rule to its published tick.

This is no rounding of balances, which belongs to ``engine/money.py``; the rounding itself is
done there all the same, in exact decimals.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Literal

import numpy as np

from engine.arrays import Float64Array1D
from engine.errors import ModelInputError
from engine.money import Rounding, exact, round_to_noisy_increment

Direction = Literal["up", "down", "toward_zero"]


def round_to_tick(value: float, tick: float, direction: Direction) -> float:
    """Return ``value`` as a multiple of ``tick``.

    The ratio ``value / tick`` is first rounded half even at four decimals, so that binary noise
    buys no tick; then its ceiling, floor or truncation counts.

    Parameters
    ----------
    value : float
        Number to round, finite.
    tick : float
        Step, above 0, in the unit of ``value``.
    direction : {"up", "down", "toward_zero"}
        Ceiling, floor or truncation.

    Returns
    -------
    float
        The multiple nearest to ``value`` in that direction.

    Raises
    ------
    ModelInputError
        If the tick is not above 0, or so small that the ratio exceeds 46 digits.

    Examples
    --------
    >>> round_to_tick(0.1 + 0.2, 0.1, "up")
    0.3
    >>> round_to_tick(-549.9, 1.0, "toward_zero")
    -549.0
    """
    return float(exact_to_tick(exact(value), tick, direction))


def exact_to_tick(value: Decimal, tick: float, direction: Direction) -> Decimal:
    """Return an exact number rounded as ``round_to_tick`` does, for rules that go on from there.

    Raises
    ------
    ModelInputError
        As ``round_to_tick``.
    """
    upward = direction == "up" or (direction == "toward_zero" and value < 0)
    rounding = Rounding.REQUIREMENT if upward else Rounding.COLLATERAL_VALUE
    try:
        return round_to_noisy_increment(value, exact(tick), rounding)
    except InvalidOperation as error:
        raise ModelInputError(
            f"{value} cannot be rounded to tick {tick!r}: the ratio has too many digits",
            value=value,
            limit="46 digits",
        ) from error


def round_each_to_tick(
    values: Float64Array1D, ticks: Float64Array1D, direction: Direction
) -> Float64Array1D:
    """Return each value as ``round_to_tick`` rounds it; a NaN tick leaves its value as it is.

    Parameters
    ----------
    values : Float64Array1D, shape (n,)
        Numbers to round.
    ticks : Float64Array1D, shape (n,)
        Step of each number, above 0; NaN where there is none.
    direction : {"up", "down", "toward_zero"}
        Ceiling, floor or truncation.

    Raises
    ------
    ModelInputError
        As ``round_to_tick``; also where a value with a tick is not finite.
    """
    rows = np.flatnonzero(~np.isnan(ticks))
    if not len(rows):
        return values
    unusable = rows[~np.isfinite(values[rows])]
    if len(unusable):
        found = values[unusable[0]]
        raise ModelInputError(f"{found} cannot be rounded to a tick", value=float(found))
    rounded = values.copy()
    # Exact decimals, one by one: venues with ticks are few, and a tick too many is an error.
    rounded[rows] = [
        round_to_tick(value, tick, direction)
        for value, tick in zip(values[rows].tolist(), ticks[rows].tolist(), strict=True)
    ]
    return rounded
