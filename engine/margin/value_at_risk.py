"""Value at risk and expected shortfall by historical simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.arrays import Float64Array1D
from engine.errors import ModelInputError


@dataclass(frozen=True, slots=True)
class TailRisk:
    """Value at risk and expected shortfall, losses > 0, in the currency of the outcomes."""

    value_at_risk: float
    expected_shortfall: float


def value_at_risk(pnl: Float64Array1D, *, confidence: float) -> TailRisk:
    """Return the empirical quantile of the losses and the mean loss from there on.

    With n outcomes the quantile is number ``ceil(n (1 - confidence))`` counted from the worst,
    at least the first, without interpolation. The expected shortfall is the mean of all outcomes
    not above the quantile, ties included. The house margin uses the fractional tail of
    ``engine.kernels.tail`` instead; this is the form that risk reports publish.

    Parameters
    ----------
    pnl : Float64Array1D, shape (n_scenarios,)
        Profit (+) or loss (-) of each scenario. [settlement currency]
    confidence : float
        Share of outcomes outside the tail, strictly between 0 and 1. [-]

    Returns
    -------
    TailRisk
        Negative where even the tail makes a profit. [settlement currency]

    Raises
    ------
    ModelInputError
        If there is no outcome, one is not finite, or ``confidence`` is out of range.

    Examples
    --------
    >>> value_at_risk(np.array([-5.0, 1.0, -3.0, 2.0]), confidence=0.5)
    TailRisk(value_at_risk=3.0, expected_shortfall=4.0)
    """
    if not 0.0 < confidence < 1.0:
        raise ModelInputError(f"{confidence=}, limit between 0 and 1", value=confidence)
    if pnl.ndim != 1 or pnl.size == 0 or not np.isfinite(pnl).all():
        raise ModelInputError(f"pnl needs finite outcomes in one row, found shape {pnl.shape}")
    # Rounding removes binary noise: a tenth of ten outcomes is one, not 0.9999999999999998.
    rank = max(math.ceil(round(pnl.size * (1.0 - confidence), 9)), 1)
    quantile = float(np.partition(pnl, rank - 1)[rank - 1])
    tail = pnl[pnl <= quantile]
    return TailRisk(
        value_at_risk=-quantile, expected_shortfall=-math.fsum(tail.tolist()) / tail.size
    )
