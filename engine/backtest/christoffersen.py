"""Independence of exceptions, and conditional coverage: independence and rate together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.backtest.kupiec import chi_square_tail, kupiec_statistic
from engine.errors import ModelInputError


@dataclass(frozen=True, slots=True)
class Transitions:
    """Pairs of neighbouring days: n01 counts exceptions after a day without one, and so on."""

    n00: int
    n01: int
    n10: int
    n11: int


@dataclass(frozen=True, slots=True)
class IndependenceTest:
    """Likelihood ratio of independence and its p-value (chi-square, one degree)."""

    likelihood_ratio_independence: float
    p_value_independence: float


@dataclass(frozen=True, slots=True)
class ConditionalCoverageTest:
    """Ratios of the exception rate and of both together; p-value with two degrees."""

    likelihood_ratio_unconditional: float
    likelihood_ratio_conditional: float
    p_value_conditional: float


def transitions_between(exception_days: Sequence[int], *, observations: int) -> Transitions:
    """Return how often an exception follows a day with or without one.

    Parameters
    ----------
    exception_days : sequence of int
        Day numbers from 1, each once, in any order.
    observations : int
        Number of days, at least 2.

    Returns
    -------
    Transitions
        Counts that sum to ``observations - 1``.

    Raises
    ------
    ModelInputError
        If there are fewer than two days, or a day is repeated or outside them.

    Examples
    --------
    >>> transitions_between([2, 3], observations=5)
    Transitions(n00=1, n01=1, n10=1, n11=1)
    """
    if observations < 2:
        raise ModelInputError(f"observations is {observations}, limit >= 2", value=observations)
    days = sorted(exception_days)
    for day in days[:1] + days[-1:]:
        if not 1 <= day <= observations:
            raise ModelInputError(
                f"exception day is {day}, limit 1 to {observations}",
                value=day,
                limit=f"1 to {observations}",
            )
    n11 = 0
    for day, following in itertools.pairwise(days):
        if day == following:
            raise ModelInputError(f"exception day {day} is given twice", value=day)
        n11 += following == day + 1
    n01 = sum(day > 1 for day in days) - n11
    n10 = sum(day < observations for day in days) - n11
    return Transitions(n00=observations - 1 - n01 - n10 - n11, n01=n01, n10=n10, n11=n11)


def independence_test(transitions: Transitions) -> IndependenceTest:
    """Return whether an exception makes one on the next day more likely [1]_.

    Parameters
    ----------
    transitions : Transitions
        Counts >= 0 of neighbouring days.

    Returns
    -------
    IndependenceTest
        Likelihood ratio >= 0; a ratio with a zero denominator counts as 0, and 0 ln 0 = 0.

    Raises
    ------
    ModelInputError
        If a count is negative.

    References
    ----------
    .. [1] P. Christoffersen, "Evaluating interval forecasts," Int. Econ. Rev., vol. 39,
       pp. 841-862, 1998.
    """
    t = transitions
    if min(t.n00, t.n01, t.n10, t.n11) < 0:
        raise ModelInputError(f"transition counts are >= 0, found {t}")
    together = _log_likelihood(t.n00 + t.n10, t.n01 + t.n11)
    apart = _log_likelihood(t.n00, t.n01) + _log_likelihood(t.n10, t.n11)
    ratio = max(2.0 * (apart - together), 0.0)
    return IndependenceTest(ratio, chi_square_tail(ratio))


def conditional_coverage_test(
    transitions: Transitions, *, observations: int, exceptions: int, confidence: float
) -> ConditionalCoverageTest:
    """Return whether exceptions are as frequent as forecast and independent, tested together.

    Parameters
    ----------
    transitions : Transitions
        Counts of neighbouring days.
    observations, exceptions : int
        All days and those with an exception.
    confidence : float
        Confidence of the forecast, strictly between 0 and 1. [-]

    Returns
    -------
    ConditionalCoverageTest
        The unconditional ratio is Kupiec's over all days; the conditional one adds independence.

    Raises
    ------
    ModelInputError
        If a number is out of range.
    """
    unconditional = kupiec_statistic(observations, exceptions, confidence=confidence)
    conditional = independence_test(transitions).likelihood_ratio_independence + unconditional
    # Chi-square with two degrees of freedom is exponential with mean 2.
    return ConditionalCoverageTest(unconditional, conditional, math.exp(-conditional / 2.0))


def _log_likelihood(without: int, with_exception: int) -> float:
    total = without + with_exception
    return math.fsum(
        count * math.log(count / total) for count in (without, with_exception) if count
    )
