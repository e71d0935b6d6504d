"""The sides of a comparison: the ledger's places, the venues' balances, what is on its way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from engine.ledger.accounts import LOCATION, location_account
from engine.ports import AccountSnapshot
from engine.reconciliation import InFlight, Item, Side
from engine.transfers.states import IN_FLIGHT

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.transfers import TransferRecord

RECENT: Final = timedelta(hours=1)
"""A movement this young that both sides show may explain a duplicate."""
_BOOKED: Final = ("credited", "reconciled")
_PREFIX: Final = f"{LOCATION}:"


def ledger_side(database: Database, places: Sequence[str], now: datetime) -> Side:
    """Return what the ledger says is held at ``places``: posted balances, holds included."""
    wanted = {location_account(place) for place in places}
    found = database.ledger.balances(LOCATION)
    quantities: dict[Item, Decimal] = {
        (str(account).removeprefix(_PREFIX), str(asset)): amount
        for account, asset, amount in zip(
            found["account"], found["asset"], found["amount"], strict=True
        )
        if account in wanted and amount != 0
    }
    return Side(name="ledger", quantities=quantities, read_at=dict.fromkeys(places, now))


def venue_side(snapshots: Iterable[tuple[str, AccountSnapshot]]) -> Side:
    """Return what venues say they hold, by place; a place that could not be read is absent."""
    quantities: dict[Item, Decimal] = {}
    read_at: dict[str, datetime] = {}
    incomplete: set[str] = set()
    for place, snapshot in snapshots:
        read_at[place] = snapshot.reading.received_at
        if not snapshot.reading.is_complete:
            incomplete.add(place)
        for balance in snapshot.balances:
            if balance.quantity:
                quantities[place, balance.asset] = balance.quantity
    return Side(
        name="venue", quantities=quantities, read_at=read_at, incomplete=frozenset(incomplete)
    )


def in_flight_of(transfers: Iterable[TransferRecord], now: datetime) -> list[InFlight]:
    """Return the movements of transfers that the sides may show at different instants.

    Before the debit is booked the source may already be lower; after it, and until the credit is
    booked, the destination may already be higher.
    """
    found: list[InFlight] = []
    for record in transfers:
        intent = record.intent
        source, target = (intent.source, intent.asset), (intent.destination, intent.asset)
        arriving = intent.quantity - (record.fee or Decimal(0))
        since = record.sent_at or record.recorded_at
        key = record.transfer_key
        if record.state in IN_FLIGHT:
            if record.debited_at is None:
                found.append(InFlight(key=key, item=source, change=-intent.quantity, since=since))
            found.append(InFlight(key=key, item=target, change=arriving, since=since))
        elif record.state in _BOOKED and record.credited_at and now - record.credited_at < RECENT:
            found.append(
                InFlight(key=key, item=source, change=-intent.quantity, since=since, is_booked=True)
            )
            found.append(
                InFlight(key=key, item=target, change=arriving, since=since, is_booked=True)
            )
    return found
