"""A session on Deribit's WebSocket: subscribe, answer its test requests, renew the token."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import aiohttp
import msgspec

from engine.errors import BadPayload, VenueUnavailable
from infra.venues.deribit import wire
from infra.venues.deribit.client import DeribitClient
from infra.venues.payloads import decode, excerpt

HEARTBEAT_SECONDS: Final = 10
# Two beats and a half: data or heartbeat, something must have come by then.
_FRAME_SECONDS: Final = 2.5 * HEARTBEAT_SECONDS
_TOKEN_SECONDS: Final = 600.0
_FRAME: Final = msgspec.json.Decoder(wire.Frame)
_NAMES: Final = msgspec.json.Decoder(list[str])
_UNAUTHORISED: Final = frozenset((13004, 13009))


@dataclass(frozen=True, slots=True)
class Channels:
    """What is followed; with ``account`` they are private and its token goes along."""

    names: tuple[str, ...]
    account: str = ""


class DeribitSession:
    """What every stream of Deribit needs; ``read`` leaves data frames to its owner."""

    def __init__(self, client: DeribitClient, source: str, channels: Channels) -> None:
        self._client, self._source, self._channels = client, source, channels
        self._id = 0
        self._frame_at = time.monotonic()
        self._asked = asyncio.Event()
        self.missing: tuple[str, ...] = ()
        """Channels that the venue did not confirm."""

    async def open(self) -> str:
        """Return the URL; the token is fetched before, so that a refusal speaks early."""
        await self._client.token(self._channels.account)
        return self._client.hosts.stream

    async def start(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Set the heartbeat and subscribe.

        Raises
        ------
        VenueUnavailable
            If the venue refuses, or confirms no channel, or not all of an account.
        """
        await self._ask(socket, "public/set_heartbeat", {"interval": HEARTBEAT_SECONDS})
        result = await self._ask(socket, *await self._subscription())
        confirmed = decode(_NAMES, result, self._source)
        self.missing = tuple(name for name in self._channels.names if name not in set(confirmed))
        # One instrument that has expired must not silence the others; of an account all is needed.
        if self.missing and (self._channels.account or not confirmed):
            raise VenueUnavailable(
                f"{self._source}: not subscribed to {', '.join(self.missing)}",
                identifier=self._source,
            )
        self._frame_at = time.monotonic()

    def read(self, frame: str) -> wire.FrameParameters | None:
        """Return channel and data of a frame, None of one that only keeps the session alive.

        Raises
        ------
        BadPayload
            If it cannot be read, reports an error, or is of a channel that was not asked for.
        """
        self._frame_at = time.monotonic()
        found = decode(_FRAME, frame, self._source)
        if found.error is not None:
            raise BadPayload(
                f"{self._source}: error {found.error.code} {found.error.message}",
                identifier=self._source,
                code=str(found.error.code),
            )
        parameters = found.params
        if found.method == "heartbeat" and parameters is not None:
            if parameters.type == "test_request":
                self._asked.set()
            return None
        if found.method == "" and found.id is not None:
            return None
        is_data = found.method == "subscription" and parameters is not None
        if is_data and parameters is not None and self._is_ours(parameters.channel):
            return parameters
        raise BadPayload(f"{self._source}: unasked {excerpt(frame)!r}", identifier=self._source)

    def silent_after(self) -> float:
        """Return when the next frame of any kind is overdue, monotonic."""
        return self._frame_at + _FRAME_SECONDS

    async def attend(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Answer test requests, and subscribe anew with a fresh token before the old one ends."""
        renew_at = time.monotonic() + _TOKEN_SECONDS
        while True:
            wait = max(renew_at - time.monotonic(), 0.0) if self._channels.account else None
            try:
                async with asyncio.timeout(wait):
                    await self._asked.wait()
                self._asked.clear()
                await self._send(socket, "public/test", {})
            except TimeoutError:
                self._client.forget_token(self._channels.account)
                await self._send(socket, *await self._subscription())
                renew_at = time.monotonic() + _TOKEN_SECONDS

    def _is_ours(self, channel: str) -> bool:
        # One that follows all currencies may be told of each under its own name.
        return channel in self._channels.names or channel.startswith("user.portfolio.")

    async def _subscription(self) -> tuple[str, dict[str, object]]:
        parameters: dict[str, object] = {"channels": list(self._channels.names)}
        if not self._channels.account:
            return "public/subscribe", parameters
        token = await self._client.token(self._channels.account)
        return "private/subscribe", {**parameters, "access_token": token}

    async def _ask(
        self, socket: aiohttp.ClientWebSocketResponse, method: str, parameters: dict[str, object]
    ) -> bytes:
        asked = await self._send(socket, method, parameters)
        while True:
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise VenueUnavailable(
                    f"{self._source}: connection lost during {method}, {message.type.name} "
                    f"{socket.close_code or ''}",
                    identifier=self._source,
                )
            # Data that comes before the confirmation is missed like what came before it.
            found = decode(_FRAME, str(message.data), self._source)
            if found.id != asked:
                continue
            if found.error is not None:
                if found.error.code in _UNAUTHORISED:
                    self._client.forget_token(self._channels.account)
                raise VenueUnavailable(
                    f"{self._source}: {method} refused with {found.error.code} "
                    f"{found.error.message}",
                    identifier=self._source,
                    code=str(found.error.code),
                )
            return bytes(found.result)

    async def _send(
        self, socket: aiohttp.ClientWebSocketResponse, method: str, parameters: dict[str, object]
    ) -> int:
        self._id += 1
        frame = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": parameters}
        await socket.send_str(msgspec.json.encode(frame).decode())
        return self._id
