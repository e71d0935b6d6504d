"""Zones for losses whose horizons overlap, which are not independent of each other."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import NormalDist
from typing import Final

import numpy as np

from engine.arrays import Int64Array1D
from engine.backtest.kupiec import require_confidence, require_counts
from engine.backtest.traffic_light import (
    GREEN_PROBABILITY,
    YELLOW_PROBABILITY,
    TabulatedBounds,
    ZoneBounds,
    tabulated_zone_bounds,
    zone_bounds,
)
from engine.errors import ModelInputError

HORIZON_DAYS_MAX: Final = 20
_NUMBERS_PER_CHUNK: Final = 4_000_000


def _table(*rows: tuple[int, int, int]) -> tuple[TabulatedBounds, ...]:
    return tuple(TabulatedBounds(n, ZoneBounds(green, yellow)) for n, green, yellow in rows)


# Observations, largest green and largest yellow count at 99 %, by horizon in days: two million
# paths each of ``simulated_exceptions`` below, seed 20210101.
OVERLAPPING_BOUNDS_99: Final[Mapping[int, tuple[TabulatedBounds, ...]]] = {
    2: _table((250, 5, 11), (500, 8, 16), (750, 12, 21)),
    3: _table((250, 5, 13), (500, 9, 18), (750, 13, 23)),
    4: _table((250, 6, 14), (500, 10, 20), (750, 13, 25)),
    5: _table((250, 6, 16), (500, 10, 22), (750, 14, 28)),
}


def simulated_exceptions(
    observations: int,
    *,
    confidence: float,
    horizon_days: int,
    generator: np.random.Generator,
    n_paths: int,
    n_books: int = 1,
    correlation: float = 0.0,
) -> Int64Array1D:
    """Return the number of exceptions on each of many paths of a perfect model.

    Every day a loss over the next ``horizon_days`` is compared with its own quantile; daily losses
    are normal and independent in time, so losses of neighbouring days share all but one day [1]_.

    Parameters
    ----------
    observations : int
        Days on which a loss is compared, at least 1.
    confidence : float
        Confidence of the forecast, strictly between 0 and 1. [-]
    horizon_days : int
        Days of each loss, 1 to 20.
    generator : numpy.random.Generator
        Source of the numbers.
    n_paths : int
        Number of paths, at least 1.
    n_books : int
        Books counted together.
    correlation : float
        Between the losses of any two books, 0 to 1. [-]

    Returns
    -------
    Int64Array1D, shape (n_paths,)
        Exceptions of all books.

    Raises
    ------
    ModelInputError
        If a number is out of range.

    References
    ----------
    .. [1] ISDA, "SIMM backtesting report," 14 February 2017, section 15.3; bounds for 10 days
       in Open Source Risk Engine, ``QuantExt/qle/math/stoplightbounds.cpp``.
    """
    require_counts(observations, 0)
    require_confidence(confidence)
    if not 1 <= horizon_days <= HORIZON_DAYS_MAX:
        raise ModelInputError(
            f"horizon_days is {horizon_days}, limit 1 to {HORIZON_DAYS_MAX}", value=horizon_days
        )
    if n_paths < 1 or n_books < 1 or not 0.0 <= correlation <= 1.0:
        raise ModelInputError(f"{n_paths=}, {n_books=}, {correlation=} are out of range")
    quantile = NormalDist().inv_cdf(confidence) * np.sqrt(horizon_days)
    n_days = observations + horizon_days - 1
    chunk = max(_NUMBERS_PER_CHUNK // n_days, 1)
    counts = np.zeros(n_paths, dtype=np.int64)
    for first in range(0, n_paths, chunk):
        shape = (min(chunk, n_paths - first), n_days)
        common = generator.standard_normal(shape) if correlation > 0.0 else np.zeros(1)
        for _ in range(n_books):
            own = generator.standard_normal(shape)
            daily = np.sqrt(correlation) * common + np.sqrt(1.0 - correlation) * own
            losses = daily[:, horizon_days - 1 :].copy()
            for age in range(1, horizon_days):
                losses += daily[:, horizon_days - 1 - age : n_days - age]
            counts[first : first + shape[0]] += (losses > quantile).sum(axis=1)
    return counts


def simulated_zone_bounds(counts: Int64Array1D) -> ZoneBounds:
    """Return the zones of simulated counts, by the rule of ``traffic_light.zone_bounds``."""
    share = np.cumsum(np.bincount(counts)) / counts.size
    return ZoneBounds(
        max_green=int(np.searchsorted(share, GREEN_PROBABILITY)) - 1,
        max_yellow=int(np.searchsorted(share, YELLOW_PROBABILITY)) - 1,
    )


def overlapping_zone_bounds(observations: int, horizon_days: int) -> ZoneBounds:
    """Return the zones at 99 % of losses over ``horizon_days`` that are compared every day.

    A table for more than one day: the row with the most observations not above the number of
    days. Using the binomial zones would fail good models.

    Raises
    ------
    ModelInputError
        If the horizon has no table, or there are fewer days than in its first row.

    Examples
    --------
    >>> overlapping_zone_bounds(250, 1)
    ZoneBounds(max_green=4, max_yellow=9)
    """
    if horizon_days == 1:
        return zone_bounds(observations, confidence=0.99)
    if horizon_days not in OVERLAPPING_BOUNDS_99:
        raise ModelInputError(
            f"no zones for overlapping horizons of {horizon_days} days, limit 1 to "
            f"{max(OVERLAPPING_BOUNDS_99)}",
            value=horizon_days,
        )
    return tabulated_zone_bounds(OVERLAPPING_BOUNDS_99[horizon_days], observations)


def two_sided_p_value(counts: Int64Array1D, exceptions: int) -> float:
    """Return the probability of a count at least as far out, on either side, among simulated ones.

    The count itself is reckoned among them, so that no p-value is zero.
    """
    above = (1 + int((counts >= exceptions).sum())) / (counts.size + 1)
    below = (1 + int((counts <= exceptions).sum())) / (counts.size + 1)
    return min(1.0, 2.0 * min(above, below))
