"""What every WebSocket of OKX needs: subscriptions that are confirmed, and text pings.

www.okx.com/docs-v5, "WebSocket": a connection without data for 30 seconds is cut unless the client
sends the text ``ping``, which is answered by ``pong``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
import msgspec

from engine.errors import BadPayload, VenueUnavailable
from infra.venues.okx import wire
from infra.venues.okx.codes import verdict
from infra.venues.payloads import decode
from infra.venues.verdicts import Refusal, error_of

PING_SECONDS: Final = 15.0
PONG: Final = "pong"
_FRAME: Final = msgspec.json.Decoder(wire.StreamFrame)


def read_frame(frame: str, source: str) -> wire.StreamFrame | None:
    """Return a frame, None for a pong or a confirmation.

    Raises
    ------
    BadPayload
        If it cannot be read.
    VenueError
        If it is an error, or a notice that the connection will be closed.
    """
    if frame == PONG:
        return None
    content = decode(_FRAME, frame, source)
    if content.event == "error":
        refusal = Refusal(name=source, code=content.code, message=content.msg, is_write=False)
        raise error_of(refusal, verdict(content.code, 200))
    if content.event == "notice":
        raise VenueUnavailable(f"{source}: the venue closes it, {content.msg}", identifier=source)
    if content.event:
        return None
    if content.arg is None:
        raise BadPayload(f"{source}: a frame of no channel", identifier=source)
    return content


async def subscribe(
    socket: aiohttp.ClientWebSocketResponse, channels: Sequence[dict[str, str]], source: str
) -> list[str]:
    """Subscribe and wait until every channel is confirmed; return data frames that came first."""
    if channels:
        await send(socket, {"op": "subscribe", "args": list(channels)})
    early: list[str] = []
    left = len(channels)
    while left:
        frame = await next_text(socket, source)
        if frame != PONG and decode(_FRAME, frame, source).event == "subscribe":
            left -= 1
        elif read_frame(frame, source) is not None:
            early.append(frame)
    return early


async def send(socket: aiohttp.ClientWebSocketResponse, content: dict[str, Any]) -> None:
    """Send a request."""
    await socket.send_str(msgspec.json.encode(content).decode())


async def next_text(socket: aiohttp.ClientWebSocketResponse, source: str) -> str:
    """Return the next text; raises VenueUnavailable at the end of the connection."""
    message = await socket.receive()
    if message.type is not aiohttp.WSMsgType.TEXT:
        raise VenueUnavailable(f"{source}: connection lost, {message.type.name}")
    return str(message.data)


async def ping_for_ever(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Send the text ping while the connection is used."""
    while True:
        await asyncio.sleep(PING_SECONDS)
        await socket.send_str("ping")
