"""Prices from one's own feed handlers: frames of many prices over one WebSocket.

For estates that decode exchange feeds elsewhere. A frame is JSON, ``{"s": source, "t": stamp in
nanoseconds, "p": [[instrument, price, iv, forward], ...]}``; iv and forward may be null. Frames
carry a sequence ``n`` that rises by one: a hole makes the source uncertain until the next frame
with ``"full": true``.
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec
import numpy as np

from engine.acceptance.state import Ticks, Verdict
from engine.times import to_nanoseconds
from infra.intraday.feeds import MARKET, RETRY_SECONDS, FeedContext
from infra.intraday.trusting import State

_FRAME_BYTES_MAX: Final = 1 << 24
_QUIET_SECONDS: Final = 5.0
_NAN: Final = float("nan")


class RelayFrame(msgspec.Struct):
    """One frame."""

    s: str
    t: int
    n: int
    p: list[tuple[str, float, float | None, float | None]]
    full: bool = False


_DECODER: Final = msgspec.json.Decoder(RelayFrame)


class RelayFollower:
    """Prices of one relay."""

    def __init__(self, context: FeedContext, url: str) -> None:
        self._context, self._url = context, url
        self._next: dict[str, int] = {}
        self.name = f"relay {_shown(url)}"
        """As people read it, without what a URL may hold of a password."""
        self.trouble = ""
        """Why nothing comes from it at present; empty while frames do."""
        self.is_healed = False

    async def run(self) -> None:
        """Follow the relay until cancelled; connects again by itself."""
        async with aiohttp.ClientSession(trust_env=False) as http:
            while True:
                try:
                    async with http.ws_connect(
                        self._url, heartbeat=3.0, max_msg_size=_FRAME_BYTES_MAX
                    ) as socket:
                        await self._read(socket)
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    self._all("down", f"{type(error).__name__}: {error}")
                await asyncio.sleep(RETRY_SECONDS)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            try:
                async with asyncio.timeout(_QUIET_SECONDS):
                    message = await socket.receive()
            except TimeoutError:
                self._all("stale", f"no frame for {_QUIET_SECONDS:g} s")
                continue
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                self._all("down", f"connection lost: {message.type.name}")
                return
            try:
                frame = _DECODER.decode(message.data)
            except (msgspec.DecodeError, msgspec.ValidationError) as error:
                self._all("uncertain", f"frame unread: {error}")
                continue
            self.take(frame)

    def give_up_waiting(self, since_ns: int) -> None:
        """Let decisions begin without a whole frame: what is held is stale until one comes."""
        self.is_healed = True

    def failed(self, error: BaseException) -> None:
        """Take note that our own handling of it failed: what was in the frame is lost."""
        self._all("down", f"{type(error).__name__}: {error}")

    def take(self, frame: RelayFrame) -> None:
        """Take one frame: prices in any case, trust only without a hole."""
        core, now = self._context.core, self._context.clock.now()
        expected = self._next.get(frame.s, frame.n)
        is_repeated = frame.n == expected - 1
        # A number that starts anew is a hole as well: nobody knows what lay between.
        is_gap = frame.n != expected and not is_repeated
        if not is_repeated:
            self._next[frame.s] = frame.n + 1
        trust = core.trust
        if is_gap and not frame.full:
            reason = f"gap: frame {frame.n} instead of {expected}"
            trust.distrust("venue", frame.s, "uncertain", now.monotonic_ns, reason, MARKET)
        elif frame.full:
            trust.heal("venue", frame.s, now.monotonic_ns, MARKET)
            self.is_healed = True
        if frame.p:
            verdicts = core.take_ticks(
                self._ticks(frame, now.monotonic_ns, to_nanoseconds(now.wall))
            )
            counts = np.bincount(verdicts, minlength=len(Verdict))
            for verdict in np.flatnonzero(counts).tolist():
                reason = Verdict(verdict).reason
                self._context.metrics.count_price(frame.s, reason, int(counts[verdict]))
        self.trouble = ""
        self._context.wake()

    def _ticks(self, frame: RelayFrame, received_ns: int, wall_ns: int) -> Ticks:
        row_of, n = self._context.core.market.row_of, len(frame.p)
        rows = np.array([row_of.get(one[0], -1) for one in frame.p], dtype=np.int64)
        return Ticks(
            row=rows,
            price=np.array([one[1] for one in frame.p], dtype=np.float64),
            iv=np.array([_NAN if one[2] is None else one[2] for one in frame.p]),
            forward=np.array([_NAN if one[3] is None else one[3] for one in frame.p]),
            stamp_ns=np.full(n, frame.t, dtype=np.int64),
            ahead_ns=np.full(n, frame.t - wall_ns, dtype=np.int64),
            received_ns=received_ns,
        )

    def _all(self, state: State, reason: str) -> None:
        self.trouble = f"{state}: {reason}"[:300]
        core, now = self._context.core, self._context.clock.now().monotonic_ns
        for source in self._next:
            core.trust.distrust("venue", source, state, now, reason[:300], MARKET)
        self._context.wake()


def _shown(url: str) -> str:
    parts = urlsplit(url)
    return (
        f"{parts.hostname or url}{f':{parts.port}' if parts.port else ''}{parts.path.rstrip('/')}"
    )
