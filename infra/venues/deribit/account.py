"""What a Deribit account holds: one coherent reading, its changes, and its history."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from engine.errors import BadPayload
from engine.ports import (
    AccountSnapshot,
    FeedEvent,
    HeldBalance,
    HeldPosition,
    Reading,
    ReportedMargin,
    VenueLedgerPage,
    WorkingOrder,
)
from infra.clock import Clock, utc_now
from infra.venues.deribit import wire
from infra.venues.deribit.account_stream import account_events
from infra.venues.deribit.client import VENUE, Call, DeribitClient
from infra.venues.deribit.history import read_history
from infra.venues.deribit.instruments import DeribitCatalog, instrument_id, settlement_of
from infra.venues.deribit.orders import side_of
from infra.venues.deribit.places import account_of
from infra.venues.streams import StreamLimits

# Below the venue's own smallest unit of margin.
_NOTHING: Final = Decimal("0.000001")
_ATTEMPTS: Final = 3
_SUMMARIES: Final = msgspec.json.Decoder(wire.Summaries)
_POSITIONS: Final = msgspec.json.Decoder(list[wire.Position])
_ORDERS: Final = msgspec.json.Decoder(list[wire.Order])


class DeribitAccounts:
    """Holdings and margin of the accounts of one credential.

    Deribit's private channels carry whole states and no number, so a lost frame cannot be seen in
    them: followers compare with a snapshot at an interval of their own.
    """

    def __init__(
        self,
        client: DeribitClient,
        catalog: DeribitCatalog,
        *,
        limits: StreamLimits | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._client, self._catalog = client, catalog
        self._limits, self._clock = limits, clock
        self._charged: dict[str, set[str]] = defaultdict(set)

    async def snapshot(self, account_id: str) -> AccountSnapshot:
        """Return everything of an account, read together.

        Balances are read before and after positions and orders. If they changed meanwhile, or
        margin contradicts the positions, all is read again; a third contradiction makes
        ``reading.is_complete`` false.
        """
        account = account_of(account_id)
        for attempt in range(1, _ATTEMPTS + 1):
            before, _ = await self._summaries(account)
            (positions, orders), (after, received_at) = (
                await asyncio.gather(self._positions(account), self._orders(account)),
                await self._summaries(account),
            )
            contradiction = self._contradiction(before, after, positions, bool(orders))
            if contradiction is None or attempt == _ATTEMPTS:
                break
        charged = self._charged[account]
        charged.clear()
        charged.update(one.currency for one in after if one.initial_margin)
        return AccountSnapshot(
            account_id=account_id,
            reading=Reading(
                source=VENUE, received_at=received_at, is_complete=contradiction is None
            ),
            positions=tuple([await self.held(one) for one in positions if one.size]),
            balances=balances_of(after),
            orders=tuple([await self._working(one) for one in orders]),
            margins=margins_of(after),
        )

    def stream(self, account_id: str) -> AsyncIterator[FeedEvent]:
        """Yield changes of an account, and every change of health; ends only when closed."""
        account = account_of(account_id)
        charged = self._charged[account]
        return account_events(
            self._client, self._catalog, account, charged, self._limits, self._clock
        )

    async def history(self, account_id: str, cursor: str = "") -> VenueLedgerPage:
        """Return lines after ``cursor``, oldest first, up to the present end.

        ``reading.watermark`` is the cursor to go on from later. A line that is missing shows in the
        balances of those around it: then ``reading.is_complete`` is false and the watermark is the
        cursor that was given.
        """
        account = account_of(account_id)
        summaries, _ = await self._summaries(account)
        currencies = [one.currency for one in summaries]
        return await read_history(self._client, account, currencies, cursor)

    async def held(self, position: wire.Position) -> HeldPosition:
        """Return a position in contracts; raises BadPayload if side and size contradict."""
        symbol, size = position.instrument_name, position.size
        if (position.direction == "buy" and size < 0) or (
            position.direction == "sell" and size > 0
        ):
            raise BadPayload(
                f"{VENUE} {symbol}: {position.direction} of size {size}", identifier=symbol
            )
        return HeldPosition(
            instrument_id=instrument_id(symbol),
            quantity=await self._catalog.contracts(symbol, size),
            entry_price=position.average_price,
            mark_price=position.mark_price,
        )

    async def _summaries(self, account: str) -> tuple[list[wire.Summary], datetime]:
        call = Call("private/get_account_summaries", {"extended": True}, account)
        answered = await self._client.read(call, _SUMMARIES)
        if str(answered.content.id) != account:
            raise BadPayload(
                f"{VENUE}: asked for account {account}, got {answered.content.id}",
                identifier=account,
            )
        return answered.content.summaries, answered.received_at

    async def _positions(self, account: str) -> list[wire.Position]:
        call = Call("private/get_positions", {"currency": "any"}, account)
        return (await self._client.read(call, _POSITIONS)).content

    async def _orders(self, account: str) -> list[wire.Order]:
        call = Call("private/get_open_orders", {}, account)
        return (await self._client.read(call, _ORDERS)).content

    async def _working(self, order: wire.Order) -> WorkingOrder:
        left = order.amount - order.filled_amount
        return WorkingOrder(
            order_id=order.order_id,
            instrument_id=instrument_id(order.instrument_name),
            side=side_of(order),
            remaining_quantity=await self._catalog.contracts(order.instrument_name, left),
            limit_price=order.limit_price,
            is_reduce_only=order.reduce_only,
            client_order_id=order.label,
        )

    def _contradiction(
        self,
        before: Sequence[wire.Summary],
        after: Sequence[wire.Summary],
        positions: Sequence[wire.Position],
        has_orders: bool,
    ) -> str | None:
        earlier = {one.currency: one.balance for one in before}
        later = {one.currency: one.balance for one in after}
        if earlier != later:
            return "balances changed while reading"
        charged: dict[str, Decimal] = defaultdict(Decimal)
        for one in positions:
            listed = self._catalog.known(one.instrument_name)
            if listed is not None and one.initial_margin is not None:
                charged[settlement_of(listed)] += one.initial_margin
        for summary in after:
            told, own = summary.initial_margin, charged[summary.currency]
            # How much is netted is the venue's affair; that there is something to charge is not.
            if told and not positions and not has_orders:
                return f"{summary.currency} charges {told} and no position is shown"
            if own > _NOTHING and not told:
                return f"{summary.currency} charges nothing for positions of {own}"
        return None


def balances_of(summaries: Sequence[wire.Summary]) -> tuple[HeldBalance, ...]:
    """Return the wallets of all currencies that hold or owe anything."""
    return tuple(
        HeldBalance(
            asset=one.currency,
            quantity=one.balance,
            available=one.available_withdrawal_funds,
            equity=one.equity,
        )
        for one in summaries
        if one.balance or one.equity
    )


def margins_of(summaries: Sequence[wire.Summary]) -> tuple[ReportedMargin, ...]:
    """Return margin by currency, or one bucket in USD where the account is margined across them.

    Raises
    ------
    BadPayload
        If an account across currencies has no totals.
    """
    across = next((one for one in summaries if one.cross_collateral_enabled), None)
    if across is not None:
        totals = (
            across.total_initial_margin_usd,
            across.total_maintenance_margin_usd,
            across.total_equity_usd,
        )
        initial, maintenance, equity = totals
        if initial is None or maintenance is None or equity is None:
            raise BadPayload(f"{VENUE}: margined across currencies without totals in USD")
        return (
            ReportedMargin(
                bucket="account", currency="USD", initial_margin=initial,
                maintenance_margin=maintenance, equity=equity,
            ),
        )  # fmt: skip
    return tuple(
        ReportedMargin(
            bucket=one.currency, currency=one.currency, initial_margin=one.initial_margin,
            maintenance_margin=one.maintenance_margin, equity=one.equity,
        )
        for one in summaries
        if one.balance or one.equity or one.initial_margin
    )  # fmt: skip
