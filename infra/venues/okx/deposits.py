"""Deposits of OKX: what a funding wallet has received from the chain."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from engine.errors import VenueUnavailable
from infra.venues.okx import wire
from infra.venues.okx.client import VENUE, Call
from infra.venues.okx.places import OkxPlaces
from infra.venues.payloads import exact_decimal

_PAGE: Final = 100
# 1 is credited, 2 may also leave; 0, 8, 11 to 17 are on their way or held.
_CREDITED: Final = frozenset(("1", "2"))
_DEPOSITS: Final = msgspec.json.Decoder(list[wire.Deposit])


class OkxDeposits:
    """``GET /api/v5/asset/deposit-history``, which finds by the hash of the chain.

    What comes from the chain reaches the funding wallet of a credential: a place that is a trading
    wallet is answered for that one too, and holds it only after a transfer.
    """

    def __init__(self, places: OkxPlaces) -> None:
        self._places = places

    async def received(self, place: str, asset: str, tx_hash: str) -> Decimal | None:
        """Return what was booked for a transaction of the chain; None is "not there" so far.

        Raises
        ------
        VenueUnavailable
            If the list may not be whole: that is not "not there".
        """
        client = self._places.client(place)
        parameters = {"ccy": asset, "txId": tx_hash, "limit": str(_PAGE)}
        call = Call(path="/api/v5/asset/deposit-history", parameters=parameters, weight=5)
        listed = (await client.read(call, _DEPOSITS)).rows
        found = [row for row in listed if row.tx_id == tx_hash and row.ccy == asset]
        name = f"{VENUE} deposit {tx_hash}"
        booked = [exact_decimal(row.amt, name) for row in found if row.state in _CREDITED]
        if booked:
            # One transaction may pay an address several times.
            return sum(booked, Decimal(0))
        if len(listed) >= _PAGE:
            raise VenueUnavailable(
                f"{VENUE} deposits of {place}: read {len(listed)}, there may be more",
                identifier=place,
            )
        return None
