"""What an OKX account holds, read so that no fill falls between its parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from engine.errors import BadPayload, Unsupported
from engine.ports import (
    AccountSnapshot,
    FeedEvent,
    HeldBalance,
    Reading,
    VenueLedgerPage,
)
from infra.clock import Clock, utc_now
from infra.venues.okx import wire
from infra.venues.okx.account_stream import PRIVATE_STALE_SECONDS, account_events
from infra.venues.okx.client import VENUE, Answered, Call, OkxClient
from infra.venues.okx.history import read_history
from infra.venues.okx.holdings import balances_of, held_position, margins_of, working_order
from infra.venues.okx.places import OkxPlaces
from infra.venues.payloads import exact_decimal, instant
from infra.venues.streams import StreamLimits

_PAGE: Final = 100
_PAGES_MAX: Final = 20
_ATTEMPTS: Final = 2
_BALANCE: Final = msgspec.json.Decoder(list[wire.AccountBalance])
_POSITIONS: Final = msgspec.json.Decoder(list[wire.Position])
_ORDERS: Final = msgspec.json.Decoder(list[wire.PendingOrder])
_FUNDING: Final = msgspec.json.Decoder(list[wire.FundingBalance])


class OkxAccounts:
    """Holdings and margin of OKX accounts in net mode."""

    def __init__(
        self,
        places: OkxPlaces,
        *,
        stale_seconds: float = PRIVATE_STALE_SECONDS,
        limits: StreamLimits | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._places, self._limits, self._clock = places, limits, clock
        self._stale_seconds = stale_seconds

    async def snapshot(self, account_id: str) -> AccountSnapshot:
        """Return everything of an account, read together.

        OKX answers balances and positions separately. Positions are read before and after: where
        they differ, something happened in between, all is read again once and then refused.

        Raises
        ------
        BadPayload
            If the positions change under every reading.
        Unsupported
            If the account is in long/short mode and holds a position.
        """
        account, client = self._places.account(account_id), self._places.client(account_id)
        if account.wallet == "funding":
            balances, received_at = await funding_balances(client)
            reading = Reading(source=VENUE, received_at=received_at)
            return AccountSnapshot(
                account_id=account_id, reading=reading, positions=(), balances=balances,
                orders=(), margins=(),
            )  # fmt: skip
        for _ in range(_ATTEMPTS):
            found = await self._coherent(client, account_id)
            if found is not None:
                return found
        raise BadPayload(
            f"{VENUE} account {account_id}: positions changed while it was read, {_ATTEMPTS} times",
            identifier=account_id,
        )

    def stream(self, account_id: str) -> AsyncIterator[FeedEvent]:
        """Yield changes of an account, and every change of health; ends only when closed."""
        account, client = self._places.account(account_id), self._places.client(account_id)
        if account.wallet == "funding":
            raise Unsupported(f"{VENUE}/{account.name} is a funding wallet and has no stream")
        return account_events(client, account_id, self._stale_seconds, self._limits, self._clock)

    async def history(self, account_id: str, cursor: str = "") -> VenueLedgerPage:
        """Return bills after ``cursor``, oldest first; OKX keeps three months.

        ``reading.watermark`` is the cursor to go on from later. If more was booked since than one
        reading takes, the oldest lines are missing and ``reading.is_complete`` is False.
        """
        account, client = self._places.account(account_id), self._places.client(account_id)
        return await read_history(client, account.wallet, account_id, cursor)

    async def _coherent(self, client: OkxClient, account_id: str) -> AccountSnapshot | None:
        before = await _positions(client)
        balance, orders = await asyncio.gather(
            client.read(Call(path="/api/v5/account/balance"), _BALANCE, _figures),
            pending_orders(client),
        )
        after = await _positions(client)
        if _quantities(before.rows) != _quantities(after.rows):
            return None
        for row in after.rows:
            if row.pos_side != "net" and exact_decimal(row.pos, f"{VENUE} position {row.inst_id}"):
                raise Unsupported(
                    f"{VENUE} account {account_id} holds {row.inst_id} by side ({row.pos_side}): "
                    "switch it to net mode",
                    identifier=account_id,
                    value=row.pos_side,
                )
        if len(balance.rows) != 1:
            raise BadPayload(f"{VENUE} balance of {account_id}: {len(balance.rows)} rows, not 1")
        held = balance.rows[0]
        return AccountSnapshot(
            account_id=account_id,
            reading=Reading(
                source=VENUE,
                received_at=after.received_at,
                venue_time=instant(held.u_time) if held.u_time else None,
            ),
            positions=tuple(
                position for row in after.rows if (position := held_position(row)).quantity
            ),
            balances=balances_of(held),
            orders=tuple(working_order(row) for row in orders),
            margins=margins_of(held),
        )


async def pending_orders(client: OkxClient) -> list[wire.PendingOrder]:
    """Return all open orders, page by page."""
    found: list[wire.PendingOrder] = []
    for _ in range(_PAGES_MAX):
        parameters = {"limit": str(_PAGE)} | ({"after": found[-1].ord_id} if found else {})
        call = Call(path="/api/v5/trade/orders-pending", parameters=parameters, weight=1)
        rows = (await client.read(call, _ORDERS)).rows
        found += rows
        if len(rows) < _PAGE:
            return found
    raise BadPayload(f"{VENUE}: more than {len(found)} open orders", identifier=VENUE)


async def funding_balances(client: OkxClient) -> tuple[tuple[HeldBalance, ...], datetime]:
    """Return what a funding wallet holds, and when the answer was complete."""
    answered = await client.read(Call(path="/api/v5/asset/balances", weight=5), _FUNDING)
    name = f"{VENUE} funding balance"
    balances = tuple(
        HeldBalance(
            asset=row.ccy,
            quantity=exact_decimal(row.bal, name),
            available=exact_decimal(row.avail_bal, name),
        )
        for row in answered.rows
    )
    return balances, answered.received_at


async def _positions(client: OkxClient) -> Answered[wire.Position]:
    call = Call(path="/api/v5/account/positions")
    return await client.read(call, _POSITIONS, lambda rows: [held_position(row) for row in rows])


def _figures(rows: Sequence[wire.AccountBalance]) -> None:
    for row in rows:
        balances_of(row)
        margins_of(row)


def _quantities(rows: Sequence[wire.Position]) -> dict[tuple[str, str, str], Decimal]:
    found: dict[tuple[str, str, str], Decimal] = {}
    for row in rows:
        key = (row.inst_id, row.pos_side, row.mgn_mode)
        found[key] = exact_decimal(row.pos, f"{VENUE} position {row.inst_id}")
    return {key: quantity for key, quantity in found.items() if quantity}
