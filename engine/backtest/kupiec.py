"""Proportion-of-failures test: does the number of exceptions fit the confidence?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from engine.errors import ModelInputError

TEST_CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class AcceptedRegion:
    """Counts of exceptions that the test accepts; None and None where it accepts no count."""

    critical_value: float
    exceptions_min_accepted: int | None
    exceptions_max_accepted: int | None


@dataclass(frozen=True, slots=True)
class KupiecTest:
    """Likelihood ratio, its p-value (chi-square, one degree), and whether it is accepted."""

    likelihood_ratio: float
    p_value: float
    accepted: bool


def kupiec_statistic(observations: int, exceptions: int, *, confidence: float) -> float:
    """Return the likelihood ratio of the observed against the expected exception rate [1]_.

    With n days, x exceptions, p = 1 - confidence and h = x / n it is
    ``2 (x ln(h / p) + (n - x) ln((1 - h) / (1 - p)))``, with 0 ln 0 = 0.

    Parameters
    ----------
    observations : int
        Number of days, at least 1.
    exceptions : int
        Days on which the loss exceeded the forecast, 0 to ``observations``.
    confidence : float
        Confidence of the forecast, strictly between 0 and 1. [-]

    Returns
    -------
    float
        Statistic >= 0. [-]

    Raises
    ------
    ModelInputError
        If a number is out of range.

    References
    ----------
    .. [1] P. Kupiec, "Techniques for verifying the accuracy of risk measurement models,"
       J. Derivatives, vol. 3, pp. 73-84, 1995.
    """
    require_counts(observations, exceptions)
    require_confidence(confidence)
    n, x, p = observations, exceptions, 1.0 - confidence
    ratio = 0.0
    if x:
        ratio += x * math.log(x / n / p)
    if n - x:
        ratio += (n - x) * math.log((n - x) / n / confidence)
    # A perfect fit leaves noise of either sign.
    return max(2.0 * ratio, 0.0)


def kupiec_test(
    observations: int,
    exceptions: int,
    *,
    confidence: float,
    test_confidence: float = TEST_CONFIDENCE,
) -> KupiecTest:
    """Return the outcome of the proportion-of-failures test.

    Parameters
    ----------
    observations, exceptions, confidence
        As in ``kupiec_statistic``.
    test_confidence : float
        Confidence of the test, strictly between 0 and 1. [-]

    Returns
    -------
    KupiecTest
        Accepted when the statistic is below the chi-square quantile of ``test_confidence``.

    Raises
    ------
    ModelInputError
        If a number is out of range.

    Examples
    --------
    >>> kupiec_test(250, 10, confidence=0.99).accepted
    False
    """
    ratio = kupiec_statistic(observations, exceptions, confidence=confidence)
    critical = chi_square_quantile(test_confidence)
    return KupiecTest(ratio, chi_square_tail(ratio), ratio < critical)


def kupiec_region(
    observations: int, *, confidence: float, test_confidence: float = TEST_CONFIDENCE
) -> AcceptedRegion:
    """Return the smallest and largest number of exceptions that the test accepts.

    Parameters
    ----------
    observations, confidence, test_confidence
        As in ``kupiec_test``.

    Returns
    -------
    AcceptedRegion
        Bounds, both included.

    Raises
    ------
    ModelInputError
        If a number is out of range.

    Examples
    --------
    >>> kupiec_region(255, confidence=0.99).exceptions_max_accepted
    6
    """
    critical = chi_square_quantile(test_confidence)

    def is_accepted(exceptions: int) -> bool:
        return kupiec_statistic(observations, exceptions, confidence=confidence) < critical

    # The statistic falls up to n p and rises from there: one bisection on each side.
    require_counts(observations, 0)
    below = min(math.floor(observations * (1.0 - confidence)), observations)
    above = min(below + 1, observations)
    peak = next((count for count in (below, above) if is_accepted(count)), None)
    if peak is None:
        return AcceptedRegion(critical, None, None)
    lowest = _first(is_accepted, 0, peak)
    refused = _first(lambda count: not is_accepted(count), peak, observations + 1)
    return AcceptedRegion(critical, lowest, refused - 1)


def chi_square_tail(statistic: float) -> float:
    """Return the probability that chi-square with one degree of freedom exceeds a value."""
    return math.erfc(math.sqrt(statistic / 2.0))


def chi_square_quantile(probability: float) -> float:
    """Return the quantile of chi-square with one degree of freedom: a squared normal one."""
    require_confidence(probability)
    # Half the upper tail keeps its digits where the probability is close to 1.
    return NormalDist().inv_cdf((1.0 - probability) / 2.0) ** 2


def require_counts(observations: int, exceptions: int) -> None:
    """Raise ModelInputError unless 0 <= exceptions <= observations and there is a day."""
    if observations < 1:
        raise ModelInputError(f"observations is {observations}, limit >= 1", value=observations)
    if not 0 <= exceptions <= observations:
        raise ModelInputError(
            f"exceptions is {exceptions}, limit 0 to observations {observations}",
            value=exceptions,
            limit=f"0 to {observations}",
        )


def require_confidence(confidence: float) -> None:
    """Raise ModelInputError unless the confidence is strictly between 0 and 1."""
    if not 0.0 < confidence < 1.0:
        raise ModelInputError(
            f"confidence is {confidence}, limit > 0 and < 1",
            value=confidence,
            limit="> 0 and < 1",
        )


def _first(is_true: Callable[[int], bool], low: int, high: int) -> int:
    """Return the first count from ``low`` on that is true, or ``high``; false ones come first."""
    while low < high:
        middle = (low + high) // 2
        if is_true(middle):
            high = middle
        else:
            low = middle + 1
    return low
