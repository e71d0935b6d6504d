"""Which expiries a venue lists on a date. All expire at 08:00 UTC.

Source: Deribit's contract introduction policy
(https://support.deribit.com/hc/en-us/articles/25944688876957-Contract-Introduction-Policy): BTC
and ETH options have 1, 2, 3 dailies, 1, 2, 3 weeklies (Fridays), 1, 2, 3 monthlies (last Friday of
the month) and 3, 6, 9, 12-month quarterlies of the March cycle; SOL and XRP have fewer; futures
have 1, 2 weeklies, 1, 2, 3 monthlies and the quarterlies. A date that is two of these is listed
once. Binance lists the current and the next quarter, OKX two weeklies, two monthlies and two
quarterlies.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

EXPIRY_HOUR = 8
_FRIDAY = 4


@dataclass(frozen=True, slots=True)
class Cycle:
    """How many expiries of each kind are listed."""

    dailies: int
    weeklies: int
    monthlies: int
    quarterlies: int


DERIBIT_OPTIONS = Cycle(3, 3, 3, 4)
DERIBIT_ALT_OPTIONS = Cycle(2, 2, 2, 1)
DERIBIT_FUTURES = Cycle(0, 2, 3, 4)
BINANCE_FUTURES = Cycle(0, 0, 0, 2)
OKX_FUTURES = Cycle(0, 2, 2, 2)
BYBIT_FUTURES = Cycle(0, 1, 2, 2)
BYBIT_OPTIONS = Cycle(0, 2, 2, 1)


def listed_expiries(business_date: date, cycle: Cycle) -> tuple[date, ...]:
    """Return the expiry dates after ``business_date`` that are listed at its close, ascending."""
    dailies = [business_date + timedelta(days=k) for k in range(1, cycle.dailies + 1)]
    weeklies = _fridays(business_date, cycle.weeklies)
    last_fridays = _last_fridays(business_date, 15)
    quarterlies = [day for day in last_fridays if day.month % 3 == 0][: cycle.quarterlies]
    listed = {*dailies, *weeklies, *last_fridays[: cycle.monthlies], *quarterlies}
    return tuple(sorted(listed))


def tradable_expiries(business_date: date, cycle: Cycle) -> tuple[date, ...]:
    """Return the expiries that trade at some time of ``business_date``, its own included."""
    before = listed_expiries(business_date - timedelta(days=1), cycle)
    return tuple(sorted({*before, *listed_expiries(business_date, cycle)}))


def expiry_instant(expiry: date) -> datetime:
    """Return the instant at which contracts of ``expiry`` settle."""
    return datetime(expiry.year, expiry.month, expiry.day, EXPIRY_HOUR, tzinfo=UTC)


def _fridays(after: date, count: int) -> list[date]:
    first = after + timedelta(days=(_FRIDAY - after.weekday() - 1) % 7 + 1)
    return [first + timedelta(days=7 * k) for k in range(count)]


def _last_fridays(after: date, count: int) -> list[date]:
    found: list[date] = []
    year, month = after.year, after.month
    while len(found) < count:
        year_next, month_next = (year + 1, 1) if month == 12 else (year, month + 1)
        last_day = date(year_next, month_next, 1) - timedelta(days=1)
        last_friday = last_day - timedelta(days=(last_day.weekday() - _FRIDAY) % 7)
        if last_friday > after:
            found.append(last_friday)
        year, month = year_next, month_next
    return found
