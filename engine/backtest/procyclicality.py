"""How hard a margin model hits when markets do: rises, swings, and the calls that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import Float64Array1D
from engine.errors import ModelInputError

RISE_DAYS: Final = (1, 5, 20)


@dataclass(frozen=True, slots=True)
class Procyclicality:
    """Measures of one requirement over time, of a book with constant exposure [1]_.

    ``peak_to_trough`` is the largest over the smallest requirement. ``largest_rise`` and
    ``deviation`` have a figure for each of ``RISE_DAYS``: the largest rise over so many days, and
    the standard deviation of the log change over them. [-]

    References
    ----------
    .. [1] D. Murphy, M. Vasios and N. Vause, "An investigation into the procyclicality of
       risk-based initial margin models," Bank of England Financial Stability Paper 29, 2014.
    """

    peak_to_trough: float
    largest_rise: tuple[float, ...]
    deviation: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CallRecord:
    """Calls and returns that a requirement would have led to, each brought to the requirement.

    ``n_calls`` and ``n_returns`` count them; ``called`` is the sum of calls and ``largest_call``
    the largest one, in units of the mean requirement. [-]
    """

    n_calls: int
    n_returns: int
    called: float
    largest_call: float


def procyclicality(requirement: Float64Array1D) -> Procyclicality:
    """Return the measures of a requirement, one figure a day.

    Raises
    ------
    ModelInputError
        If there are too few days for the longest rise, or a requirement is not above 0.
    """
    _require_positive(requirement, max(RISE_DAYS) + 2)
    logs = np.log(requirement)
    changes = [logs[n:] - logs[:-n] for n in RISE_DAYS]
    return Procyclicality(
        peak_to_trough=float(requirement.max() / requirement.min()),
        largest_rise=tuple(float(np.expm1(change.max())) for change in changes),
        deviation=tuple(float(change.std()) for change in changes),
    )


def calls_made(requirement: Float64Array1D, *, minimum_transfer: float) -> CallRecord:
    """Return the calls of a client who holds exactly what was required at the last transfer.

    Parameters
    ----------
    requirement : Float64Array1D, shape (n_days,)
        Above 0. [currency]
    minimum_transfer : float
        Smallest transfer, as a share of the mean requirement. [-]

    Raises
    ------
    ModelInputError
        If there is no day, a requirement is not above 0, or the share is negative.
    """
    _require_positive(requirement, 1)
    if not minimum_transfer >= 0.0:
        raise ModelInputError(f"{minimum_transfer=}, limit >= 0", value=minimum_transfer)
    mean = float(requirement.mean())
    smallest, posted = minimum_transfer * mean, float(requirement[0])
    calls: list[float] = []
    n_returns = 0
    for required in requirement[1:].tolist():
        moved = required - posted
        if moved == 0.0 or abs(moved) < smallest:
            continue
        posted = required
        if moved > 0.0:
            calls.append(moved / mean)
        else:
            n_returns += 1
    return CallRecord(len(calls), n_returns, sum(calls), max(calls, default=0.0))


def _require_positive(requirement: Float64Array1D, n_days_min: int) -> None:
    if requirement.size < n_days_min:
        raise ModelInputError(
            f"{requirement.size} days of requirement, limit >= {n_days_min}",
            value=requirement.size,
        )
    if not (np.isfinite(requirement).all() and (requirement > 0.0).all()):
        raise ModelInputError("requirements over time need to be finite and above 0")
