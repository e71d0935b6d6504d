"""Cells of executions as text, read exactly: a number is what its digits say, or refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from engine.errors import ContractViolation

# As the data contract reads numbers, without exponents; digits of other scripts are none.
_NUMBER: Final = re.compile(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})", re.ASCII)
_FIX_INSTANT: Final = re.compile(
    r"([0-9]{4})([0-9]{2})([0-9]{2})-([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?", re.ASCII
)
_INSTANT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)",
    re.ASCII,
)
PRICE_MAX: Final = Decimal("1e12")
QUANTITY_MAX: Final = Decimal("1e18")


def number_of(what: str, text: str) -> Decimal:
    """Return a plain decimal; raises ContractViolation naming what it is, found and limit."""
    if _NUMBER.fullmatch(text) is None:
        raise refused(what, text, "a plain decimal of at most 40 digits before and after the point")
    return Decimal(text)


def quantity_of(what: str, text: str) -> Decimal:
    """Return the size of a trade, above zero."""
    found = number_of(what, text)
    if not 0 < found <= QUANTITY_MAX:
        raise refused(what, text, f"above 0 and at most {QUANTITY_MAX:f}")
    return found


def position_of(what: str, text: str) -> Decimal:
    """Return signed contracts."""
    found = number_of(what, text)
    if abs(found) > QUANTITY_MAX:
        raise refused(what, text, f"-{QUANTITY_MAX:f} to {QUANTITY_MAX:f}")
    return found


def price_of(what: str, text: str) -> Decimal:
    """Return a price, zero or above."""
    found = number_of(what, text)
    if not 0 <= found <= PRICE_MAX:
        raise refused(what, text, f"0 to {PRICE_MAX:f}")
    return found


def instant_of(what: str, text: str) -> datetime:
    """Return an ISO 8601 instant with its offset, in UTC to the microsecond."""
    try:
        if _INSTANT.fullmatch(text) is None:
            raise ValueError
        return datetime.fromisoformat(_to_microseconds(text)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise refused(what, text, "an ISO 8601 instant with its offset from UTC") from None


def fix_instant_of(what: str, text: str) -> datetime:
    """Return a FIX timestamp, which is UTC, to the microsecond."""
    found = _FIX_INSTANT.fullmatch(text)
    if found is None:
        raise refused(what, text, "YYYYMMDD-HH:MM:SS with up to nine decimals")
    *whole, fraction = found.groups()
    micros = int((fraction or "0").ljust(6, "0")[:6])
    try:
        year, month, day, hour, minute, second = (int(part) for part in whole)
        # A leap second is stamped with 60, which Python's clock does not know.
        return datetime(year, month, day, hour, minute, min(second, 59), micros, tzinfo=UTC)
    except ValueError:
        raise refused(what, text, "an instant that exists") from None


def refused(what: str, found: object, limit: str) -> ContractViolation:
    """Return the error that names a cell, what it holds and what it may hold."""
    return ContractViolation(
        f"{what} is {found!r:.60}, limit {limit}", identifier=what, value=found, limit=limit
    )


def _to_microseconds(text: str) -> str:
    return re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text)
