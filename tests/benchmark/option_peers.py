"""Other ways to value options in scenarios, each as fast as it is known to go."""

from __future__ import annotations

import math

import numpy as np
import QuantLib as ql  # noqa: N813 (its own documents name it so)
from numba import njit
from scipy.special import ndtr

from tests.benchmark.workload import Options, Scenarios

# Four arrays of this many rows by 1,000 scenarios fit the second-level cache.
BLOCK_OPTIONS = 16


def one_shot(options: Options, scenarios: Scenarios) -> np.ndarray:
    """Return values from whole matrices with numpy and scipy, as one would first write it."""
    forward = options.forward[:, None] * scenarios.forward_factor
    deviation = (options.volatility * np.sqrt(options.years))[:, None] * scenarios.volatility_factor
    sign = np.where(options.is_call, 1.0, -1.0)[:, None]
    strike = options.strike[:, None]
    d1 = np.log(forward / strike) / deviation + 0.5 * deviation
    return sign * (forward * ndtr(sign * d1) - strike * ndtr(sign * (d1 - deviation)))


def blocked(options: Options, scenarios: Scenarios, out: np.ndarray) -> np.ndarray:
    """Fill ``out`` with numpy and scipy: no logarithm per cell, blocks in cache, no temporaries."""
    sign = np.where(options.is_call, 1.0, -1.0)
    deviation = options.volatility * np.sqrt(options.years)
    log_ratio = np.log(options.forward / options.strike)
    log_factor = np.log(scenarios.forward_factor)
    inverse = 1.0 / scenarios.volatility_factor
    shape = (BLOCK_OPTIONS, len(log_factor))
    moved, d1, d2, spread = (np.empty(shape) for _ in range(4))
    for start in range(0, len(options), BLOCK_OPTIONS):
        rows = slice(start, min(start + BLOCK_OPTIONS, len(options)))
        n = rows.stop - rows.start
        a, b, c, d = moved[:n], d1[:n], d2[:n], spread[:n]
        w = sign[rows, None]
        np.multiply(options.forward[rows, None], scenarios.forward_factor, out=a)
        np.add(log_ratio[rows, None], log_factor, out=b)
        np.multiply(b, (w / deviation[rows, None]), out=b)
        np.multiply(b, inverse, out=b)
        np.multiply(0.5 * w * deviation[rows, None], scenarios.volatility_factor, out=d)
        np.subtract(b, d, out=c)
        np.add(b, d, out=b)
        ndtr(b, out=b)
        ndtr(c, out=c)
        np.multiply(a, b, out=b)
        np.multiply(c, options.strike[rows, None], out=c)
        np.subtract(b, c, out=b)
        np.multiply(b, w, out=out[rows])
    return out


@njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _erfc(forward, strike, sign, log_ratio, deviation, moves, out):  # type: ignore[no-untyped-def]
    factor, log_factor, scale, inverse = moves
    root = math.sqrt(0.5)
    for i in range(forward.size):
        w, f, k, s = sign[i], forward[i], strike[i], deviation[i]
        for j in range(factor.size):
            middle = (log_ratio[i] + log_factor[j]) * (inverse[j] / s)
            half = 0.5 * s * scale[j]
            moved = f * factor[j]
            asset = moved * 0.5 * math.erfc(-w * (middle + half) * root)
            cash = k * 0.5 * math.erfc(-w * (middle - half) * root)
            out[i, j] = w * (asset - cash)


def numba_erfc(options: Options, scenarios: Scenarios, out: np.ndarray) -> np.ndarray:
    """Fill ``out`` with numba and the error function of the C library, factorised."""
    moves = (
        scenarios.forward_factor,
        np.log(scenarios.forward_factor),
        scenarios.volatility_factor,
        1.0 / scenarios.volatility_factor,
    )
    _erfc(
        options.forward,
        options.strike,
        np.where(options.is_call, 1.0, -1.0),
        np.log(options.forward / options.strike),
        options.volatility * np.sqrt(options.years),
        moves,
        out,
    )
    return out


def quantlib(options: Options, scenarios: Scenarios) -> list[float]:
    """Return values by QuantLib's ``blackFormula``, its fastest route from Python."""
    kinds = [ql.Option.Call if call else ql.Option.Put for call in options.is_call]
    deviations = (options.volatility * np.sqrt(options.years)).tolist()
    factors = scenarios.forward_factor.tolist()
    scales = scenarios.volatility_factor.tolist()
    formula = ql.blackFormula
    return [
        formula(kind, strike, forward * factor, deviation * scale)
        for kind, strike, forward, deviation in zip(
            kinds, options.strike.tolist(), options.forward.tolist(), deviations, strict=True
        )
        for factor, scale in zip(factors, scales, strict=True)
    ]
