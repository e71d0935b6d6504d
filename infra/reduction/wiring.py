"""Where orders go: the place of each of our accounts, and the adapters of the venues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.errors import MissingDataError, VenueUnavailable
from engine.ports import AccountSnapshot
from infra.connections.adapters import TradingVenue, adapter_of
from infra.outbound.asking import asked

if TYPE_CHECKING:
    from infra.connections import Connections


@dataclass(frozen=True, slots=True)
class Wiring:
    """Places by account, as ``<venue>/<account>``, and venues by name."""

    places: Mapping[str, str]
    venues: Mapping[str, TradingVenue]

    def place_of(self, account_id: str) -> str:
        """Return the place of an account; MissingDataError if it is connected nowhere."""
        if account_id not in self.places:
            raise MissingDataError(
                f"account {account_id} has no place in the connections file: nothing can be sent "
                "for it",
                identifier=account_id,
            )
        return self.places[account_id]

    def venue_of(self, place: str) -> TradingVenue:
        """Return the adapter of a place; MissingDataError if its venue is not connected."""
        return adapter_of(self.venues, place)


def wiring_of(connections: Connections) -> Wiring:
    """Return the wiring of open connections."""
    places = {one.account_id: one.place for one in connections.accounts.values()}
    return Wiring(places, connections.venues)


async def held_at(venue: TradingVenue, place: str, seconds: float) -> AccountSnapshot:
    """Return what is held at a place, whole.

    Raises
    ------
    VenueError
        If it cannot be read, or only in part: what is absent then proves nothing.
    """
    found = await asked(venue.accounts.snapshot(place), seconds, f"account {place}")
    if not found.reading.is_complete:
        raise VenueUnavailable(f"{place}: a part of the account could not be read")
    return found


def contracts_of(snapshot: AccountSnapshot) -> dict[str, Decimal]:
    """Return signed contracts by instrument."""
    return {one.instrument_id: one.quantity for one in snapshot.positions}


def margins_told(snapshot: AccountSnapshot) -> list[dict[str, str]]:
    """Return the venue's own margin, as it is kept with events."""
    return [
        {
            "bucket": one.bucket,
            "currency": one.currency,
            "initial_margin": format(one.initial_margin, "f"),
            "maintenance_margin": format(one.maintenance_margin, "f"),
            "equity": format(one.equity, "f"),
        }
        for one in snapshot.margins
    ]
