"""Exact money: the only module that rounds it.

A kernel result is first quantised to four guard digits, half even, so that binary noise never
buys a tick. Then requirements round up, collateral values down and settlements half even.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    FloatOperation,
    InvalidOperation,
    localcontext,
)
from enum import Enum

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.errors import ModelInputError

GUARD_DIGITS = 4
REQUIREMENT_DECIMALS_MAX = 8
# Passed explicitly: a context set globally does not reach other threads.
MONEY_CONTEXT = Context(prec=50, traps=[FloatOperation, InvalidOperation])


class Rounding(Enum):
    """Direction in which an amount is rounded, by what the amount means."""

    REQUIREMENT = ROUND_CEILING
    COLLATERAL_VALUE = ROUND_FLOOR
    SETTLEMENT = ROUND_HALF_EVEN


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount of one currency or asset."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise ModelInputError(
                f"Money needs a Decimal, found {type(self.amount).__name__} {self.amount!r}",
                value=self.amount,
            )
        if not self.amount.is_finite():
            raise ModelInputError(f"Money needs a finite amount, found {self.amount}")

    def __add__(self, other: Money) -> Money:
        self._require_same_currency(other)
        return Money(MONEY_CONTEXT.add(self.amount, other.amount), self.currency)

    def __sub__(self, other: Money) -> Money:
        self._require_same_currency(other)
        return Money(MONEY_CONTEXT.subtract(self.amount, other.amount), self.currency)

    def __neg__(self) -> Money:
        return Money(MONEY_CONTEXT.minus(self.amount), self.currency)

    def _require_same_currency(self, other: Money) -> None:
        if self.currency != other.currency:
            raise ModelInputError(
                f"cannot combine {self.currency} with {other.currency}; convert with an FxRate"
            )


@dataclass(frozen=True, slots=True)
class FxRate:
    """Units of ``quote_currency`` for one unit of ``base_currency``."""

    base_currency: str
    quote_currency: str
    rate: Decimal

    def convert(self, money: Money, decimals: int, rounding: Rounding) -> Money:
        """Return ``money`` in the quote currency, rounded to ``decimals``."""
        if money.currency != self.base_currency:
            raise ModelInputError(
                f"rate {self.base_currency}/{self.quote_currency} cannot convert {money.currency}"
            )
        product = MONEY_CONTEXT.multiply(money.amount, self.rate)
        return Money(round_to_decimals(product, decimals, rounding), self.quote_currency)


def to_money(amount: float, currency: str, decimals: int, rounding: Rounding) -> Money:
    """Return the float64 ``amount`` as money with ``decimals`` decimals.

    Parameters
    ----------
    amount : float
        Kernel result. [currency]
    currency : str
        Currency or asset.
    decimals : int
        Decimals kept, 0 to 18.
    rounding : Rounding
        What the amount is, hence the direction.

    Raises
    ------
    ModelInputError
        If the amount is not finite.

    Examples
    --------
    Binary noise of 0.1 + 0.2 buys no tick, a real thousandth does.

    >>> to_money(0.1 + 0.2, "USD", 2, Rounding.REQUIREMENT).amount
    Decimal('0.30')
    >>> to_money(0.301, "USD", 2, Rounding.REQUIREMENT).amount
    Decimal('0.31')
    """
    if not math.isfinite(amount):
        raise ModelInputError(f"money needs a finite amount, found {amount}", value=amount)
    return Money(round_to_decimals(exact(amount), decimals, rounding), currency)


def exact(amount: float) -> Decimal:
    """Return the number as it is written: the shortest decimal that reads back as ``amount``.

    Examples
    --------
    >>> exact(0.1) + exact(0.2)
    Decimal('0.3')
    """
    return Decimal(repr(float(amount)))


def round_to_decimals(amount: Decimal, decimals: int, rounding: Rounding) -> Decimal:
    """Return ``amount`` rounded to ``decimals`` after the guard digits have taken the noise."""
    guard = Decimal(1).scaleb(-(decimals + GUARD_DIGITS))
    tick = Decimal(1).scaleb(-decimals)
    noiseless = amount.quantize(guard, rounding=ROUND_HALF_EVEN, context=MONEY_CONTEXT)
    # plus() turns a negative zero into zero: nobody wants to read or post "-0.00".
    return MONEY_CONTEXT.plus(
        noiseless.quantize(tick, rounding=rounding.value, context=MONEY_CONTEXT)
    )


def round_amounts(
    amounts: Float64Array1D, decimals: Int64Array1D, rounding: Rounding
) -> ObjectArray1D:
    """Return each amount as ``to_money`` would round it, as an array of ``Decimal``.

    Parameters
    ----------
    amounts : Float64Array1D, shape (n,)
        Kernel results, each in its own currency.
    decimals : Int64Array1D, shape (n,)
        Decimals kept of each amount, 0 to 18.
    rounding : Rounding
        What the amounts are.

    Returns
    -------
    ObjectArray1D, shape (n,)
        Exact amounts.

    Raises
    ------
    ModelInputError
        If an amount is not finite.
    """
    if not np.isfinite(amounts).all():
        raise ModelInputError("money needs finite amounts, found NaN or infinity")
    rounded: ObjectArray1D = np.empty(len(amounts), dtype=object)
    for scale in np.unique(decimals).tolist():
        rows = np.flatnonzero(decimals == scale)
        rounded[rows] = _round_at_scale(amounts[rows], scale, rounding)
    return rounded


def _round_at_scale(amounts: Float64Array1D, scale: int, rounding: Rounding) -> ObjectArray1D:
    """Return amounts of one scale, rounded as decimals only where floats cannot tell the tick."""
    ticks, is_certain = _certain_ticks(amounts, scale, rounding)
    rounded: ObjectArray1D = np.empty(len(amounts), dtype=object)
    tick = Decimal(1).scaleb(-scale)
    guard = Decimal(1).scaleb(-(scale + GUARD_DIGITS))
    whole = ticks[is_certain].astype(np.int64)
    with localcontext(MONEY_CONTEXT):
        rounded[is_certain] = np.fromiter(
            map(tick.__mul__, whole.tolist()), dtype=object, count=len(whole)
        )
    for row in np.flatnonzero(~is_certain).tolist():
        noiseless = exact(amounts[row]).quantize(guard, ROUND_HALF_EVEN, MONEY_CONTEXT)
        rounded[row] = MONEY_CONTEXT.plus(noiseless.quantize(tick, rounding.value, MONEY_CONTEXT))
    return rounded


def _certain_ticks(
    amounts: Float64Array1D, scale: int, rounding: Rounding
) -> tuple[Float64Array1D, BoolArray1D]:
    """Return amounts in whole ticks, and where decimal arithmetic would give the same ticks.

    The decimal that is rounded lies within half a guard digit of the amount as it is written, which
    lies within half a unit in the last place of the float; the product below adds another half.
    Twice that is left as a margin: an amount further than it from any tie or tick that would change
    its direction cannot go another way.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        exact_ticks = amounts * float(10**scale)
        noise = 10.0**-GUARD_DIGITS + np.abs(exact_ticks) * 2.0**-51
        if rounding is Rounding.SETTLEMENT:
            ticks = np.rint(exact_ticks)
            is_certain = np.abs(exact_ticks - ticks) < 0.5 - noise
        else:
            upwards = rounding is Rounding.REQUIREMENT
            ticks = np.ceil(exact_ticks) if upwards else np.floor(exact_ticks)
            inside = np.abs(exact_ticks - ticks)
            is_certain = (inside > noise) & (inside < 1.0 - noise)
    return ticks, is_certain | (amounts == 0.0)


def round_to_noisy_increment(amount: Decimal, increment: Decimal, rounding: Rounding) -> Decimal:
    """Return a number that comes from floats as a multiple of ``increment``.

    The ratio is first rounded half even at four decimals, so that binary noise buys no increment.
    """
    if increment <= 0:
        raise ModelInputError(f"increment {increment} is not above 0", value=increment, limit="> 0")
    ratio = MONEY_CONTEXT.divide(amount, increment)
    clean = ratio.quantize(Decimal("0.0001"), rounding=ROUND_HALF_EVEN, context=MONEY_CONTEXT)
    return MONEY_CONTEXT.multiply(round_to_increment(clean, Decimal(1), rounding), increment)


def round_to_increment(amount: Decimal, increment: Decimal, rounding: Rounding) -> Decimal:
    """Return ``amount`` as a multiple of ``increment``, exactly."""
    if increment <= 0:
        raise ModelInputError(f"rounding increment {increment} is not above 0", value=increment)
    ratio = MONEY_CONTEXT.divide(amount, increment)
    whole = ratio.quantize(Decimal(1), rounding=rounding.value, context=MONEY_CONTEXT)
    return MONEY_CONTEXT.multiply(whole, increment)


def to_minor_units(money: Money, scale: int) -> int:
    """Return the amount as a whole number of the asset's minor unit, exactly."""
    minor = MONEY_CONTEXT.scaleb(money.amount, Decimal(scale))
    if minor != minor.to_integral_value(context=MONEY_CONTEXT):
        raise ModelInputError(
            f"{money.amount} {money.currency} has more than {scale} decimals",
            value=money.amount,
            limit=f"{scale} decimals",
        )
    return int(minor)


def from_minor_units(units: int, currency: str, scale: int) -> Money:
    """Return ``units`` of the asset's minor unit as money."""
    return Money(Decimal(units).scaleb(-scale, context=MONEY_CONTEXT), currency)
