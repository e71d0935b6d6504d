"""Black-76 by the engine's own kernel, one value per option."""

from __future__ import annotations

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D
from engine.kernels.black76 import scenario_option_values


def option_values(
    forward: Float64Array1D,
    strike: Float64Array1D,
    volatility: Float64Array1D,
    years: Float64Array1D,
    is_call: BoolArray1D,
) -> Float64Array1D:
    """Return undiscounted values; ``years`` at or below zero gives the pay-off. [quote currency]"""
    one = np.ones(1)
    values = scenario_option_values(
        forward=forward,
        strike=strike,
        is_call=is_call,
        volatility=volatility,
        years=np.maximum(years, 0.0),
        forward_factor=one,
        volatility_factor=one,
    )
    result: Float64Array1D = values[:, 0].copy()
    return result
