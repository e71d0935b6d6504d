"""Faults of streams that look the same at every venue, around one WebSocket."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from aiohttp import WSMsgType, web

from infra.simulator.venues.core.faults import FaultKind, FaultPlan, Scope
from infra.simulator.venues.core.wire import mangle

_FOREVER_SECONDS: Final = 3600.0
UNREADABLE: Final = '{"jsonrpc":"2.0","method":"subscr'
STRANGER: Final = '{"jsonrpc":"2.0","method":"surprise","params":{"channel":"no.such.channel"}}'


class StreamClosed(Exception):
    """The connection has ended."""


class FaultySocket:
    """A server's WebSocket whose frames meet the faults of a plan.

    ``scope`` names venue and account; the account may be set after authentication. ``send`` is for
    data of a channel, ``reply`` for answers, ``heartbeat`` for what keeps the connection alive.
    """

    def __init__(
        self, socket: web.WebSocketResponse, request: web.Request, plan: FaultPlan, scope: Scope
    ) -> None:
        self._socket = socket
        self._request = request
        self._plan = plan
        self._held: str | None = None
        self._is_dead = False
        self.scope = scope

    @property
    def is_open(self) -> bool:
        """Return whether frames can still be sent; half-open connections look open."""
        return not self._socket.closed

    async def send(self, text: str, channel: str) -> None:
        """Send a data frame, or what the faults make of it."""
        scope = replace(self.scope, channel=channel)
        if await self._is_cut(scope) or self._strikes(FaultKind.STALE, scope):
            return
        if self._strikes(FaultKind.GAP, scope):
            return
        if self._strikes(FaultKind.UNREADABLE_FRAME, scope):
            await self._write(UNREADABLE)
            return
        if self._strikes(FaultKind.UNKNOWN_CHANNEL, scope):
            await self._write(STRANGER)
        text = mangle(self._plan, scope, text)
        if self._held is None and self._strikes(FaultKind.REORDER, scope):
            self._held = text
            return
        await self._write(text)
        if self._strikes(FaultKind.DUPLICATE, scope):
            await self._write(text)
        if self._held is not None:
            held, self._held = self._held, None
            await self._write(held)

    async def reply(self, text: str) -> None:
        """Send an answer to a request."""
        if not await self._is_cut(self.scope):
            await self._write(text)

    async def heartbeat(self, text: str) -> None:
        """Send a heartbeat of the protocol."""
        if self._is_dead or self._strikes(FaultKind.HEARTBEATS_STOP, self.scope):
            return
        if not await self._is_cut(self.scope):
            await self._write(text)

    async def receive(self) -> str:
        """Return the next text from the client; raises StreamClosed at the end."""
        while True:
            message = await self._socket.receive()
            if self._is_dead:
                # The peer's bytes are read by the kernel; nothing here will ever answer.
                await asyncio.sleep(_FOREVER_SECONDS)
            if message.type is WSMsgType.TEXT:
                return str(message.data)
            if message.type is WSMsgType.PING:
                # Only where the protocol opened the socket without autoping.
                await self._socket.pong(message.data)
            elif message.type not in (WSMsgType.BINARY, WSMsgType.PONG):
                raise StreamClosed

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close in order."""
        await self._socket.close(code=code, message=reason.encode())

    def abort(self) -> None:
        """Reset the connection."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def _is_cut(self, scope: Scope) -> bool:
        if self._strikes(FaultKind.HALF_OPEN, scope):
            self._is_dead = True
        if self._is_dead:
            return True
        for kind in (FaultKind.STREAM_RESET, FaultKind.REFUSE):
            if self._strikes(kind, scope):
                self.abort()
                return True
        for kind, code in ((FaultKind.FORCED_CLOSE, 1001), (FaultKind.TOO_SLOW, 1013)):
            if self._strikes(kind, scope):
                await self.close(code, kind.value)
                return True
        latency = self._plan.draw(FaultKind.LATENCY, scope)
        if latency is not None:
            await asyncio.sleep(latency.seconds("seconds", 0.1))
        return False

    def _strikes(self, kind: FaultKind, scope: Scope) -> bool:
        return self._plan.draw(kind, scope) is not None

    async def _write(self, text: str) -> None:
        if self._socket.closed:
            raise StreamClosed
        try:
            await self._socket.send_str(text)
        except ConnectionError as error:
            raise StreamClosed from error
