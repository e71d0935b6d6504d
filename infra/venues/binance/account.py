"""What a Binance account holds: one coherent reading, and its history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
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
    VenueLedgerLine,
    VenueLedgerPage,
    WorkingOrder,
)
from infra.clock import Clock, utc_now
from infra.venues.binance import wire
from infra.venues.binance.account_stream import account_events
from infra.venues.binance.client import VENUE, Answered, BinanceClient, Call
from infra.venues.binance.instruments import instrument_id
from infra.venues.binance.places import BinancePlaces
from infra.venues.payloads import instant, to_milliseconds
from infra.venues.reads import read_twice
from infra.venues.streams import StreamLimits

HISTORY_KEPT: Final = timedelta(days=89)
_PAGE_LINES: Final = 1000
# Each figure of the sums is rounded to eight decimals by the venue.
_ROUNDING: Final = Decimal("0.00000001")
_ACCOUNT: Final = msgspec.json.Decoder(wire.Account)
_ORDERS: Final = msgspec.json.Decoder(list[wire.Order])
_INCOME: Final = msgspec.json.Decoder(list[wire.Income])
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

        async def read() -> Answered[wire.Account]:
            call = Call(method="GET", path="/fapi/v2/account", weight=5)
            answered = await client.read(call, _ACCOUNT)
            _require_one_way(answered.content, account_id)
            _require_coherent(answered.content, account_id)
            return answered

        orders_call = Call(method="GET", path="/fapi/v1/openOrders", weight=40)
        answered, orders = await asyncio.gather(read_twice(read), client.read(orders_call, _ORDERS))
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
        """Return income lines after ``cursor``, oldest first, at most 1,000.

        Binance keeps three months. ``reading.watermark`` is the cursor to go on from later, also
        where ``next_cursor`` is empty because the present end is reached.
        """
        account, client = self._places.account(account_id), self._places.client(account_id)
        if account.wallet == "SPOT":
            raise Unsupported(f"{VENUE}/{account.name} is a spot wallet and keeps no ledger")
        since, seen = _parse_cursor(cursor)
        if not cursor:
            since = to_milliseconds(self._clock() - HISTORY_KEPT)
        call = Call(
            method="GET",
            path="/fapi/v1/income",
            parameters={"startTime": str(since), "limit": str(_PAGE_LINES)},
            weight=30,
        )
        answered = await client.read(call, _INCOME)
        rows = sorted(answered.content, key=lambda row: row.time)
        lines = tuple(line for line in map(_line, rows) if line.line_id not in seen)
        mark = _cursor_after(rows, since, seen)
        reading = Reading(source=VENUE, received_at=answered.received_at, watermark=mark)
        is_full = len(rows) >= _PAGE_LINES
        if is_full and not lines:
            raise BadPayload(
                f"{VENUE} income of {account_id}: more than {_PAGE_LINES} lines at {since} ms, "
                "which no page reaches past",
                identifier=account_id,
            )
        return VenueLedgerPage(reading=reading, lines=lines, next_cursor=mark if is_full else "")


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


def _require_one_way(held: wire.Account, account_id: str) -> None:
    for one in held.positions:
        if one.position_side != "BOTH" and one.position_amt:
            raise Unsupported(
                f"{VENUE} account {account_id} holds {one.symbol} by side ({one.position_side}): "
                "switch it to one-way mode",
                identifier=account_id,
                value=one.position_side,
            )


def _require_coherent(held: wire.Account, account_id: str) -> None:
    # Sums over all currencies: not a value, but the same numbers on both sides.
    of_positions = sum((one.unrealized_profit for one in held.positions), Decimal(0))
    of_assets = sum((one.unrealized_profit for one in held.assets), Decimal(0))
    n_rounded = len(held.positions) + len(held.assets)
    gap = of_positions - of_assets
    for one in held.assets:
        own = one.wallet_balance + one.unrealized_profit - one.margin_balance
        gap = own if abs(own) > abs(gap) else gap
    if abs(gap) > _ROUNDING * (n_rounded + 1):
        raise BadPayload(
            f"{VENUE} account {account_id}: positions and wallet differ by {gap}, "
            "they are of different instants",
            identifier=account_id,
            value=gap,
        )


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


def _line(row: wire.Income) -> VenueLedgerLine:
    # One trade makes a line each for profit and commission under one tranId.
    parts = (row.tran_id, row.income_type, row.asset, row.symbol, row.trade_id)
    return VenueLedgerLine(
        line_id="-".join(str(part) for part in parts if part != ""),
        asset=row.asset,
        change=row.income,
        kind=row.income_type,
        booked_at=instant(row.time),
        reference=str(row.tran_id),
    )


def _parse_cursor(cursor: str) -> tuple[int, frozenset[str]]:
    # "<ms>|<line>|<line>...": the last instant and its lines, since several share a millisecond.
    if not cursor:
        return 0, frozenset()
    since, *seen = cursor.split("|")
    if not since.isdigit():
        raise BadPayload(f"{VENUE} history: {cursor!r} is no cursor of it", value=cursor)
    return int(since), frozenset(seen)


def _cursor_after(rows: list[wire.Income], since: int, seen: frozenset[str]) -> str:
    last = rows[-1].time if rows else since
    at_last = {_line(row).line_id for row in rows if row.time == last}
    if last == since:
        at_last |= seen
    return "|".join([str(last), *sorted(at_last)])
