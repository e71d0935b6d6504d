"""Instants are timezone-aware UTC, or int64 nanoseconds in arrays; dates are business dates."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from engine.errors import ModelInputError

YEAR_DAYS: Final = 365.0
NANOSECONDS_PER_YEAR: Final = 365 * 24 * 3600 * 1_000_000_000


def close_of(business_date: date) -> datetime:
    """Return the instant that ends a UTC business date: the next midnight.

    Crypto trades around the clock, so a UTC day closes when the next one opens. Regional
    cut-offs are schedules of flows, not another meaning of the date.
    """
    return datetime(business_date.year, business_date.month, business_date.day, tzinfo=UTC) + (
        timedelta(days=1)
    )


def require_utc(instant: datetime, name: str) -> datetime:
    """Return ``instant`` in UTC, or raise if it is naive."""
    if instant.tzinfo is None:
        raise ModelInputError(f"{name} {instant.isoformat()} has no time zone", identifier=name)
    return instant.astimezone(UTC)


def to_nanoseconds(instant: datetime) -> int:
    """Return whole nanoseconds since the Unix epoch."""
    aware = require_utc(instant, "instant")
    delta = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000
