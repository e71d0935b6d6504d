"""Deposits of OKX: what a wallet has received from the chain."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from infra.venues.okx.client import VENUE, Call
from infra.venues.okx.places import OkxPlaces
from infra.venues.payloads import Wire, exact_decimal

_BOOKED: Final = "2"


class Deposit(Wire):
    """A row of ``GET /api/v5/asset/deposit-history``."""

    ccy: str
    amt: str
    state: str
    tx_id: str = ""


_DEPOSITS: Final = msgspec.json.Decoder(list[Deposit])


class OkxDeposits:
    """www.okx.com/docs-v5, "Get deposit history"; deposits reach a credential's funding wallet."""

    def __init__(self, places: OkxPlaces) -> None:
        self._places = places

    async def received(self, place: str, asset: str, tx_hash: str) -> Decimal | None:
        """Return what was booked for a transaction of the chain; None is "not there" so far."""
        call = Call(
            path="/api/v5/asset/deposit-history",
            parameters={"ccy": asset, "txId": tx_hash},
            weight=10,
        )
        listed = await self._places.client(place).read(call, _DEPOSITS)
        for row in listed.rows:
            if (row.ccy, row.tx_id, row.state) == (asset, tx_hash, _BOOKED):
                return exact_decimal(row.amt, f"{VENUE} deposit {tx_hash}")
        return None
