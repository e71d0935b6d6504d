"""What may leave a place now: what is free there, and what limits leave for the day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.errors import VenueError
from engine.ledger.accounts import location_account
from engine.transfers.limits import uses_of
from infra.db.transfer_commitments import commitments_within, queued_within
from infra.db.transfer_queries import all_counted_within
from infra.outbound.asking import asked
from infra.paying.routes import Route

if TYPE_CHECKING:
    from engine.ports import HeldBalance, TransferGateway
    from engine.transfers.policy import TransferPolicy
    from infra.db import Database


class Availability:
    """What may leave, asked of each venue once for as long as the instance lives.

    One is made for each round of planning: what a venue said a moment ago stands, what is planned
    meanwhile comes off it by the record of transfers.
    """

    def __init__(
        self,
        database: Database,
        gateways: Mapping[str, TransferGateway],
        policy: TransferPolicy,
        now: datetime,
    ) -> None:
        self._database, self._gateways = database, gateways
        self._policy, self._now = policy, now
        self._held: dict[tuple[str, str], HeldBalance | None] = {}

    async def free(self, route: Route) -> Decimal:
        """Return what is free at a route's source: in the ledger, and at the venue itself.

        Nothing where its venue does not answer. [asset]
        """
        with self._database.reading() as connection:
            taken = commitments_within(connection, route.source, route.asset)
        account = location_account(route.source)
        booked = self._database.ledger.available(account, route.asset).amount - taken.promised
        if booked <= 0:
            return Decimal(0)
        held = await self._balance(route.source, route.asset)
        if held is None:
            return Decimal(0)
        there = held.quantity if held.available is None else held.available
        return max(min(booked, there - taken.promised - taken.leaving), Decimal(0))

    def room(self, route: Route) -> Decimal:
        """Return what limits leave of a route for now, with what is queued counted. [asset]"""
        covering = [
            limit
            for limit in self._policy.limits
            if limit.covers(route.source, route.destination, route.asset)
        ]
        with self._database.reading() as connection:
            past = [
                *all_counted_within(connection, route.asset, self._now),
                *queued_within(connection, route.asset, self._now),
            ]
        left = [
            room
            for use in uses_of(covering, past, self._now)
            for room in (
                use.limit.day_max - use.day_used,
                use.limit.rolling_max - use.rolling_used,
            )
        ]
        return max(min(left), Decimal(0)) if left else Decimal(0)

    async def _balance(self, place: str, asset: str) -> HeldBalance | None:
        key = (place, asset)
        if key not in self._held:
            gateway = self._gateways[place.partition("/")[0]]
            seconds = self._policy.timing.send_timeout_seconds
            try:
                found = await asked(gateway.balance(place, asset), seconds, f"balance of {place}")
            except VenueError:
                found = None
            self._held[key] = found
        return self._held[key]
