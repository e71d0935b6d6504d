"""Plain twin of the compiled Black-76 kernel: the textbook formula on whole matrices."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D


def scenario_option_values(
    forward: Float64Array1D,
    strike: Float64Array1D,
    is_call: BoolArray1D,
    volatility: Float64Array1D,
    years: Float64Array1D,
    forward_factor: Float64Array1D,
    volatility_factor: Float64Array1D,
) -> Float64Array2D:
    """Return what `engine.kernels.black76.scenario_option_values` returns.

    The option out of the money is valued and the other follows from parity, so that nothing is
    lost to cancellation.
    """
    moved = forward[:, np.newaxis] * forward_factor
    strikes = strike[:, np.newaxis]
    deviation = (volatility * np.sqrt(years))[:, np.newaxis] * volatility_factor
    sign = np.where(moved < strikes, 1.0, -1.0)
    # Without time or volatility the distance is infinite, or nothing at the money.
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = np.log(moved / strikes) / deviation
    middle = np.where((deviation == 0.0) & (moved == strikes), 0.0, middle)
    asset = moved * ndtr(sign * (middle + 0.5 * deviation))
    cash = strikes * ndtr(sign * (middle - 0.5 * deviation))
    out_of_the_money = np.maximum(sign * (asset - cash), 0.0)
    asked = np.where(is_call, 1.0, -1.0)[:, np.newaxis]
    value: Float64Array2D = out_of_the_money + np.maximum(asked * (moved - strikes), 0.0)
    return value
