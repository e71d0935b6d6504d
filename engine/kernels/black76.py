"""Black-76 values of many European options in many scenarios."""

from __future__ import annotations

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D
from engine.errors import ModelInputError
from engine.kernels.layout import frozen

__all__ = ["scenario_option_values"]


def scenario_option_values(
    forward: Float64Array1D,
    strike: Float64Array1D,
    is_call: BoolArray1D,
    volatility: Float64Array1D,
    years: Float64Array1D,
    forward_factor: Float64Array1D,
    volatility_factor: Float64Array1D,
    *,
    out: Float64Array2D | None = None,
) -> Float64Array2D:
    """Return the undiscounted Black-76 value of each option in each scenario.

    In scenario ``s`` the forward of option ``i`` is ``forward[i] * forward_factor[s]`` and its
    volatility ``volatility[i] * volatility_factor[s]``. Errors stay below 1e-14 of the larger of
    forward and strike; a value never falls below the intrinsic value, and equals it without time
    or volatility and wherever the time value is below the precision of a float.

    Parameters
    ----------
    forward, strike : Float64Array1D, shape (n_options,)
        Above zero. [quote currency]
    is_call : BoolArray1D, shape (n_options,)
        Call, else put.
    volatility : Float64Array1D, shape (n_options,)
        Annual log-normal volatility, 0.55 = 55 %, not negative. [1/sqrt(year)]
    years : Float64Array1D, shape (n_options,)
        Time to expiry, not negative. [years]
    forward_factor, volatility_factor : Float64Array1D, shape (n_scenarios,)
        Above zero; not negative. [-]
    out : Float64Array2D, shape (n_options, n_scenarios), optional
        Contiguous array to fill and return.

    Returns
    -------
    Float64Array2D, shape (n_options, n_scenarios)
        Value of an option on one unit of the underlying. [quote currency]

    Raises
    ------
    ModelInputError
        If shapes do not fit or a value is not finite or out of its limits.
    """
    contracts = {"forward": forward, "strike": strike, "volatility": volatility, "years": years}
    contracts = {name: _checked(name, given, len(forward)) for name, given in contracts.items()}
    factors = (
        _checked("forward_factor", forward_factor, len(forward_factor)),
        _checked("volatility_factor", volatility_factor, len(forward_factor)),
    )
    if is_call.shape != (len(forward),) or is_call.dtype != np.bool_:
        raise ModelInputError(
            f"is_call needs {len(forward)} flags, found {is_call.dtype} of shape {is_call.shape}"
        )
    shape = (len(forward), len(forward_factor))
    if out is None:
        out = np.empty(shape)
    elif out.shape != shape or out.dtype != np.float64 or not out.flags.c_contiguous:
        raise ModelInputError(f"out needs contiguous float64 of shape {shape}, found {out.shape}")
    if 0 in shape:
        return out
    if not np.isfinite(contracts["forward"].max() * factors[0].max()):
        raise ModelInputError("the largest forward in the largest scenario is not finite")
    # numba takes most of a second to import, so it is loaded where it computes.
    from engine.kernels import black76_compiled

    deviation = contracts["volatility"] * np.sqrt(contracts["years"])
    black76_compiled.scenario_option_values(
        (
            contracts["forward"],
            contracts["strike"],
            frozen("is_call", np.where(is_call, 1.0, -1.0), np.float64),
        ),
        frozen("volatility * sqrt(years)", deviation, np.float64),
        black76_compiled.moves_of(*factors),
        out,
    )
    return out


_MAY_BE_ZERO = ("volatility", "years", "volatility_factor")


def _checked(name: str, values: Float64Array1D, n_values: int) -> Float64Array1D:
    view = frozen(name, values, np.float64)
    if len(view) != n_values:
        raise ModelInputError(f"{name} needs {n_values} values, found {len(view)}")
    fits = np.isfinite(view) & ((view >= 0.0) if name in _MAY_BE_ZERO else (view > 0.0))
    if not fits.all():
        i = int(np.flatnonzero(~fits)[0])
        limit = "not negative" if name in _MAY_BE_ZERO else "above zero"
        raise ModelInputError(
            f"{name}[{i}] is {view[i]}, needs to be finite and {limit}",
            identifier=f"{name}[{i}]",
            value=float(view[i]),
            limit=limit,
        )
    return view
