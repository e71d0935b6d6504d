"""Deposits of Binance: what a wallet has received from the chain."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from infra.venues.binance import wire
from infra.venues.binance.client import Call
from infra.venues.binance.places import BinancePlaces

# 1 is booked, 6 booked and not yet free to leave.
_BOOKED: Final = (1, 6)
_DEPOSITS: Final = msgspec.json.Decoder(list[wire.Deposit])


class BinanceDeposits:
    """developers.binance.com, "Deposit History"; deposits reach the spot wallet of a credential."""

    def __init__(self, places: BinancePlaces) -> None:
        self._places = places

    async def received(self, place: str, asset: str, tx_hash: str) -> Decimal | None:
        """Return what was booked for a transaction of the chain; None is "not there" so far."""
        call = Call(
            method="GET",
            path="/sapi/v1/capital/deposit/hisrec",
            parameters={"coin": asset, "txId": tx_hash},
            weight=15,
        )
        listed = await self._places.client(place).read(call, _DEPOSITS)
        for one in listed.content:
            if (one.coin, one.tx_id) == (asset, tx_hash) and one.status in _BOOKED:
                return one.amount
        return None
