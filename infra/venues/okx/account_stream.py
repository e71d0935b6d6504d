"""The private stream of OKX: login, account, positions, balance_and_position, orders.

www.okx.com/docs-v5: ``account`` and ``positions`` begin with a snapshot and are repeated every five
seconds although nothing changes, so that silence there is a fault. ``balance_and_position`` says
why something changed; its push times must not go back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Final

import aiohttp
import msgspec

from engine.errors import ClockSkew, SequenceGap, VenueAccessDenied
from engine.ports import FeedEvent
from infra.clock import Clock
from infra.venues.freshness import Freshness
from infra.venues.okx import wire
from infra.venues.okx.client import VENUE, OkxClient
from infra.venues.okx.codes import verdict
from infra.venues.okx.holdings import balances_of, held_position, margins_of, working_order
from infra.venues.okx.signing import login_arguments
from infra.venues.okx.sockets import (
    PONG,
    next_text,
    ping_for_ever,
    read_frame,
    send,
    subscribe,
)
from infra.venues.payloads import decode
from infra.venues.streams import StreamLimits, follow
from infra.venues.verdicts import Refusal, error_of

PRIVATE_STALE_SECONDS: Final = 12.0
_FRAME: Final = msgspec.json.Decoder(wire.StreamFrame)
_ACCOUNT: Final = msgspec.json.Decoder(list[wire.AccountBalance])
_POSITIONS: Final = msgspec.json.Decoder(list[wire.Position])
_ORDERS: Final = msgspec.json.Decoder(list[wire.PendingOrder])
_BOTH: Final = msgspec.json.Decoder(list[wire.BalanceAndPosition])
_CHANNELS: Final = (
    {"channel": "account"},
    {"channel": "positions", "instType": "ANY"},
    {"channel": "balance_and_position"},
    {"channel": "orders", "instType": "ANY"},
)
# Acts of the venue, by the event type of balance_and_position.
_OWN_ACTS: Final = frozenset(("liquidation", "adl", "claw_back", "delivered", "adjust_margin"))


def account_events(
    client: OkxClient,
    account_id: str,
    stale_seconds: float,
    limits: StreamLimits | None,
    clock: Clock,
) -> AsyncIterator[FeedEvent]:
    """Yield balances, margin and positions of a credential's account, and changes of health.

    The venue's own acts (liquidation, deleveraging, claw-back) are named in ``reason``.
    """
    source = f"{VENUE} {account_id}"

    def protocol() -> _PrivateStream:
        return _PrivateStream(client, source, stale_seconds, clock)

    return follow(source, protocol, limits, clock)


class _PrivateStream:
    def __init__(self, client: OkxClient, source: str, stale_seconds: float, clock: Clock) -> None:
        self._client, self._source, self._clock = client, source, clock
        self._fresh = Freshness(("account", "positions"), stale_seconds)
        self._early: list[str] = []
        self._last_push = 0

    async def open(self) -> str:
        return f"{self._client.hosts.stream}/private"

    async def start(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        credential = self._client.credential
        if credential is None:
            raise VenueAccessDenied(f"{self._source}: there is no credential")
        moment = await self._client.clock.now()
        await send(socket, {"op": "login", "args": [login_arguments(credential, moment)]})
        while True:
            frame = await next_text(socket, self._source)
            if frame == PONG:
                continue
            answer = decode(_FRAME, frame, self._source)
            if answer.event == "login" and answer.code == "0":
                break
            if answer.event in ("login", "error"):
                raise self._refused(answer)
        self._early = await subscribe(socket, _CHANNELS, self._source)

    def read(self, frame: str) -> Iterable[FeedEvent]:
        frames, self._early = [*self._early, frame], []
        for one in frames:
            content = read_frame(one, self._source)
            if content is not None and content.arg is not None:
                self._fresh.note(content.arg.channel)
                yield from self._events(content.arg.channel, bytes(content.data))

    def silent_after(self) -> float | None:
        return self._fresh.overdue_at()

    async def attend(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        await ping_for_ever(socket)

    def _events(self, channel: str, data: bytes) -> Iterable[FeedEvent]:
        if channel == "account":
            for held in decode(_ACCOUNT, data, self._source):
                yield FeedEvent(
                    source=self._source, received_at=self._clock(),
                    balances=balances_of(held), margins=margins_of(held),
                )  # fmt: skip
        elif channel == "positions":
            rows = decode(_POSITIONS, data, self._source)
            if rows:
                held_now = tuple(held_position(row) for row in rows)
                yield FeedEvent(source=self._source, received_at=self._clock(), positions=held_now)
        elif channel == "orders":
            rows_of = decode(_ORDERS, data, self._source)
            orders = tuple(working_order(row) for row in rows_of)
            yield FeedEvent(source=self._source, received_at=self._clock(), orders=orders)
        elif channel == "balance_and_position":
            for change in decode(_BOTH, data, self._source):
                self._require_order(change)
                if change.event_type in _OWN_ACTS:
                    yield self._own_act(change)

    def _require_order(self, change: wire.BalanceAndPosition) -> None:
        pushed = int(change.p_time) if change.p_time.isdecimal() else 0
        if pushed < self._last_push:
            raise SequenceGap(
                f"{self._source}: change of {pushed} after one of {self._last_push}",
                identifier=self._source,
                value=pushed,
            )
        self._last_push = pushed

    def _own_act(self, change: wire.BalanceAndPosition) -> FeedEvent:
        touched = ", ".join(row.inst_id for row in change.pos_data) or "balances"
        return FeedEvent(
            source=self._source, received_at=self._clock(),
            reason=f"{change.event_type}: the venue acted on {touched}",
        )  # fmt: skip

    def _refused(self, answer: wire.StreamFrame) -> Exception:
        name = f"{self._source} login"
        refusal = Refusal(name=name, code=answer.code, message=answer.msg, is_write=False)
        error = error_of(refusal, verdict(answer.code, 200))
        if isinstance(error, ClockSkew):
            self._client.clock.forget()
        return error
