"""The tools against procyclical margin of EMIR RTS 153/2013, article 28.

Each works on one margin or on an array of them; all return the margin that results. [currency]
"""

from __future__ import annotations

from typing import Final, TypeVar

import numpy as np

from engine.arrays import Float64Array1D
from engine.errors import ModelInputError

# Article 28(1)(a) and (b): at least a quarter.
BUFFER_RATE: Final = 0.25
STRESS_WEIGHT: Final = 0.25

Margin = TypeVar("Margin", float, Float64Array1D)


def buffered_margin(
    base_margin: Margin, *, buffer_rate: float = BUFFER_RATE, buffer_released: bool = False
) -> Margin:
    """Return the margin with a buffer on top, or without while the buffer is released.

    Parameters
    ----------
    base_margin : float or Float64Array1D
        Margin from the current model, >= 0. [currency]
    buffer_rate : float
        Buffer as a fraction of the margin, >= 0. [-]
    buffer_released : bool
        Whether the buffer may be used up, in times of stress.

    Returns
    -------
    float or Float64Array1D
        ``base * (1 + buffer_rate)``, or ``base``. [currency]

    Raises
    ------
    ModelInputError
        If the rate is negative.

    Examples
    --------
    >>> buffered_margin(100.0)
    125.0
    """
    if not buffer_rate >= 0.0:
        raise ModelInputError(f"{buffer_rate=}, limit >= 0", value=buffer_rate, limit=">= 0")
    return base_margin if buffer_released else base_margin * (1.0 + buffer_rate)


def stress_weighted_margin(
    base_margin: Margin, stressed_margin: Margin, *, stress_weight: float = STRESS_WEIGHT
) -> Margin:
    """Return the margin with a share of stressed observations, never below the base.

    Parameters
    ----------
    base_margin, stressed_margin : float or Float64Array1D
        Margin from the current model and from the stressed period, >= 0. [currency]
    stress_weight : float
        Weight of the stressed margin, 0 to 1. [-]

    Returns
    -------
    float or Float64Array1D
        ``max(base, (1 - w) base + w stressed)``. [currency]

    Raises
    ------
    ModelInputError
        If the weight is outside 0 to 1.

    Examples
    --------
    >>> stress_weighted_margin(100.0, 180.0)
    120.0
    """
    if not 0.0 <= stress_weight <= 1.0:
        raise ModelInputError(f"{stress_weight=}, limit 0 to 1", value=stress_weight)
    weighted = (1.0 - stress_weight) * base_margin + stress_weight * stressed_margin
    return _larger(base_margin, weighted)


def floored_margin(base_margin: Margin, floor_margin: Margin) -> Margin:
    """Return the margin, never below that of a ten-year volatility.

    Parameters
    ----------
    base_margin : float or Float64Array1D
        Margin from the current model, >= 0. [currency]
    floor_margin : float or Float64Array1D
        Margin from volatility estimated over ten years, >= 0. [currency]

    Returns
    -------
    float or Float64Array1D
        The larger of both. [currency]

    Examples
    --------
    >>> floored_margin(90.0, 115.0)
    115.0
    """
    return _larger(base_margin, floor_margin)


def _larger(left: Margin, right: Margin) -> Margin:
    if isinstance(left, np.ndarray):
        return np.maximum(left, right)
    return max(left, right)
