"""What a Binance account holds: one coherent reading, and its history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from engine.errors import BadPayload, Unsupported
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
from infra.venues.binance import wire
from infra.venues.binance.account_stream import account_events
from infra.venues.binance.client import VENUE, Answered, BinanceClient, Call
from infra.venues.binance.income import read_income
from infra.venues.binance.instruments import instrument_id
from infra.venues.binance.movements import read_movements
from infra.venues.binance.places import BinancePlaces
from infra.venues.streams import StreamLimits

_ATTEMPTS: Final = 2
# Each figure of the sums is rounded to eight decimals by the venue.
_ROUNDING: Final = Decimal("0.00000001")
_ACCOUNT: Final = msgspec.json.Decoder(wire.Account)
_ORDERS: Final = msgspec.json.Decoder(list[wire.Order])
_SPOT: Final = msgspec.json.Decoder(wire.SpotAccount)


class BinanceAccounts:
    """Holdings and margin of Binance accounts.

    Binance has no number on its user data stream, so a lost event cannot be seen in it: followers
    compare with a snapshot at an interval of their own.
    """

    def __init__(
        self,
        places: BinancePlaces,
        *,
        limits: StreamLimits | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._places, self._limits, self._clock = places, limits, clock

    async def snapshot(self, account_id: str) -> AccountSnapshot:
        """Return everything of an account, read together.

        Positions, wallet and margin come in one answer. If they contradict each other, as answers
        put together from different instants do, it is read again once and then refused.

        Raises
        ------
        BadPayload
            If the answer contradicts itself twice.
        Unsupported
            If the account is in hedge mode and holds a position.
        """
        account, client = self._places.account(account_id), self._places.client(account_id)
        if account.wallet == "SPOT":
            return await _spot_snapshot(client, account_id)

        orders_call = Call(method="GET", path="/fapi/v1/openOrders", weight=40)
        answered, orders = await asyncio.gather(
            _coherent(client, account_id), client.read(orders_call, _ORDERS)
        )
        held = answered.content
        return AccountSnapshot(
            account_id=account_id,
            reading=Reading(source=VENUE, received_at=answered.received_at),
            positions=tuple(
                HeldPosition(
                    instrument_id=instrument_id(one.symbol),
                    quantity=one.position_amt,
                    entry_price=one.entry_price,
                )
                for one in held.positions
                if one.position_amt
            ),
            balances=tuple(
                HeldBalance(
                    asset=one.asset,
                    quantity=one.wallet_balance,
                    available=one.max_withdraw_amount,
                    equity=one.margin_balance,
                )
                for one in held.assets
                if one.wallet_balance or one.unrealized_profit
            ),
            orders=tuple(_working(one) for one in orders.content),
            margins=_margins(held),
        )

    def stream(self, account_id: str) -> AsyncIterator[FeedEvent]:
        """Yield changes of an account, and every change of health; ends only when closed."""
        account, client = self._places.account(account_id), self._places.client(account_id)
        if account.wallet == "SPOT":
            raise Unsupported(f"{VENUE}/{account.name} is a spot wallet and has no stream")
        return account_events(client, account_id, self._limits, self._clock)

    async def history(self, account_id: str, cursor: str = "") -> VenueLedgerPage:
        """Return the account's lines after ``cursor``, oldest first.

        A futures wallet has its income, of which Binance keeps three months; a spot wallet has no
        ledger, and its deposits and withdrawals stand for one. ``reading.watermark`` is the cursor
        to go on from later; ``next_cursor`` is empty unless more lines wait than one reading takes.
        ``reference`` of income is the venue's own number, since income names no key.
        """
        account, client = self._places.account(account_id), self._places.client(account_id)
        if account.wallet == "SPOT":
            return await read_movements(client, cursor, self._clock())
        return await read_income(client, account_id, cursor, self._clock())


async def _spot_snapshot(client: BinanceClient, account_id: str) -> AccountSnapshot:
    balances, received_at = await spot_balances(client)
    return AccountSnapshot(
        account_id=account_id,
        reading=Reading(source=VENUE, received_at=received_at),
        positions=(),
        balances=balances,
        orders=(),
        margins=(),
    )


async def spot_balances(client: BinanceClient) -> tuple[tuple[HeldBalance, ...], datetime]:
    """Return what a spot wallet holds, and when the answer was complete."""
    call = Call(
        method="GET",
        path="/api/v3/account",
        parameters={"omitZeroBalances": "true"},
        weight=300,
    )
    answered = await client.read(call, _SPOT)
    balances = tuple(
        HeldBalance(asset=one.asset, quantity=one.free + one.locked, available=one.free)
        for one in answered.content.balances
    )
    return balances, answered.received_at


async def _coherent(client: BinanceClient, account_id: str) -> Answered[wire.Account]:
    call = Call(method="GET", path="/fapi/v2/account", weight=5)
    for _ in range(_ATTEMPTS):
        answered = await client.read(call, _ACCOUNT)
        _require_one_way(answered.content, account_id)
        gap = _contradiction(answered.content)
        if not gap:
            return answered
    raise BadPayload(
        f"{VENUE} account {account_id}: positions and wallet differ by {gap}, "
        "they are of different instants",
        identifier=account_id,
        value=gap,
    )


def _require_one_way(held: wire.Account, account_id: str) -> None:
    for one in held.positions:
        if one.position_side != "BOTH" and one.position_amt:
            raise Unsupported(
                f"{VENUE} account {account_id} holds {one.symbol} by side ({one.position_side}): "
                "switch it to one-way mode",
                identifier=account_id,
                value=one.position_side,
            )


def _contradiction(held: wire.Account) -> Decimal:
    # Sums over all currencies: not a value, but the same numbers on both sides.
    of_positions = sum((one.unrealized_profit for one in held.positions), Decimal(0))
    of_assets = sum((one.unrealized_profit for one in held.assets), Decimal(0))
    n_rounded = len(held.positions) + len(held.assets)
    gap = of_positions - of_assets
    for one in held.assets:
        own = one.wallet_balance + one.unrealized_profit - one.margin_balance
        gap = own if abs(own) > abs(gap) else gap
    return gap if abs(gap) > _ROUNDING * (n_rounded + 1) else Decimal(0)


def _margins(held: wire.Account) -> tuple[ReportedMargin, ...]:
    if held.multi_assets_margin:
        return (
            ReportedMargin(
                bucket="account",
                currency="USD",
                initial_margin=held.total_initial_margin,
                maintenance_margin=held.total_maint_margin,
                equity=held.total_margin_balance,
            ),
        )
    return tuple(
        ReportedMargin(
            bucket=one.asset,
            currency=one.asset,
            initial_margin=one.initial_margin,
            maintenance_margin=one.maint_margin,
            equity=one.margin_balance,
        )
        for one in held.assets
        if one.wallet_balance or one.initial_margin or one.unrealized_profit
    )


def _working(order: wire.Order) -> WorkingOrder:
    if order.side not in ("BUY", "SELL"):
        raise BadPayload(f"{VENUE} order {order.order_id}: side {order.side!r} is none")
    return WorkingOrder(
        order_id=str(order.order_id),
        instrument_id=instrument_id(order.symbol),
        side="buy" if order.side == "BUY" else "sell",
        remaining_quantity=order.orig_qty - order.executed_qty,
        limit_price=order.price or None,
        is_reduce_only=order.reduce_only or order.close_position,
        client_order_id=order.client_order_id,
    )
