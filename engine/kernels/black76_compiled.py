"""Compiled Black-76 values over scenarios. Plain twin: `engine.kernels.black76_plain`.

With ``F phi(d1) = K phi(d2)`` both normal terms share one exponential:
``F N(-|d1|) = e R(|d1|)`` and ``K N(-|d2|) = e R(|d2|)``, where ``e = F exp(-d1^2 / 2)`` and
``R(y) = exp(y^2 / 2) N(-y)`` is smooth and is taken from a polynomial. Multiply-adds are fused
explicitly and nothing else is reordered, so the width of a vector does not change a bit.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

from engine.arrays import Float64Array1D, Float64Array2D

Contracts: TypeAlias = tuple[Float64Array1D, Float64Array1D, Float64Array1D]
Moves: TypeAlias = tuple[
    tuple[Float64Array1D, Float64Array1D], tuple[Float64Array1D, Float64Array1D]
]
_compiled: Any = njit(nogil=True, cache=True, error_model="numpy")
_inlined: Any = njit(nogil=True, cache=True, error_model="numpy", forceinline=True)

# R(y) in powers of (y - 4) / (y + 4): minimax for the absolute error of N(-y) on 0 <= y <= 9,
# found by the Remez exchange in 50 digits; largest error 5.1e-16. Beyond 9, N(-y) < 1.2e-19.
_R = (
    0.09441064130076196, -0.17039772161143568, 0.12437925433399291, -0.07170741397483445,
    0.03086479529356119, -0.00849194191797082, 0.0005087681970813683, 0.0006434791162564184,
    -0.0001757418144953525, -2.65751238347483e-05, 5.013340290238423e-05, 2.0657546278857076e-05,
    2.6333206556298646e-06,
)  # fmt: skip
# exp(r) in powers of r: minimax for the relative error on |r| <= ln(2) / 2, by the same method;
# largest error 2.1e-16.
_E = (
    1.0, 1.0000000000000064, 0.49999999999997286, 0.16666666666557747, 0.04166666666842679,
    0.008333333384665582, 0.0013888888498973266, 0.0001984117138337683, 2.4801917823947038e-05,
    2.7639768841813495e-06, 2.748840485458305e-07,
)  # fmt: skip
_LOG2_E = 1.4426950408889634
# ln(2) in two parts (fdlibm e_exp.c): the first has trailing zeros, so products with it are exact.
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
# Adding 1.5 * 2^52 rounds to a whole number and leaves it in the low bits.
_ROUND = 6755399441055744.0
_EXPONENT_MIN = -708.0
# Keeps both normal terms finite; the exponential is exactly 0 long before.
_DISTANCE_MAX = 40.0
# Stands for 1 / 0: a product of two of them is finite.
_INVERSE_MAX = 1e150
_RATIO_MIN = 1e-300


def scenario_option_values(
    contracts: Contracts, deviation: Float64Array1D, moves: Moves, out: Float64Array2D
) -> None:
    """Fill ``out`` from checked inputs.

    ``contracts`` are forward, strike and 1 for calls, -1 for puts; ``deviation`` is volatility
    times the root of years; ``moves`` are those of ``moves_of``.
    """
    fill_values(contracts, log_moneyness(contracts), deviation, moves, out)


def log_moneyness(contracts: Contracts) -> Float64Array1D:
    """Return the logarithm of forward over strike."""
    forward, strike, _ = contracts
    logarithm: Float64Array1D = np.log(np.clip(forward / strike, _RATIO_MIN, 1.0 / _RATIO_MIN))
    return logarithm


def moves_of(forward_factor: Float64Array1D, volatility_factor: Float64Array1D) -> Moves:
    """Return factors of forward and volatility with what their loops need beside them."""
    return (
        (forward_factor, np.log(forward_factor)),
        (volatility_factor, _inverse(volatility_factor)),
    )


def fill_values(
    contracts: Contracts,
    log_ratio: Float64Array1D,
    deviation: Float64Array1D,
    moves: Moves,
    out: Float64Array2D,
) -> None:
    """Do what ``scenario_option_values`` does, with ``log_moneyness`` taken before."""
    _values(contracts, (log_ratio, 0.5 * deviation, _inverse(deviation)), moves[0], moves[1], out)


def _inverse(values: Float64Array1D) -> Float64Array1D:
    inverse: Float64Array1D = 1.0 / np.maximum(values, 1.0 / _INVERSE_MAX)
    return inverse


@intrinsic
def _fused(typing_context, factor, other, summand):  # type: ignore[no-untyped-def]
    """Return ``factor * other + summand``, rounded once."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


@intrinsic
def _scaled(typing_context, value, rounded):  # type: ignore[no-untyped-def]
    """Return ``value`` times two to the whole number in the low bits of ``rounded``."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        word = ir.IntType(64)
        bits, power = (builder.bitcast(argument, word) for argument in arguments)
        scaled = builder.add(bits, builder.shl(power, ir.Constant(word, 52)))
        return builder.bitcast(scaled, ir.DoubleType())

    return types.float64(types.float64, types.float64), generate


@_compiled
def _values(contracts, spreads, price_moves, volatility_moves, out):  # type: ignore[no-untyped-def]
    forwards, strikes, signs = contracts
    log_moneyness, half_deviation, inverse_deviation = spreads
    factors, log_factors = price_moves
    scales, inverse_scales = volatility_moves
    for i in range(forwards.size):
        forward, strike, sign = forwards[i], strikes[i], signs[i]
        log_ratio, half, inverse = log_moneyness[i], half_deviation[i], inverse_deviation[i]
        row = out[i]
        for j in range(factors.size):
            moved = forward * factors[j]
            middle = (log_ratio + log_factors[j]) * (inverse * inverse_scales[j])
            d1 = _fused(half, scales[j], middle)
            d2 = _fused(-half, scales[j], middle)
            far1 = min(abs(d1), _DISTANCE_MAX)
            far2 = min(abs(d2), _DISTANCE_MAX)
            density = moved * _exponential(-0.5 * far1 * far1)
            tail1 = density * _tail_ratio(far1)
            tail2 = density * _tail_ratio(far2)
            # Above the middle the normal term is one minus its tail.
            asset = moved - tail1 if sign * d1 > 0.0 else tail1
            cash = strike - tail2 if sign * d2 > 0.0 else tail2
            intrinsic_value = max(sign * (moved - strike), 0.0)
            # Adding zero turns a negative zero into a plain one.
            row[j] = max(sign * (asset - cash), intrinsic_value) + 0.0


@_inlined
def _exponential(power):  # type: ignore[no-untyped-def]
    rounded = _fused(power, _LOG2_E, _ROUND)
    whole = rounded - _ROUND
    rest = _fused(whole, -_LN2_HIGH, power)
    rest = _fused(whole, -_LN2_LOW, rest)
    value = _E[10]
    for c in (_E[9], _E[8], _E[7], _E[6], _E[5], _E[4], _E[3], _E[2], _E[1], _E[0]):
        value = _fused(value, rest, c)
    return _scaled(value, rounded) if power > _EXPONENT_MIN else 0.0


@_inlined
def _tail_ratio(distance):  # type: ignore[no-untyped-def]
    x = (distance - 4.0) / (distance + 4.0)
    value = _R[12]
    for c in (_R[11], _R[10], _R[9], _R[8], _R[7], _R[6], _R[5], _R[4], _R[3], _R[2], _R[1], _R[0]):
        value = _fused(value, x, c)
    return value
