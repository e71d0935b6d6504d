"""Basel traffic light: zones of the number of exceptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from scipy.special import betainc

from engine.backtest.kupiec import require_confidence, require_counts
from engine.errors import ModelInputError

Zone: TypeAlias = Literal["green", "yellow", "red"]

GREEN_PROBABILITY: Final = 0.95
YELLOW_PROBABILITY: Final = 0.9999
# The year and confidence that the factors below are calibrated to.
FACTOR_OBSERVATIONS: Final = 250
FACTOR_CONFIDENCE: Final = 0.99

_FREE_EXCEPTIONS: Final = 4
# By exceptions 5, 6, 7, 8, 9, 10 and more; 0 up to 4.
# BCBS 22 (January 1996), table 2.
_PLUS_FACTORS_1996: Final = (0.40, 0.50, 0.65, 0.75, 0.85, 1.00)
_BASE_MULTIPLIER_1996: Final = 3.0
# Basel Framework MAR32.9, table 1, effective 2023-01-01.
_ADD_ONS_MAR32: Final = (0.20, 0.26, 0.33, 0.38, 0.42, 0.50)
_BASE_MULTIPLIER_MAR32: Final = 1.5


@dataclass(frozen=True, slots=True)
class ZoneBounds:
    """Largest counts that are still green and yellow; -1 where even 0 exceptions are not."""

    max_green: int
    max_yellow: int

    def zone(self, exceptions: int) -> Zone:
        """Return the zone of a number of exceptions."""
        if exceptions <= self.max_green:
            return "green"
        return "yellow" if exceptions <= self.max_yellow else "red"


@dataclass(frozen=True, slots=True)
class TabulatedBounds:
    """Bounds that hold from a number of observations on, for overlapping horizons."""

    observations: int
    bounds: ZoneBounds


@dataclass(frozen=True, slots=True)
class CapitalFactors:
    """What exceptions cost a bank: additions to, and resulting, capital multipliers. [-]"""

    plus_factor_1996: float
    multiplier_1996: float
    add_on_mar32: float
    multiplier_mar32: float


def exception_probability(observations: int, exceptions: int, *, confidence: float) -> float:
    """Return the binomial probability of at most ``exceptions`` in ``observations`` days.

    Parameters
    ----------
    observations, exceptions : int
        Days, and days with an exception.
    confidence : float
        Confidence of the forecast; an exception has probability 1 - confidence. [-]

    Returns
    -------
    float
        Cumulative probability, by the incomplete beta function. [-]

    Raises
    ------
    ModelInputError
        If a number is out of range.
    """
    require_counts(observations, exceptions)
    require_confidence(confidence)
    if exceptions == observations:
        return 1.0
    return float(betainc(float(observations - exceptions), float(exceptions + 1), confidence))


def zone_bounds(observations: int, *, confidence: float) -> ZoneBounds:
    """Return the zones of independent exceptions [1]_.

    Yellow starts where the cumulative probability reaches 95 %, red where it reaches 99.99 %.

    Parameters
    ----------
    observations : int
        Number of days, at least 1.
    confidence : float
        Confidence of the forecast, strictly between 0 and 1. [-]

    Returns
    -------
    ZoneBounds
        Largest counts of both zones.

    Raises
    ------
    ModelInputError
        If a number is out of range.

    References
    ----------
    .. [1] BCBS 22, "Supervisory framework for the use of backtesting," January 1996.

    Examples
    --------
    >>> zone_bounds(250, confidence=0.99)
    ZoneBounds(max_green=4, max_yellow=9)
    """
    return ZoneBounds(
        max_green=_quantile(observations, GREEN_PROBABILITY, confidence) - 1,
        max_yellow=_quantile(observations, YELLOW_PROBABILITY, confidence) - 1,
    )


def tabulated_zone_bounds(table: Sequence[TabulatedBounds], observations: int) -> ZoneBounds:
    """Return the bounds of the row with the most observations not above the number of days.

    Parameters
    ----------
    table : sequence of TabulatedBounds
        Rows of a step function, in any order, each number of observations once.
    observations : int
        Number of days.

    Returns
    -------
    ZoneBounds
        Bounds of that row.

    Raises
    ------
    ModelInputError
        If there are fewer days than in every row, a number of observations is given twice, or a
        row's yellow bound is below its green one.
    """
    rows = sorted(table, key=lambda row: row.observations)
    if len({row.observations for row in rows}) < len(rows):
        raise ModelInputError("zone bounds give a number of observations twice")
    for row in rows:
        if row.bounds.max_yellow < row.bounds.max_green:
            raise ModelInputError(
                f"zone bounds of {row.observations} observations: max_yellow "
                f"{row.bounds.max_yellow} is below max_green {row.bounds.max_green}",
                value=row.bounds.max_yellow,
            )
    reached = [row for row in rows if row.observations <= observations]
    if not reached:
        first = rows[0].observations if rows else "none"
        raise ModelInputError(
            f"observations is {observations}, below the first row of zone bounds: {first}",
            value=observations,
        )
    return reached[-1].bounds


def capital_factors(exceptions: int) -> CapitalFactors:
    """Return the capital factors of a number of exceptions in 250 days at 99 %.

    Parameters
    ----------
    exceptions : int
        Days with an exception, >= 0.

    Returns
    -------
    CapitalFactors
        Factors of 1996 and of MAR32.
    """
    step = min(exceptions - _FREE_EXCEPTIONS, len(_ADD_ONS_MAR32)) - 1
    plus_factor = _PLUS_FACTORS_1996[step] if step >= 0 else 0.0
    add_on = _ADD_ONS_MAR32[step] if step >= 0 else 0.0
    return CapitalFactors(
        plus_factor_1996=plus_factor,
        multiplier_1996=_BASE_MULTIPLIER_1996 + plus_factor,
        add_on_mar32=add_on,
        multiplier_mar32=_BASE_MULTIPLIER_MAR32 + add_on,
    )


def _quantile(observations: int, probability: float, confidence: float) -> int:
    """Return the smallest count whose cumulative probability reaches ``probability``."""
    low, high = 0, observations
    while low < high:
        middle = (low + high) // 2
        if exception_probability(observations, middle, confidence=confidence) >= probability:
            high = middle
        else:
            low = middle + 1
    return low
