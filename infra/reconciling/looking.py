"""Look at every connected account, book its history, and compare: one round of reconciliation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from engine.errors import VenueError
from engine.ports import AccountSnapshot, VenueLedgerLine, VenueLedgerPage
from engine.reconciliation import Difference, InFlight, Limits, reconcile_items
from infra.reconciling.history import (
    HistoryBooked,
    book_history,
    open_place,
    register_scales,
)
from infra.reconciling.sides import in_flight_of, ledger_side, venue_side

if TYPE_CHECKING:
    from infra.connections import Connections
    from infra.db import Database

SCOPE: Final = "ledger_venue"
LIMITS: Final = Limits(age_max=timedelta(minutes=2), in_flight_max=timedelta(hours=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceLook:
    """One account: what was read, and why not, if it was not.

    ``between`` are lines that came while the balances were read, which may show them or not.
    """

    place: str
    snapshot: AccountSnapshot | None
    booked: HistoryBooked
    between: tuple[VenueLedgerLine, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One round: places in order of their names, and what differs."""

    places: tuple[PlaceLook, ...]
    differences: tuple[Difference, ...]
    n_items: int

    @property
    def breaks(self) -> tuple[Difference, ...]:
        """Return the differences that somebody has to explain."""
        return tuple(each for each in self.differences if each.is_break)


async def look_at(
    database: Database,
    connections: Connections,
    scales: Mapping[str, int] = MappingProxyType({}),
    *,
    limits: Limits = LIMITS,
) -> Look:
    """Return one round over all connected accounts.

    Accounts are read at the same time. One that cannot be read is a break of its own; the others
    are compared all the same. ``scales`` are the decimals of assets that are new to the ledger.
    """
    places = sorted(connections.accounts)
    read = await asyncio.gather(*(_read(database, connections, place) for place in places))
    register_scales(database, _assets(read), scales)
    looks = [_booked(database, each) for each in read]
    differences = compare(database, looks, limits)
    n_items = sum(len(each.snapshot.balances) for each in looks if each.snapshot is not None)
    return Look(places=tuple(looks), differences=differences, n_items=n_items)


def compare(
    database: Database, looks: Sequence[PlaceLook], limits: Limits = LIMITS
) -> tuple[Difference, ...]:
    """Return how the ledger differs from what was read."""
    now = database.clock()
    places = [each.place for each in looks]
    ours = ledger_side(database, places, now)
    theirs = venue_side((each.place, each.snapshot) for each in looks if each.snapshot is not None)
    here = set(places)
    moving = [each for each in in_flight_of(database.transfers.list(), now) if each.item[0] in here]
    moving += [
        InFlight(
            key=f"line {line.line_id}",
            item=(each.place, line.asset),
            change=-line.change,
            since=line.booked_at,
        )
        for each in looks
        for line in each.between
    ]
    return reconcile_items(SCOPE, ours, theirs, moving, now=now, limits=limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    place: str
    snapshot: AccountSnapshot | None = None
    page: VenueLedgerPage | None = None
    between: tuple[VenueLedgerLine, ...] = ()
    failure: str = ""


async def _read(database: Database, connections: Connections, place: str) -> _Read:
    """Read the history, the balances, and the history again: what is new in it came between."""
    cursor = database.venue_cursors.get(place) or ""
    try:
        feed = connections.holdings_of(place)
        before = await feed.history(place, cursor)
        snapshot = await feed.snapshot(place)
        page = await feed.history(place, cursor)
    except VenueError as error:
        return _Read(place=place, failure=str(error))
    known = {line.line_id for line in before.lines}
    between = tuple(line for line in page.lines if line.line_id not in known)
    return _Read(place=place, snapshot=snapshot, page=page, between=between)


def _assets(read: Sequence[_Read]) -> list[str]:
    named = {
        asset
        for each in read
        if each.snapshot is not None and each.page is not None
        for asset in (
            *(held.asset for held in each.snapshot.balances),
            *(line.asset for line in each.page.lines),
        )
    }
    return sorted(named)


def _booked(database: Database, read: _Read) -> PlaceLook:
    if read.snapshot is None or read.page is None:
        return PlaceLook(
            place=read.place, snapshot=None, booked=HistoryBooked(), failure=read.failure
        )
    day = database.clock().date()
    if database.venue_cursors.get(read.place) is not None:
        booked = book_history(database, read.place, read.page, day)
        return PlaceLook(
            place=read.place, snapshot=read.snapshot, booked=booked, between=read.between
        )
    if read.between or not (read.page.reading.is_complete and read.snapshot.reading.is_complete):
        failure = "it moved while it was read for the first time: it is opened in the next round"
        return PlaceLook(place=read.place, snapshot=None, booked=HistoryBooked(), failure=failure)
    watermark = read.page.reading.watermark or read.page.next_cursor
    open_place(database, read.place, read.snapshot, watermark, day)
    return PlaceLook(place=read.place, snapshot=read.snapshot, booked=HistoryBooked())
