"""Changes of a Deribit account: ``user.portfolio`` and ``user.changes``."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from decimal import Decimal
from typing import Final

import aiohttp
import msgspec

from engine.errors import BadPayload
from engine.ports import FeedEvent, HeldBalance, HeldPosition, ReportedMargin, WorkingOrder
from infra.clock import Clock
from infra.venues.deribit import wire
from infra.venues.deribit.client import VENUE, DeribitClient
from infra.venues.deribit.instruments import DeribitCatalog, instrument_id, size_of
from infra.venues.deribit.orders import side_of
from infra.venues.deribit.session import Channels, DeribitSession
from infra.venues.payloads import decode
from infra.venues.streams import StreamLimits, follow

# An account that is charged margin changes with every move of its marks.
STALE_SECONDS: Final = 10.0
_CHANNELS: Final = ("user.portfolio.any", "user.changes.any.any.100ms")
# A trigger order waits and may become one: it is in the venue's own list of open orders.
_WORKING: Final = ("open", "untriggered")
_SUMMARY: Final = msgspec.json.Decoder(wire.Summary)
_CHANGES: Final = msgspec.json.Decoder(wire.Changes)


def account_events(
    client: DeribitClient,
    catalog: DeribitCatalog,
    account: str,
    charged: set[str],
    limits: StreamLimits | None,
    clock: Clock,
) -> AsyncIterator[FeedEvent]:
    """Yield changes of an account, and every change of health.

    ``charged`` are currencies that are charged margin: while there are any, silence is an error.
    Snapshots and the stream itself keep it.

    A position that was closed comes with quantity 0. Margin of an account that is margined across
    currencies comes in the bucket ``account``.
    """
    source = f"{VENUE} {account}"

    def session() -> DeribitSession:
        return DeribitSession(client, source, Channels(_CHANNELS, account))

    def protocol() -> _AccountStream:
        return _AccountStream(session(), catalog, charged, source, clock)

    return follow(source, protocol, limits, clock)


class _AccountStream:
    def __init__(
        self,
        session: DeribitSession,
        catalog: DeribitCatalog,
        charged: set[str],
        source: str,
        clock: Clock,
    ) -> None:
        self._session, self._catalog, self._charged = session, catalog, charged
        self._source, self._clock = source, clock
        self._told_at = time.monotonic()

    async def open(self) -> str:
        # Sizes are read while nothing depends on it: the reader must not wait for the venue.
        await self._catalog.load()
        return await self._session.open()

    async def start(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await self._session.start(socket)
        self._told_at = time.monotonic()

    def read(self, frame: str) -> Iterable[FeedEvent]:
        found = self._session.read(frame)
        if found is None:
            return
        name = f"{self._source} {found.channel}"
        if found.channel.startswith("user.portfolio."):
            summary = decode(_SUMMARY, bytes(found.data), name)
            self._expect(summary)
            yield self._figures(summary)
        else:
            changes = decode(_CHANGES, bytes(found.data), name)
            if changes.positions or changes.orders:
                yield FeedEvent(
                    source=self._source,
                    received_at=self._clock(),
                    positions=tuple(self._held(one) for one in changes.positions),
                    orders=tuple(self._working(one) for one in changes.orders),
                )

    def silent_after(self) -> float:
        frames = self._session.silent_after()
        return min(frames, self._told_at + STALE_SECONDS) if self._charged else frames

    async def attend(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await self._session.attend(socket)

    def _expect(self, summary: wire.Summary) -> None:
        self._told_at = time.monotonic()
        if summary.initial_margin:
            self._charged.add(summary.currency)
        else:
            self._charged.discard(summary.currency)

    def _figures(self, summary: wire.Summary) -> FeedEvent:
        return FeedEvent(
            source=self._source,
            received_at=self._clock(),
            balances=(
                HeldBalance(
                    asset=summary.currency,
                    quantity=summary.balance,
                    available=summary.available_withdrawal_funds,
                ),
            ),
            margins=(_margin(summary, self._source),),
        )

    def _held(self, position: wire.Position) -> HeldPosition:
        symbol = position.instrument_name
        return HeldPosition(
            instrument_id=instrument_id(symbol),
            quantity=position.size / self._size(symbol),
            entry_price=position.average_price,
            mark_price=position.mark_price,
        )

    def _working(self, order: wire.Order) -> WorkingOrder:
        symbol = order.instrument_name
        left = order.amount - order.filled_amount if order.order_state in _WORKING else Decimal(0)
        return WorkingOrder(
            order_id=order.order_id,
            instrument_id=instrument_id(symbol),
            side=side_of(order),
            remaining_quantity=left / self._size(symbol),
            limit_price=order.limit_price,
            is_reduce_only=order.reduce_only,
            client_order_id=order.label,
        )

    def _size(self, symbol: str) -> Decimal:
        listed = self._catalog.known(symbol)
        if listed is None:
            # A listing newer than our list: the follower's snapshot reads it.
            raise BadPayload(f"{self._source}: {symbol} is not known yet", identifier=symbol)
        return size_of(listed)


def _margin(summary: wire.Summary, source: str) -> ReportedMargin:
    if not summary.cross_collateral_enabled:
        return ReportedMargin(
            bucket=summary.currency, currency=summary.currency,
            initial_margin=summary.initial_margin, maintenance_margin=summary.maintenance_margin,
            equity=summary.equity,
        )  # fmt: skip
    initial, equity = summary.total_initial_margin_usd, summary.total_equity_usd
    maintenance = summary.total_maintenance_margin_usd
    if initial is None or maintenance is None or equity is None:
        raise BadPayload(f"{source}: margined across currencies without totals in USD")
    return ReportedMargin(
        bucket="account", currency="USD", initial_margin=initial, maintenance_margin=maintenance,
        equity=equity,
    )  # fmt: skip
