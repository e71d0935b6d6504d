"""What the tests say of one book's forecasts, in one row."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D
from engine.backtest.christoffersen import conditional_coverage_test, transitions_between
from engine.backtest.christoffersen import independence_test as _independence
from engine.backtest.kupiec import kupiec_test
from engine.backtest.overlapping import (
    overlapping_zone_bounds,
    simulated_exceptions,
    two_sided_p_value,
)
from engine.backtest.shortfall_test import (
    TailForecasts,
    shortfall_statistic,
    shortfall_test,
    simulated_statistics,
)
from engine.errors import ModelInputError

WINDOWS: Final = (250, 750)
# Four decimals of a p-value would need more; its third is noise at this number.
PATHS: Final = 5_000
_SEED: Final = 20_231_231
# The zones are tabulated at this confidence.
ZONE_CONFIDENCE: Final = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class Forecasts:
    """One book's forecasts and losses, a row per day in order.

    ``horizon_days`` is the longest horizon of any leg on any day; ``tails`` as in
    ``walk_forward.Walk``, of which ``n_tail`` count. [USD]
    """

    name: str
    losses: Float64Array1D
    value_at_risk: Float64Array1D
    expected_shortfall: Float64Array1D
    core_margin: Float64Array1D
    requirement: Float64Array1D
    tails: Float64Array2D
    n_tail: Float64Array1D
    horizon_days: int

    @property
    def exceptions(self) -> BoolArray1D:
        """Return the days on which the loss exceeded the value at risk."""
        beyond: BoolArray1D = self.losses > self.value_at_risk
        return beyond


@dataclass(frozen=True, slots=True)
class WindowCount:
    """Exceptions in windows of one length; zones empty without a whole window.

    ``last`` counts the most recent window, ``worst`` the fullest, and the shares say how many of
    all windows were green and red. [-]
    """

    last: int
    zone: str
    worst: int
    worst_zone: str
    green_share: float
    red_share: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """Tests of one book. A p-value below 0.05 speaks against the model; NaN: not testable.

    ``coverage_p_value`` is Kupiec's for a horizon of one day; for a longer one it is that of
    simulated overlapping losses. ``independence_p_value`` and ``conditional_p_value`` are
    Christoffersen's, for one day alone. ``shortfall_*`` is the test of the expected shortfall,
    on every ``horizon_days``-th day.
    """

    n_days: int
    horizon_days: int
    exceptions: int
    expected: float
    coverage_p_value: float
    independence_p_value: float
    conditional_p_value: float
    shortfall_statistic: float
    shortfall_critical_value: float
    shortfall_p_value: float
    year: WindowCount
    three_years: WindowCount
    beyond_core: int
    beyond_requirement: int
    largest_shortfall: float
    mean_requirement: float


def verdict(forecasts: Forecasts, *, confidence: float) -> Verdict:
    """Return all tests of one book.

    Raises
    ------
    ModelInputError
        If there is no day, or the arrays differ in length.
    """
    n = forecasts.losses.size
    if not n or forecasts.value_at_risk.size != n or forecasts.tails.shape[0] != n:
        raise ModelInputError(f"{forecasts.name} has {n} losses, limit >= 1 and as many forecasts")
    hits = forecasts.exceptions
    count = int(hits.sum())
    generator = np.random.default_rng([_SEED, zlib.crc32(forecasts.name.encode())])
    coverage = _coverage(forecasts, count, confidence, generator)
    independence, conditional = _clustering(forecasts, hits, confidence)
    statistic, critical, p_value = _shortfall(forecasts, confidence, generator)
    short = forecasts.losses - forecasts.requirement
    return Verdict(
        n_days=n,
        horizon_days=forecasts.horizon_days,
        exceptions=count,
        expected=(1.0 - confidence) * n,
        coverage_p_value=coverage,
        independence_p_value=independence,
        conditional_p_value=conditional,
        shortfall_statistic=statistic,
        shortfall_critical_value=critical,
        shortfall_p_value=p_value,
        year=window_count(hits, WINDOWS[0], forecasts.horizon_days, confidence),
        three_years=window_count(hits, WINDOWS[1], forecasts.horizon_days, confidence),
        beyond_core=int((forecasts.losses > forecasts.core_margin).sum()),
        beyond_requirement=int((short > 0.0).sum()),
        largest_shortfall=max(float(short.max()), 0.0),
        mean_requirement=float(forecasts.requirement.mean()),
    )


def window_count(
    hits: BoolArray1D, n_window: int, horizon_days: int, confidence: float
) -> WindowCount:
    """Return exceptions in all windows of ``n_window`` days and their traffic lights."""
    counts = rolling_counts(hits, n_window)
    if not counts.size:
        return WindowCount(int(hits.sum()), "", int(hits.sum()), "", float("nan"), float("nan"))
    if confidence != ZONE_CONFIDENCE:
        return WindowCount(
            int(counts[-1]), "", int(counts.max()), "", float("nan"), float("nan")
        )  # fmt: skip
    bounds = overlapping_zone_bounds(n_window, horizon_days)
    return WindowCount(
        last=int(counts[-1]),
        zone=bounds.zone(int(counts[-1])),
        worst=int(counts.max()),
        worst_zone=bounds.zone(int(counts.max())),
        green_share=float((counts <= bounds.max_green).mean()),
        red_share=float((counts > bounds.max_yellow).mean()),
    )


def rolling_counts(hits: BoolArray1D, n_window: int) -> Int64Array1D:
    """Return the exceptions in each window of ``n_window`` days; empty if there is none."""
    total = np.concatenate([[0], np.cumsum(hits)]).astype(np.int64)
    counts: Int64Array1D = total[n_window:] - total[:-n_window]
    return counts


def _coverage(
    forecasts: Forecasts, count: int, confidence: float, generator: np.random.Generator
) -> float:
    n = forecasts.losses.size
    if forecasts.horizon_days == 1:
        return kupiec_test(n, count, confidence=confidence).p_value
    simulated = simulated_exceptions(
        n,
        confidence=confidence,
        horizon_days=forecasts.horizon_days,
        generator=generator,
        n_paths=PATHS,
    )
    return two_sided_p_value(simulated, count)


def _clustering(forecasts: Forecasts, hits: BoolArray1D, confidence: float) -> tuple[float, float]:
    """Return the p-values of independence and of conditional coverage."""
    if forecasts.horizon_days > 1 or hits.size < 2:
        return float("nan"), float("nan")
    days = [int(day) + 1 for day in np.flatnonzero(hits)]
    transitions = transitions_between(days, observations=hits.size)
    both = conditional_coverage_test(
        transitions, observations=hits.size, exceptions=len(days), confidence=confidence
    )
    return _independence(transitions).p_value_independence, both.p_value_conditional


def _shortfall(
    forecasts: Forecasts, confidence: float, generator: np.random.Generator
) -> tuple[float, float, float]:
    """Return statistic, critical value and p-value over days whose losses do not overlap."""
    apart = slice(None, None, forecasts.horizon_days)
    shortfall = forecasts.expected_shortfall[apart]
    known = shortfall > 0.0
    if not known.any():
        return float("nan"), float("nan"), float("nan")
    statistic = shortfall_statistic(
        forecasts.losses[apart][known],
        forecasts.value_at_risk[apart][known],
        shortfall[known],
        confidence=confidence,
    )
    simulated = simulated_statistics(
        TailForecasts(forecasts.tails[apart][known], forecasts.n_tail[apart][known]),
        int(known.sum()),
        confidence=confidence,
        generator=generator,
        n_paths=PATHS,
    )
    test = shortfall_test(statistic, simulated)
    return statistic, test.critical_value, test.p_value
