"""Figures as text: exact in tables, short in charts, with a real minus and thousands separators."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal, localcontext
from typing import TypeAlias, TypeGuard

from engine.money import MONEY_CONTEXT

Number: TypeAlias = int | float | Decimal

MINUS = "\N{MINUS SIGN}"
NO_BREAK = "\N{NO-BREAK SPACE}"
ABSENT = "\N{EM DASH}"
_UNITS = ((1e12, "T"), (1e9, "bn"), (1e6, "M"), (1e3, "k"))
DECIMALS_MIN = 2


def exact(amount: object, decimals: int | None = None) -> str:
    """Return ``amount`` with thousands separators, a real minus and nothing lost.

    A ``Decimal`` keeps its own decimals (at least two) unless ``decimals`` is given; other numbers
    are shown with ``decimals``, two by default. What is absent is a dash.

    Examples
    --------
    >>> exact(Decimal("-1234567.5"))
    '−1,234,567.50'
    >>> exact(None)
    '—'
    """
    if not is_number(amount):
        return ABSENT
    if decimals is None:
        decimals = decimals_of(amount) if isinstance(amount, Decimal) else DECIMALS_MIN
    # Half even, whatever another library has made of the thread's own context.
    with localcontext(MONEY_CONTEXT):
        return _with_minus(f"{amount:,.{decimals}f}")


def signed(amount: object, decimals: int | None = None) -> str:
    """Return ``exact`` with a plus before gains; zero has no sign."""
    text = exact(amount, decimals)
    return f"+{text}" if is_number(amount) and _is_above_zero(text) else text


def short(amount: object, *, plus: bool = False) -> str:
    """Return ``amount`` in three figures with its unit: 12.4 M, 3.21 bn, 950.

    Examples
    --------
    >>> short(12_449_000.0), short(-950), short(999_950.0), short(0.25)
    ('12.4\\xa0M', '−950', '1.00\\xa0M', '0.25')
    """
    if not is_number(amount):
        return ABSENT
    value = float(amount)
    sign = MINUS if value < 0 else "+" if plus and value > 0 else ""
    return sign + _magnitude(abs(value))


def brief(amount: object) -> str:
    """Return ``short`` without decimals that say nothing: 5 M, 12.5 M, 0."""
    return re.sub(r"(\.\d*?)0+(?=\D|$)", lambda m: "" if m[1] == "." else m[1], short(amount))


def percent(share: object, decimals: int = 1) -> str:
    """Return a fraction as a percentage: 0.125 is 12.5 %."""
    if not is_number(share):
        return ABSENT
    return _with_minus(f"{float(share) * 100:,.{decimals}f}") + f"{NO_BREAK}%"


def count(number: object) -> str:
    """Return a whole number with thousands separators."""
    return _with_minus(f"{int(number):,}") if is_number(number) else ABSENT


def is_number(value: object) -> TypeGuard[Number]:
    """Return whether ``value`` is a finite number, exact or not."""
    if isinstance(value, Decimal):
        return value.is_finite()
    try:
        return value is not None and math.isfinite(value)  # type: ignore[arg-type]
    except TypeError:
        return False


def decimals_of(amount: Decimal) -> int:
    """Return the decimals that ``amount`` carries, at least two."""
    exponent = amount.as_tuple().exponent
    return max(-exponent, DECIMALS_MIN) if isinstance(exponent, int) else DECIMALS_MIN


def total(amounts: Iterable[object]) -> Decimal:
    """Return the exact sum of the Decimals among ``amounts``; what is absent adds nothing."""
    result = Decimal(0)
    for amount in amounts:
        if isinstance(amount, Decimal) and amount.is_finite():
            result = MONEY_CONTEXT.add(result, amount)
    return result


def _magnitude(value: float) -> str:
    for factor, unit in _UNITS:
        # A value that would round up to the next unit is shown in it.
        if value >= factor * 0.9995:
            return f"{_three_figures(value / factor)}{NO_BREAK}{unit}"
    return _three_figures(value) if value != int(value) else f"{int(value)}"


def _three_figures(value: float) -> str:
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def _with_minus(text: str) -> str:
    if text.startswith("-"):
        return MINUS + text[1:] if text.strip("-0.,") else text[1:]
    return text


def _is_above_zero(text: str) -> bool:
    return not text.startswith(MINUS) and bool(text.strip("0.,"))
