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
from infra.reconciling.funding import FundingInputs, compare_funding
from infra.reconciling.history import (
    HistoryBooked,
    book_history,
    open_place,
    register_scales,
)
from infra.reconciling.margins import compare_margins
from infra.reconciling.markets import read_markets
from infra.reconciling.order_management import compare_positions, compare_reports, oms_side
from infra.reconciling.scopes import Scope, ScopeLook
from infra.reconciling.sides import in_flight_of, ledger_side, venue_side

if TYPE_CHECKING:
    from engine.rules import RuleBook
    from infra.connections import Connections
    from infra.db import Database

SCOPE: Final = "ledger_venue"
LIMITS: Final = Limits(age_max=timedelta(minutes=2), in_flight_max=timedelta(hours=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceLook:
    """One account: what was read, and why not, if it was not.

    ``between`` are lines that came while the balances were read, which may show them or not;
    ``lines`` are those that this round has booked or counted.
    """

    place: str
    snapshot: AccountSnapshot | None
    booked: HistoryBooked
    between: tuple[VenueLedgerLine, ...] = ()
    failure: str = ""
    lines: tuple[VenueLedgerLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One round: places in order of their names, what differs, and the scopes it was found in."""

    places: tuple[PlaceLook, ...]
    scopes: tuple[ScopeLook, ...]

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Return what differs in all scopes."""
        return tuple(each for scope in self.scopes for each in scope.differences)

    @property
    def n_items(self) -> int:
        """Number of balances that were compared."""
        return self.scope("balances").n_compared

    def scope(self, name: Scope) -> ScopeLook:
        """Return what was found in a scope."""
        return next(each for each in self.scopes if each.scope == name)

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
    rules: RuleBook | None = None,
) -> Look:
    """Return one round over all connected accounts.

    Accounts are read at the same time. One that cannot be read is a break of its own; the others
    are compared all the same. ``scales`` are the decimals of assets that are new to the ledger;
    without ``rules`` the venues' margins are not compared.
    """
    places = sorted(connections.accounts)
    read = await asyncio.gather(*(_read(database, connections, place) for place in places))
    register_scales(database, _assets(read), scales)
    looks = [_booked(database, each) for each in read]
    n_items = sum(len(each.snapshot.balances) for each in looks if each.snapshot is not None)
    balances = ScopeLook(
        scope="balances", n_compared=n_items, differences=compare(database, looks, limits)
    )
    # What was only just opened has been read all the same.
    snapshots = {each.place: each.snapshot for each in read if each.snapshot is not None}
    markets = await read_markets(connections, _held(database, connections, snapshots))
    inputs = FundingInputs(
        snapshots=snapshots, lines={each.place: each.lines for each in looks}, markets=markets
    )
    return Look(
        places=tuple(looks),
        scopes=(
            balances,
            await compare_positions(database, connections, snapshots, markets),
            await compare_funding(database, connections, inputs),
            await compare_margins(connections, snapshots, markets, rules, database.clock),
            compare_reports(database, connections),
        ),
    )


def _held(
    database: Database, connections: Connections, snapshots: Mapping[str, AccountSnapshot]
) -> dict[str, set[str]]:
    """Return the instruments that anybody says are held, by venue."""
    held: dict[str, set[str]] = {name: set() for name in connections.venues}
    for place, snapshot in snapshots.items():
        of_venue = held.get(place.partition("/")[0])
        if of_venue is not None:
            of_venue.update(one.instrument_id for one in snapshot.positions)
            of_venue.update(one.instrument_id for one in snapshot.orders)
    if connections.oms is not None:
        ours = oms_side(database, connections, connections.oms)
        for place, instrument_id in ours.side.quantities:
            held[place.partition("/")[0]].add(instrument_id)
    return {name: names for name, names in held.items() if names}


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
        # Lines of a page that was not taken come again, and are looked at then.
        lines = () if booked.refused else read.page.lines
        return PlaceLook(
            place=read.place, snapshot=read.snapshot, booked=booked, between=read.between,
            lines=lines,
        )  # fmt: skip
    if read.between or not (read.page.reading.is_complete and read.snapshot.reading.is_complete):
        failure = "it moved while it was read for the first time: it is opened in the next round"
        return PlaceLook(place=read.place, snapshot=None, booked=HistoryBooked(), failure=failure)
    watermark = read.page.reading.watermark or read.page.next_cursor
    open_place(database, read.place, read.snapshot, watermark, day)
    return PlaceLook(place=read.place, snapshot=read.snapshot, booked=HistoryBooked())
