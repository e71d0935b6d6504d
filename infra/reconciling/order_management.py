"""Order management beside the venues, and what is odd in what it says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from engine.executions import (
    Histories,
    Holding,
    StandingTrade,
    histories_of,
    positions_of,
    standing_trades,
)
from engine.ports import AccountSnapshot
from engine.reconciliation import (
    Difference,
    Evidence,
    Item,
    Limits,
    PlacedTrade,
    Side,
    difference,
    reconcile_positions,
)
from infra.db.break_acceptances import evidence_of
from infra.reconciling.scopes import ScopeLook

if TYPE_CHECKING:
    from infra.connections import Connections, OmsConnection
    from infra.db import Database
    from infra.db.execution_book import Doubt
    from infra.reconciling.markets import VenueMarket

REPORTS: Final = "execution"
LIMITS: Final = Limits(age_max=timedelta(minutes=2), in_flight_max=timedelta(minutes=1))
_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class OmsSide:
    """Order management as it is known now."""

    side: Side
    trades: tuple[StandingTrade, ...]
    histories: Histories
    strangers: tuple[tuple[str, str, Decimal], ...]
    """Account, instrument and contracts of accounts that nothing is connected to."""


def oms_side(database: Database, connections: Connections, oms: OmsConnection) -> OmsSide:
    """Return what order management holds, by the places that it trades at."""
    book = database.executions.book(oms.name)
    histories = histories_of(book.executions)
    held = positions_of(book.openings, histories)
    place_of = places_of(connections)
    covered = covered_places(connections, oms)
    now = database.clock()
    heard = database.oms_channels.heard(oms.name) if oms.fix is not None else None
    # Files and webhooks have no sign of life: what came is what there is.
    read_at = now if oms.fix is None else (None if heard is None else heard.heard_at)
    quantities: dict[Item, Decimal] = {}
    strangers = []
    for (account_id, instrument_id), quantity in held.items():
        if account_id in place_of:
            quantities[place_of[account_id], instrument_id] = quantity
        else:
            strangers.append((account_id, instrument_id, quantity))
    side = Side(
        name="order management",
        quantities=quantities,
        read_at={} if read_at is None else dict.fromkeys(covered, read_at),
    )
    return OmsSide(
        side=side,
        trades=standing_trades(histories),
        histories=histories,
        strangers=tuple(strangers),
    )


def places_of(connections: Connections) -> dict[str, str]:
    """Return the place of each account at a venue."""
    return {
        account.account_id: place
        for place, account in connections.accounts.items()
        if place.partition("/")[0] in connections.venues
    }


def covered_places(connections: Connections, oms: OmsConnection) -> tuple[str, ...]:
    """Return the places that order management trades at: those it names, else all at venues."""
    place_of = places_of(connections)
    named = set(oms.accounts.values())
    return tuple(sorted(place for name, place in place_of.items() if not named or name in named))


async def compare_positions(
    database: Database,
    connections: Connections,
    snapshots: Mapping[str, AccountSnapshot],
    markets: Mapping[str, VenueMarket],
) -> ScopeLook:
    """Return where order management and venues differ.

    What differs is looked at again until executions have had time to come: the venue is not read
    anew, so that both books are of one instant.
    """
    oms = connections.oms
    if oms is None:
        return ScopeLook(scope="positions", not_compared=("no order management is connected",))
    covered = set(covered_places(connections, oms))
    venue = _venue_side({place: one for place, one in snapshots.items() if place in covered})
    window = timedelta(seconds=oms.execution_lag_seconds)
    listed = {
        place: markets[name].listed
        for place in covered
        if (name := place.partition("/")[0]) in markets and not markets[name].failure
    }
    end = time.monotonic() + oms.execution_lag_seconds
    while True:
        ours = oms_side(database, connections, oms)
        place_of = places_of(connections)
        evidence = Evidence(
            trades=[
                placed for one in ours.trades if (placed := _placed(one, place_of)) is not None
            ],
            listed=listed,
            window=window,
        )
        now = database.clock()
        found = reconcile_positions(ours.side, venue, evidence, now=now, limits=LIMITS)
        waits = any(each.is_break and each.kind != "stale_side" for each in found)
        if not waits or not await _something_new(database, end):
            break
    items = {*ours.side.quantities, *venue.quantities}
    return ScopeLook(
        scope="positions",
        n_compared=len(items),
        differences=found,
        not_compared=tuple(
            f"{place}: order management does not trade there"
            for place in sorted(set(snapshots) - covered)
            if place.partition("/")[0] in connections.venues
        ),
    )


async def _something_new(database: Database, end: float) -> bool:
    """Wait until order management has said something more, or its time is over."""
    head = database.executions.head()
    while time.monotonic() < end:
        await asyncio.sleep(_POLL_SECONDS)
        if database.executions.head() != head:
            return True
    return False


def compare_reports(database: Database, connections: Connections) -> ScopeLook:
    """Return what order management has said that contradicts itself or makes no sense.

    Each is closed by what order management says later, or by a person who accepts it.
    """
    oms = connections.oms
    if oms is None:
        return ScopeLook(scope="reports")
    ours = oms_side(database, connections, oms)
    found = [_stray(oms.name, name) for name in ours.histories.unmatched]
    found += [_stranger(oms.name, *each) for each in ours.strangers]
    doubts = [each for each in database.executions.doubts() if each.source == oms.name]
    found += [
        replace(
            difference(
                REPORTS, each.kind, (f"oms/{each.source}", _name_of(each)), Decimal(0), None,
                detail=each.reason,
            ),
            evidence=each.evidence,
        )
        for each in doubts
        if not each.is_settled
    ]  # fmt: skip
    n_compared = sum(len(history) for history in ours.histories.by_trade.values())
    open_ones = without_accepted(database, found)
    return ScopeLook(scope="reports", n_compared=n_compared, differences=open_ones)


def without_accepted(database: Database, found: Sequence[Difference]) -> tuple[Difference, ...]:
    """Return the differences that nobody has accepted as they are."""
    accepted = database.break_acceptances.accepted(each.break_id for each in found)
    return tuple(
        sorted(
            (each for each in found if (each.break_id, each.evidence) not in accepted),
            key=lambda each: each.item,
        )
    )


def at(
    database: Database, oms: OmsConnection, instant: datetime
) -> tuple[frozenset[str], dict[Holding, Decimal]]:
    """Return the accounts of which an instant's positions are known, and those positions.

    Of an account whose first opening came later nothing is known.
    """
    book = database.executions.book(oms.name)
    histories = histories_of(book.executions)
    begun = {one.account_id for one in book.openings if one.as_of <= instant}
    opened = {one.account_id for one in book.openings}
    traded = {fact.account_id for fact in book.executions}
    known = frozenset(begun | (traded - opened))
    return known, positions_of(book.openings, histories, at=instant)


def _placed(one: StandingTrade, place_of: Mapping[str, str]) -> PlacedTrade | None:
    execution = one.execution
    place = place_of.get(execution.account_id)
    if place is None:
        return None
    return PlacedTrade(
        key=execution.execution_id,
        item=(place, execution.instrument_id),
        change=execution.change,
        execution_price=execution.execution_price,
        executed_at=execution.executed_at,
    )


def _venue_side(snapshots: Mapping[str, AccountSnapshot]) -> Side:
    return Side(
        name="venue",
        quantities={
            (place, held.instrument_id): held.quantity
            for place, snapshot in snapshots.items()
            for held in snapshot.positions
            if held.quantity
        },
        read_at={place: snapshot.reading.received_at for place, snapshot in snapshots.items()},
        incomplete=frozenset(
            place for place, snapshot in snapshots.items() if not snapshot.reading.is_complete
        ),
    )


def _name_of(doubt: Doubt) -> str:
    # One execution may come in several wrong forms, each a fact of its own.
    return f"{doubt.identifier} {doubt.evidence[:8]}"


def _stray(source: str, name: str) -> Difference:
    found = difference(
        REPORTS, "unmatched", (f"oms/{source}", name), Decimal(0), None,
        detail="it undoes or corrects an execution that was never reported",
    )  # fmt: skip
    return replace(found, evidence=evidence_of(source, name))


def _stranger(source: str, account_id: str, instrument_id: str, quantity: Decimal) -> Difference:
    found = difference(
        REPORTS, "unknown_item", (f"oms/{source}", f"{account_id} {instrument_id}"), quantity,
        None, detail=f"account {account_id} is not among the connected accounts",
    )  # fmt: skip
    return replace(found, evidence=evidence_of(source, account_id, instrument_id, quantity))
