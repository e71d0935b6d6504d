"""Webhooks of version 2: detached JWS RS512 over the body, keys in a JWKS, faults on the way."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import aiohttp
from jwt import PyJWS

from infra.simulator.venues.core.clock import TownClock
from infra.simulator.venues.core.faults import Fault, FaultKind, FaultPlan, Scope
from infra.simulator.venues.fireblocks.keys import jwk, private_key

SIGNATURE_HEADER: Final = "Fireblocks-Webhook-Signature"
_ATTEMPTS_MAX: Final = 3
_ANSWER_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Subscription:
    """An endpoint that is told of all events."""

    webhook_id: str
    url: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification to one endpoint, signed: the same bytes at every attempt."""

    event_id: str
    url: str
    body: bytes
    signature: str
    n_attempts: int = 0


@dataclass(slots=True)
class Webhooks:
    """Subscriptions, keys, what waits and what was answered (event id and status)."""

    venue: str
    clock: TownClock
    plan: FaultPlan
    workspace_id: str
    subscriptions: list[Subscription] = field(default_factory=list)
    queue: list[Notice] = field(default_factory=list)
    answered: list[tuple[str, int]] = field(default_factory=list)
    _sent: list[Notice] = field(default_factory=list)
    _generation: int = 1
    _number: int = 0

    def subscribe(self, url: str) -> Subscription:
        """Tell an endpoint of everything from now on."""
        name = f"{self.workspace_id}/{len(self.subscriptions)}"
        made = Subscription(str(uuid.uuid5(uuid.NAMESPACE_URL, name)), url)
        self.subscriptions.append(made)
        return made

    def rotate(self) -> None:
        """Sign with a new key; the one before stays published, older ones do not."""
        self._generation += 1

    def jwks(self) -> dict[str, object]:
        """Return the published keys."""
        last = self._generation
        kids = [self._kid(number) for number in (last - 1, last) if number > 0]
        return {"keys": [jwk(private_key(kid), kid) for kid in kids]}

    def notify(self, event_type: str, resource_id: str, data: Mapping[str, object]) -> None:
        """Queue an event for every endpoint."""
        for one in self.subscriptions:
            self._number += 1
            event_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.workspace_id}#{self._number}"))
            content = {
                "id": event_id, "webhookId": one.webhook_id, "workspaceId": self.workspace_id,
                "resourceId": resource_id, "eventType": event_type, "eventVersion": 2,
                "createdAt": self.clock.wall_ms(), "data": data,
            }  # fmt: skip
            body = json.dumps(content).encode()
            self.queue.append(Notice(event_id, one.url, body, self.signature(body)))

    def signature(self, body: bytes, signer: str = "") -> str:
        """Return the header of a body: ``<header>..<signature>``, under the present kid."""
        kid = self._kid(self._generation)
        token = PyJWS().encode(
            body, private_key(signer or kid), algorithm="RS512", headers={"kid": kid, "typ": None}
        )
        head, _, tail = token.split(".")
        return f"{head}..{tail}"

    async def deliver(self) -> None:
        """Send what waits, with the faults that strike; what fails is sent again later."""
        if not self.queue:
            return
        scope = Scope(venue=self.venue, endpoint="webhooks")
        if self.plan.draw(FaultKind.KEY_ROTATED, scope):
            self.rotate()
        waiting, self.queue = self.queue, []
        if self.plan.draw(FaultKind.WEBHOOK_REORDERED, scope):
            waiting.reverse()
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            for notice in waiting:
                for copy in self._copies(notice, scope):
                    await self._send(session, copy)

    def _copies(self, notice: Notice, scope: Scope) -> list[Notice]:
        if self.plan.draw(FaultKind.WEBHOOK_LOST, scope):
            return []
        copies = [notice]
        if self.plan.draw(FaultKind.WEBHOOK_DUPLICATED, scope):
            copies.append(notice)
        forged = self.plan.draw(FaultKind.WEBHOOK_FORGED, scope)
        if forged is not None:
            copies.insert(0, self._forged(notice, forged))
        if self._sent and self.plan.draw(FaultKind.WEBHOOK_REPLAYED, scope):
            copies.append(replace(self._sent[0], n_attempts=_ATTEMPTS_MAX))
        self._sent.append(notice)
        return copies

    def _forged(self, notice: Notice, fault: Fault) -> Notice:
        content = json.loads(notice.body)
        content["id"] = str(uuid.uuid5(uuid.NAMESPACE_URL, f"forged/{notice.event_id}"))
        content["data"] = {**content["data"], "status": "COMPLETED"}
        body = json.dumps(content).encode()
        is_resigned = fault.text("form", "body") == "key"
        signature = self.signature(body, "a stranger") if is_resigned else notice.signature
        return Notice(content["id"], notice.url, body, signature, _ATTEMPTS_MAX)

    async def _send(self, session: aiohttp.ClientSession, notice: Notice) -> None:
        headers = {"Content-Type": "application/json", SIGNATURE_HEADER: notice.signature}
        try:
            async with session.post(notice.url, data=notice.body, headers=headers) as answer:
                status = answer.status
        except (TimeoutError, aiohttp.ClientError):
            status = 0
        self.answered.append((notice.event_id, status))
        again = replace(notice, n_attempts=notice.n_attempts + 1)
        if not 200 <= status < 300 and again.n_attempts < _ATTEMPTS_MAX:
            self.queue.append(again)

    def _kid(self, generation: int) -> str:
        return f"webhook-key-{generation}"
