"""Deposits of Binance: what a spot wallet has received from the chain."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from engine.errors import VenueUnavailable
from infra.venues.binance import wire
from infra.venues.binance.client import VENUE, Call
from infra.venues.binance.places import BinancePlaces

_PAGE: Final = 1000
# 1 is credited; 6 is credited and not yet free to leave.
CREDITED: Final = frozenset((1, 6))
_DEPOSITS: Final = msgspec.json.Decoder(list[wire.Deposit])


class BinanceDeposits:
    """``GET /sapi/v1/capital/deposit/hisrec``, which finds by the hash of the chain.

    What comes from the chain reaches the spot wallet of a credential: a place that is a futures
    wallet is answered for that one too, and holds it only after a transfer.
    """

    def __init__(self, places: BinancePlaces) -> None:
        self._places = places

    async def received(self, place: str, asset: str, tx_hash: str) -> Decimal | None:
        """Return what was booked for a transaction of the chain; None is "not there" so far.

        Raises
        ------
        VenueUnavailable
            If the list may not be whole: that is not "not there".
        """
        client = self._places.client(place)
        parameters = {"coin": asset, "txId": tx_hash, "limit": str(_PAGE)}
        call = Call(
            method="GET", path="/sapi/v1/capital/deposit/hisrec", parameters=parameters, weight=15
        )
        listed = (await client.read(call, _DEPOSITS)).content
        found = [row for row in listed if row.tx_id == tx_hash and row.coin == asset]
        booked = [row.amount for row in found if row.status in CREDITED]
        if booked:
            # One transaction may pay an address several times.
            return sum(booked, Decimal(0))
        if len(listed) >= _PAGE:
            raise VenueUnavailable(
                f"{VENUE} deposits of {place}: read {len(listed)}, there may be more",
                identifier=place,
            )
        return None
