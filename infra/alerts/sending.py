"""One attempt to reach one channel: by apprise, or as a signed webhook. No secret is ever shown."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from engine.errors import MarginPlatformError, ParameterError
from engine.policies.ladder_parameters import LEVEL_NAMES
from infra.alerts.channels import Channel
from infra.alerts.wording import plain
from infra.messages.webhook_delivery import post
from infra.messages.webhook_signing import WebhookSecret, signed_headers
from infra.messages.webhook_urls import destination
from infra.secrets import ScrubbingFilter, read_secret, scrub

if TYPE_CHECKING:
    from pydantic import SecretStr

    from infra.db.alerts import AlertMessage

SecretOf: TypeAlias = Callable[[str], "SecretStr"]
_LOGGERS: Final = ("apprise", "urllib3.connectionpool")
_PART_MIN: Final = 4
"""Shorter parts of an address are no secrets, and would blot out half of every sentence."""
_SUCCESS: Final = frozenset({"recovery", "restored", "alive"})


def attempt(
    channel: Channel,
    message: AlertMessage,
    now: datetime,
    *,
    kind: str,
    allowed_hosts: Collection[str] = (),
    secret_of: SecretOf = read_secret,
) -> str:
    """Try once to hand a message to a channel; return what went wrong, empty if nothing."""
    try:
        secret = secret_of(channel.secret).get_secret_value()
        if channel.kind == "webhook":
            return _post(channel, message, now, kind, secret, allowed_hosts)
        return _notify(channel, message, kind, secret)
    except MarginPlatformError as error:
        return plain(str(error))


def _post(
    channel: Channel,
    message: AlertMessage,
    now: datetime,
    kind: str,
    secret: str,
    allowed_hosts: Collection[str],
) -> str:
    body = alert_body(message, kind)
    headers = signed_headers(message.message_id, now, body, (WebhookSecret.parse(secret),))
    where = destination(channel.url, allowed_hosts)
    status = post(where, {**headers, "content-type": "application/json"}, body)
    return "" if 200 <= status < 300 else f"answered {status}"


def alert_body(message: AlertMessage, kind: str) -> bytes:
    """Return what a webhook says of an alert."""
    content = {
        "type": f"alert.{kind}",
        "timestamp": message.told_at.isoformat(),
        "data": {
            "alert_id": message.alert_id,
            "level": LEVEL_NAMES[message.rank],
            "title": message.title,
            "text": message.body,
        },
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _notify(channel: Channel, message: AlertMessage, kind: str, address: str) -> str:
    import apprise
    from apprise.common import NotifyFormat, PersistentStoreMode

    # Nothing is kept on disk: what was sent is in our database, tokens are in guarded files.
    asset = apprise.AppriseAsset(
        app_id="Plimsoll",
        app_desc="Plimsoll margin engine",
        storage_mode=PersistentStoreMode.MEMORY,
        plugin_paths=[],
    )
    held = _secrets_in(address)
    with _scrubbed(held):
        target = apprise.Apprise(asset=asset)
        with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as said:
            if not target.add(address):
                raise ParameterError(
                    f"secret {channel.secret} of channel {channel.name} is no address that "
                    "apprise knows: see the forms in infra/alerts/README.md",
                    identifier=channel.name,
                )
            is_taken = target.notify(
                title=message.title,
                body=f"{message.body}\nalert {message.alert_id}",
                notify_type=_notify_type(kind, message.rank),
                body_format=NotifyFormat.TEXT,
            )
            why = said.getvalue()
    if is_taken:
        return ""
    return plain(scrub(why, held)) or f"{channel.kind} did not take it"


def _notify_type(kind: str, rank: int) -> str:
    if kind in _SUCCESS:
        return "success"
    return ("info", "info", "warning", "failure", "failure")[rank]


def _secrets_in(address: str) -> tuple[str, ...]:
    """Return the parts of an address that may be secret: all but its scheme and host."""
    try:
        parts = urlsplit(address)
        found = [address, parts.username or "", parts.password or "", *parts.path.split("/")]
        found += [value for _, value in parse_qsl(parts.query)]
        # Some forms carry a token where others have the host.
        found.append(parts.netloc)
    except ValueError:
        found = [address]
    whole = [value for value in found for value in (value, unquote(value))]
    return tuple(value for value in whole if len(value) >= _PART_MIN)


@contextmanager
def _scrubbed(secrets: Collection[str]) -> Iterator[None]:
    """Keep secrets out of what the libraries log while the block runs."""
    # The level of these two is where a request's path, hence a chat's token, would be logged.
    filters: Mapping[str, ScrubbingFilter] = {name: ScrubbingFilter(secrets) for name in _LOGGERS}
    for name, each in filters.items():
        logging.getLogger(name).addFilter(each)
    try:
        yield
    finally:
        for name, each in filters.items():
            logging.getLogger(name).removeFilter(each)
