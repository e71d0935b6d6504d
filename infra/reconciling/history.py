"""Read a venue's own history into the ledger: profit, funding, fees, line by line, each once.

Deposits, withdrawals and transfers are booked by the transfer desk, which knows why they moved;
here they are only counted. One that nobody ordered stays a difference until a person books it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from engine.errors import InsufficientCollateral, LedgerError, ModelInputError
from engine.ledger.accounts import location_account, outside_account
from engine.ledger.entries import Entry, Posting
from engine.money import Money, to_minor_units
from engine.ports import AccountSnapshot, VenueLedgerLine, VenueLedgerPage
from infra.db.ledger_balances import asset_scales

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from infra.db import Database

SCALE_DEFAULT: Final = 18
# Words of Deribit, Binance and OKX for movements between places.
_MOVEMENTS: Final = ("transfer", "deposit", "withdraw")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryBooked:
    """Lines booked, movements seen, and lines that cannot be booked with the reason of each."""

    n_booked: int = 0
    n_movements: int = 0
    refused: tuple[str, ...] = ()


def register_scales(database: Database, assets: Iterable[str], scales: Mapping[str, int]) -> None:
    """Register the assets that the ledger does not know yet, by ``scales`` or with 18 decimals."""
    with database.reading() as connection:
        known = asset_scales(connection)
    new = {asset: scales.get(asset, SCALE_DEFAULT) for asset in assets if asset not in known}
    if new:
        database.ledger.register_assets(new)


def open_place(
    database: Database, place: str, snapshot: AccountSnapshot, watermark: str, day: date
) -> int:
    """Book what a place holds when it is first seen; return the number of assets.

    From then on every change has a line of the venue's history or a transfer of ours behind it.
    A second call changes nothing. A debt to the venue is not a holding and is left out: it shows
    as a difference.
    """
    held = sorted((each.asset, each.quantity) for each in snapshot.balances if each.quantity > 0)
    with database.writing() as connection:
        if database.venue_cursors.get(place) is not None:
            return 0
        scales = asset_scales(connection)
        postings = tuple(
            Posting(
                outside_account("opening"), location_account(place), asset,
                to_minor_units(Money(quantity, asset), scales[asset]),
            )
            for asset, quantity in held
        )  # fmt: skip
        if postings:
            entry = Entry(f"opening:{place}", "opening", day, None, postings)
            database.ledger.post_within(connection, [entry])
        database.venue_cursors.move_within(connection, place, watermark)
    return len(held)


def book_history(database: Database, place: str, page: VenueLedgerPage, day: date) -> HistoryBooked:
    """Book the lines of a page and move the cursor past it, in one transaction.

    A page that is incomplete moves nothing. A line that the ledger cannot hold is named and its
    place stays where it was read last: it is asked for again.
    """
    if not page.reading.is_complete:
        return HistoryBooked(refused=("the page is incomplete",))
    n_booked = n_movements = 0
    venue = place.partition("/")[0]
    try:
        with database.writing() as connection:
            for line in page.lines:
                if is_movement(line):
                    n_movements += 1
                elif line.change:
                    entry = _entry(connection, place, venue, line, day)
                    n_booked += len(database.ledger.post_within(connection, [entry]))
            watermark = page.reading.watermark or page.next_cursor
            if watermark:
                database.venue_cursors.move_within(connection, place, watermark)
    except (LedgerError, InsufficientCollateral, ModelInputError) as error:
        return HistoryBooked(refused=(str(error),))
    return HistoryBooked(n_booked=n_booked, n_movements=n_movements)


def is_movement(line: VenueLedgerLine) -> bool:
    """Return whether a line moves assets between places."""
    kind = line.kind.lower()
    return any(word in kind for word in _MOVEMENTS)


def _entry(
    connection: Connection, place: str, venue: str, line: VenueLedgerLine, day: date
) -> Entry:
    scale = asset_scales(connection)[line.asset]
    units = to_minor_units(Money(abs(line.change), line.asset), scale)
    world, here = outside_account(venue), location_account(place)
    debit, credit = (world, here) if line.change > 0 else (here, world)
    return Entry(
        f"venue:{place}:{line.line_id}", f"venue {line.kind}"[:64], day, None,
        (Posting(debit, credit, line.asset, units),),
    )  # fmt: skip
