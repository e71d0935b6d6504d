"""Rounding of prices, rates and amounts of a rule to its published tick.

This is no rounding of balances, which belongs to ``engine/money.py``; the rounding itself is
done there all the same, in exact decimals.
"""

from __future__ import annotations

from decimal import InvalidOperation
from typing import Literal

from engine.errors import ModelInputError
from engine.money import Rounding, exact, round_to_increment

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
    upward = direction == "up" or (direction == "toward_zero" and value < 0)
    rounding = Rounding.REQUIREMENT if upward else Rounding.COLLATERAL_VALUE
    try:
        return float(round_to_increment(exact(value), exact(tick), rounding))
    except InvalidOperation as error:
        raise ModelInputError(
            f"{value!r} cannot be rounded to tick {tick!r}: the ratio has too many digits",
            value=value,
            limit="46 digits",
        ) from error
