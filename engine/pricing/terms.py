"""What an option contract says, and the check of the numbers that pricing takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from engine.errors import ModelInputError

Settlement: TypeAlias = Literal["linear", "inverse"]
FloatArray: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Numbers: TypeAlias = float | FloatArray
Flags: TypeAlias = bool | np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class OptionTerms:
    """What the contract says; numbers may be arrays that broadcast.

    Attributes
    ----------
    is_call : bool or array
        Right to buy, else to sell.
    strike_price : float or array
        Above zero. [quote currency]
    years : float or array
        Time to expiry, not negative, years of 365 days. [years]
    settlement : {"linear", "inverse"}
        Paid in the quote currency, or in the underlying coin.
    """

    is_call: Flags
    strike_price: Numbers
    years: Numbers
    settlement: Settlement = "linear"


@dataclass(frozen=True, slots=True, eq=False)
class CheckedTerms:
    """Terms and forward as arrays that are known to be usable; ``sign`` is 1 for calls, else -1."""

    sign: FloatArray
    strike: FloatArray
    years: FloatArray
    forward: FloatArray


def check_terms(terms: OptionTerms, forward_price: Numbers) -> CheckedTerms:
    """Return the contract as arrays, or raise ModelInputError for the first unusable number."""
    if terms.settlement not in ("linear", "inverse"):
        raise ModelInputError(
            f"settlement {terms.settlement!r} is unknown, needs linear or inverse",
            identifier="settlement",
            value=terms.settlement,
            limit="linear or inverse",
        )
    sign, strike, years, forward = np.broadcast_arrays(
        np.where(terms.is_call, 1.0, -1.0),
        require_number("strike_price", terms.strike_price),
        require_number("time_to_expiry_years", terms.years, is_zero_allowed=True),
        require_number("forward_price", forward_price),
    )
    return CheckedTerms(sign, strike, years, forward)


def require_number(
    name: str, given: Numbers, *, is_zero_allowed: bool = False, is_signed: bool = False
) -> FloatArray:
    """Return ``given`` as a float64 array, or raise ModelInputError if a value is out of limits."""
    values = np.asarray(given, dtype=np.float64)
    limit = "finite"
    if not is_signed:
        limit += " and not negative" if is_zero_allowed else " and above zero"
    fits = np.isfinite(values)
    if not is_signed:
        fits &= (values >= 0.0) if is_zero_allowed else (values > 0.0)
    if not fits.all():
        found = float(values[~fits].flat[0])
        raise ModelInputError(
            f"{name} is {found}, needs to be {limit}", identifier=name, value=found, limit=limit
        )
    return values


def discount_factor(rate: FloatArray, years: FloatArray) -> FloatArray:
    """Return ``exp(-rate * years)``, or raise ModelInputError where it is not above zero."""
    with np.errstate(over="ignore"):
        factor: FloatArray = np.exp(-rate * years)
    fits = np.isfinite(factor) & (factor > 0.0)
    if not fits.all():
        found = float(np.broadcast_to(rate, fits.shape)[~fits].flat[0])
        raise ModelInputError(
            f"risk_free_rate {found} discounts to 0 or infinity",
            identifier="risk_free_rate",
            value=found,
            limit="a discount factor that is finite and above zero",
        )
    return factor
