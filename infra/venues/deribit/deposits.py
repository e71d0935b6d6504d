"""Deposits of Deribit: what an account has received from the chain."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from engine.errors import VenueUnavailable
from infra.venues.deribit import wire
from infra.venues.deribit.client import VENUE, Call, DeribitClient
from infra.venues.deribit.places import account_of

_PAGE: Final = 100
_PAGES_MAX: Final = 20
_BOOKED: Final = "completed"
_DEPOSITS: Final = msgspec.json.Decoder(wire.Deposits)


class DeribitDeposits:
    """docs.deribit.com, ``private/get_deposits``: newest first, with the hash of the chain."""

    def __init__(self, client: DeribitClient) -> None:
        self._client = client

    async def received(self, place: str, asset: str, tx_hash: str) -> Decimal | None:
        """Return what was booked for a transaction of the chain; None is "not there" so far.

        Raises
        ------
        VenueUnavailable
            If the list could not be read to its end: that is not "not there".
        """
        account, n_read = account_of(place), 0
        booked: list[Decimal] = []
        for _ in range(_PAGES_MAX):
            parameters: dict[str, object] = {"currency": asset, "count": _PAGE, "offset": n_read}
            call = Call("private/get_deposits", parameters, account)
            page = (await self._client.read(call, _DEPOSITS)).content
            booked += [
                one.amount
                for one in page.data
                if one.transaction_id == tx_hash and one.state == _BOOKED and one.currency == asset
            ]
            n_read += len(page.data)
            if n_read >= page.count:
                # One transaction may pay an address several times.
                return sum(booked, Decimal(0)) if booked else None
            if not page.data:
                break
        raise VenueUnavailable(
            f"{VENUE} deposits of {place}: read {n_read}, there are more", identifier=place
        )
