"""A WebSocket of a venue that stays up, says when it was not, and never fails in silence.

The reader only puts events into a bounded queue; whoever follows the stream takes them out. Health
goes ``connecting`` -> ``uncertain`` (connected and subscribed: changes may be missing, take a
snapshot now) -> data, and ``down`` when the connection is lost. A gap or an unreadable frame makes
it ``uncertain`` again. Uncertainty ends with the follower's own snapshot, not with the next event.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp

from engine.errors import BadPayload, NotSent, SequenceGap, StaleFeed, VenueError, VenueUnavailable
from engine.ports import FeedEvent, FeedHealth
from infra.clock import Clock, utc_now
from infra.venues.pace import pace
from infra.venues.payloads import excerpt

_FRAME_BYTES_MAX: Final = 1 << 24
_QUEUE_EVENTS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """Bounds of a stream, in seconds.

    Attributes
    ----------
    connect : float
        Longest time until a connection is up and subscribed.
    heartbeat : float
        Interval of pings; a half-open connection is noticed after one and a half.
    backoff_max : float
        Longest wait between two attempts.
    sustained : float
        Health that lasts this long makes the next wait short again.
    """

    connect: float = 5.0
    heartbeat: float = 3.0
    backoff_min: float = 0.05
    backoff_max: float = 5.0
    sustained: float = 30.0


class StreamProtocol(Protocol):
    """What is particular to one stream of one venue; a new one is made for every connection."""

    async def open(self) -> str:
        """Return the URL to connect to."""

    async def start(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Log in and subscribe; returns once the venue has confirmed."""

    def read(self, frame: str) -> Iterable[FeedEvent]:
        """Return the events of a frame.

        Raises
        ------
        BadPayload
            If it cannot be read; the stream goes on, uncertain.
        VenueError
            Any other: the connection is given up.
        """

    def silent_after(self) -> float | None:
        """Return the monotonic time at which data will be overdue, None if silence is normal."""

    async def attend(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Do what the connection needs meanwhile, such as renewing its key; may return."""


class StreamProtocols(Protocol):
    """Makes the protocol of the next connection."""

    def __call__(self) -> StreamProtocol:
        """Return a protocol that remembers nothing."""


async def follow(
    source: str,
    protocols: StreamProtocols,
    limits: StreamLimits | None = None,
    clock: Clock = utc_now,
) -> AsyncIterator[FeedEvent]:
    """Yield events of a stream and every change of its health; ends only when closed."""
    feed = _Feed(source, protocols, limits or StreamLimits(), clock)
    runner = asyncio.create_task(feed.run(), name=f"stream {source}")
    try:
        while True:
            taking = asyncio.create_task(feed.queue.get())
            await asyncio.wait({taking, runner}, return_when=asyncio.FIRST_COMPLETED)
            if not taking.done():
                taking.cancel()
                runner.result()
                raise AssertionError(f"the reader of {source} ended without an error")
            yield taking.result()
    finally:
        runner.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await runner


class _Feed:
    def __init__(
        self, source: str, protocols: StreamProtocols, limits: StreamLimits, clock: Clock
    ) -> None:
        self._source, self._protocols, self._limits = source, protocols, limits
        self._clock, self._slack = clock, pace().slack
        self.queue: asyncio.Queue[FeedEvent] = asyncio.Queue(_QUEUE_EVENTS_MAX)
        self._n_unreadable = 0

    async def run(self) -> None:
        wait = self._limits.backoff_min
        async with aiohttp.ClientSession(trust_env=False) as http:
            while True:
                await self._say("connecting")
                started = time.monotonic()
                try:
                    await self._connection(http)
                except SequenceGap as gap:
                    await self._say("uncertain", str(gap))
                except StaleFeed as stale:
                    await self._say("stale", str(stale))
                except (VenueError, aiohttp.ClientError, TimeoutError, OSError) as error:
                    await self._say("down", f"{type(error).__name__}: {error}")
                if time.monotonic() - started > self._limits.sustained:
                    wait = self._limits.backoff_min
                # Jitter, so that the streams of a venue do not all come back in one instant.
                await asyncio.sleep(random.uniform(wait / 2, wait))
                wait = min(wait * 2, self._limits.backoff_max)

    async def _connection(self, http: aiohttp.ClientSession) -> None:
        protocol = self._protocols()
        async with asyncio.timeout(self._limits.connect + self._slack):
            heartbeat = self._limits.heartbeat + self._slack
            socket = await _connect(http, await protocol.open(), heartbeat)
        async with socket:
            async with asyncio.timeout(self._limits.connect + self._slack):
                await protocol.start(socket)
            attending = asyncio.create_task(protocol.attend(socket))
            try:
                await self._say("uncertain", "connected: changes before may be missing")
                while True:
                    await self._take(protocol, await self._next(protocol, socket, attending))
            finally:
                attending.cancel()
                with contextlib.suppress(asyncio.CancelledError, VenueError, aiohttp.ClientError):
                    await attending

    async def _next(
        self,
        protocol: StreamProtocol,
        socket: aiohttp.ClientWebSocketResponse,
        attending: asyncio.Task[None],
    ) -> str:
        if attending.done():
            attending.result()
        overdue = self._overdue(protocol)
        left = None if overdue is None else max(overdue - time.monotonic(), 0.0)
        # An idle stream still looks at its attendant once a heartbeat.
        wait = self._limits.heartbeat if left is None else min(left, self._limits.heartbeat)
        while True:
            try:
                # Around the whole receive: pings inside it must not count as data.
                async with asyncio.timeout(wait):
                    message = await socket.receive()
                break
            except TimeoutError:
                overdue = self._overdue(protocol)
                if overdue is not None and time.monotonic() >= overdue:
                    raise StaleFeed(
                        f"{self._source}: connected, but data is overdue", identifier=self._source
                    ) from None
                if attending.done():
                    attending.result()
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data)
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data).decode("utf-8", errors="replace")
        raise VenueUnavailable(
            f"{self._source}: connection lost, {message.type.name} {socket.close_code or ''}",
            identifier=self._source,
        )

    def _overdue(self, protocol: StreamProtocol) -> float | None:
        found = protocol.silent_after()
        return None if found is None else found + self._slack

    async def _take(self, protocol: StreamProtocol, frame: str) -> None:
        try:
            events = list(protocol.read(frame))
        except BadPayload as error:
            self._n_unreadable += 1
            await self._say("uncertain", f"frame {self._n_unreadable} unread: {error}", frame)
            return
        for event in events:
            await self._put(event)

    async def _say(self, health: FeedHealth, reason: str = "", raw: str = "") -> None:
        event = FeedEvent(
            source=self._source, received_at=self._clock(), health=health, reason=reason, raw=raw
        )
        await self._put(event)

    async def _put(self, event: FeedEvent) -> None:
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            # What was not taken is out of date; the follower starts over from a snapshot.
            while not self.queue.empty():
                self.queue.get_nowait()
            self.queue.put_nowait(
                FeedEvent(
                    source=self._source,
                    received_at=self._clock(),
                    health="uncertain",
                    reason=f"{_QUEUE_EVENTS_MAX} events were not taken in time and are dropped",
                )
            )
            await asyncio.sleep(0)


async def _connect(
    http: aiohttp.ClientSession, url: str, heartbeat: float
) -> aiohttp.ClientWebSocketResponse:
    try:
        return await http.ws_connect(url, heartbeat=heartbeat, max_msg_size=_FRAME_BYTES_MAX)
    except aiohttp.WSServerHandshakeError as error:
        # The URL may hold a key and stays out of the message.
        raise VenueUnavailable(f"stream refused with HTTP {error.status}") from None
    except aiohttp.ClientConnectorError as error:
        raise NotSent(f"no connection: {excerpt(str(error.os_error))}") from None
