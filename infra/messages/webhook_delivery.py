"""Delivery of webhooks: each until it is taken, later and later, then given up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from engine.errors import NotSent
from infra.crashpoints import crashpoint
from infra.messages.webhook_body import event_body
from infra.messages.webhook_signing import WebhookSecret, signed_headers
from infra.messages.webhook_urls import Destination, destination

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.webhooks import Delivery

ATTEMPTS_MAX: Final = 24
FIRST_WAIT: Final = timedelta(seconds=5)
WAIT_MAX: Final = timedelta(hours=1)
TIMEOUT_SECONDS: Final = 10.0
_GONE: Final = 410

Send: TypeAlias = Callable[[Destination, Mapping[str, str], bytes], int]
"""Posts a body and returns the status of the answer; raises NotSent if there was none."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """Who is told of events, where, and signed with what."""

    name: str
    url: str
    secrets: tuple[WebhookSecret, ...]
    allowed_hosts: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of the messages that were due."""

    taken: int
    failed: int
    given_up: int


def deliver_due(
    database: Database, subscriber: Subscriber, now: datetime, send: Send | None = None
) -> Delivered:
    """Note the events that are new, send what is due, and note what came of each.

    A crash between the sending and the note sends again, with the same id: whoever listens drops
    what it has heard.

    Raises
    ------
    ParameterError
        If the URL leads where nothing may be sent; the messages stay due.
    """
    database.webhooks.enqueue(subscriber.name, now)
    taken = failed = given_up = 0
    for one in database.webhooks.due(now):
        if one.endpoint != subscriber.name:
            continue
        crashpoint("webhook:before-send")
        error, is_final = _attempt(database, subscriber, one, now, send or post)
        crashpoint("webhook:after-send")
        if not error:
            database.webhooks.delivered(one.message_id)
            taken += 1
        elif is_final or one.n_attempts + 1 >= ATTEMPTS_MAX:
            database.webhooks.failed(one.message_id, error, None)
            given_up += 1
        else:
            later = now + wait_after(one.message_id, one.n_attempts + 1)
            database.webhooks.failed(one.message_id, error, later)
            failed += 1
    return Delivered(taken, failed, given_up)


def wait_after(message_id: str, n_attempts: int) -> timedelta:
    """Return how long to wait after the n-th failed attempt: doubled each time, up to an hour.

    A tenth up or down, by the message's own name, keeps messages that failed together apart.
    """
    doubled = min(FIRST_WAIT * 2 ** min(n_attempts - 1, 20), WAIT_MAX)
    digest = hashlib.sha256(f"{message_id}\0{n_attempts}".encode()).digest()
    jittered: timedelta = doubled * (0.9 + 0.2 * digest[0] / 255)
    return jittered


def post(where: Destination, headers: Mapping[str, str], body: bytes) -> int:
    """Post a body once, without redirects, proxies or retries, and return the status."""
    import httpx

    try:
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            answer = client.post(
                where.url,
                content=body,
                headers={**headers, "host": where.host_header},
                # The certificate has to be the name's, though the address was connected to.
                extensions={"sni_hostname": where.host},
            )
            return answer.status_code
    except httpx.HTTPError as error:
        raise NotSent(f"{where.host}: {type(error).__name__}", identifier=where.host) from error


def _attempt(
    database: Database, subscriber: Subscriber, one: Delivery, now: datetime, send: Send
) -> tuple[str, bool]:
    """Return what went wrong, empty if nothing, and whether trying again is of no use."""
    call_id = str(one.call["call_id"])
    standing = database.calls.standings([call_id])[call_id]
    body = event_body(one.event, one.call, standing)
    headers = signed_headers(one.message_id, now, body, subscriber.secrets)
    try:
        where = destination(subscriber.url, subscriber.allowed_hosts)
        status = send(where, {**headers, "content-type": "application/json"}, body)
    except NotSent as error:
        return str(error), False
    if 200 <= status < 300:
        return "", False
    return f"answered {status}", status == _GONE
