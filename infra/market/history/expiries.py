"""Expiry dates and names of listed futures.

Quarterly futures expire on the last Friday of March, June, September and December at 08:00 UTC;
four of them are listed at a time. Source: Deribit, Binance and OKX contract specifications.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

EXPIRY_HOUR: Final = 8
QUARTERLIES_LISTED: Final = 4
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                  "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")  # fmt: skip
_FRIDAY = 4


def quarterly_expiries(after: datetime, count: int = QUARTERLIES_LISTED) -> list[datetime]:
    """Return the next ``count`` quarterly expiries strictly after an instant.

    >>> [f"{expiry:%Y-%m-%d}" for expiry in quarterly_expiries(datetime(2026, 11, 21, tzinfo=UTC))]
    ['2026-12-25', '2027-03-26', '2027-06-25', '2027-09-24']
    """
    found: list[datetime] = []
    year, quarter = after.year, (after.month - 1) // 3
    while len(found) < count:
        expiry = _last_friday(year, 3 * quarter + 3)
        if expiry > after:
            found.append(expiry)
        year, quarter = (year, quarter + 1) if quarter < 3 else (year + 1, 0)
    return found


def dated_symbol(asset: str, expiry: datetime) -> str:
    """Return the venue's name of a dated future: asset, day, month and year.

    >>> dated_symbol("BTC", datetime(2026, 1, 2, 8, tzinfo=UTC))
    'BTC-2JAN26'
    """
    return f"{asset}-{expiry.day}{_MONTHS[expiry.month - 1]}{expiry.year % 100:02d}"


def _last_friday(year: int, month: int) -> datetime:
    following = date(year + month // 12, month % 12 + 1, 1)
    last = following - timedelta(days=1)
    friday = last - timedelta(days=(last.weekday() - _FRIDAY) % 7)
    return datetime(friday.year, friday.month, friday.day, EXPIRY_HOUR, tzinfo=UTC)
