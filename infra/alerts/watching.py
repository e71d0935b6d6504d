"""What nobody else would tell of: what has fallen silent, a channel that takes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from infra.db.intraday_events import SYSTEM, IntradayEvent

if TYPE_CHECKING:
    from infra.db import Database

Check: TypeAlias = Callable[["Database", datetime], Iterable[IntradayEvent]]
"""Looks at the record and returns what people have to hear of; the same fact once."""
LOOP: Final = f"{SYSTEM}loop"
LOOP_SILENT_SECONDS: Final = 30.0
"""A running loop publishes each second; a restart takes five."""
DEAD_MAN: Final = "dead-man"
ALIVE: Final = "alive"
MISS_KINDS: Final = (DEAD_MAN, ALIVE)


def loop_silence(
    database: Database, now: datetime, seconds_max: float = LOOP_SILENT_SECONDS
) -> list[IntradayEvent]:
    """Return that the loop has fallen silent, or is back.

    A board that was never published belongs to an installation without a loop.
    """
    said_at = database.board.published_at()
    if said_at is None:
        return []
    last = database.alerts.last_event(LOOP, (DEAD_MAN, ALIVE))
    is_known = last is not None and last.name == f"plimsoll.{DEAD_MAN}"
    if now - said_at > timedelta(seconds=seconds_max):
        reason = f"the loop has published nothing since {said_at:%Y-%m-%d %H:%M:%S}Z"
        return [_of_loop(DEAD_MAN, said_at.isoformat(), now, reason)]
    if is_known and last is not None:
        return [_of_loop(ALIVE, last.event_id, now, "the loop publishes again")]
    return []


def signs_missing(database: Database, now: datetime) -> list[IntradayEvent]:
    """Return what should have been heard of again and was not, and what is heard of again."""
    signs = {f"{SYSTEM}{one.name.replace(' ', '-')}": one for one in database.life_signs.all()}
    known = {
        event.resource: event for event in database.intraday_events.last_of(list(signs), MISS_KINDS)
    }
    found = []
    for resource, sign in signs.items():
        last = known.get(resource)
        if sign.is_silent(now):
            said = (sign.missing(now), sign.next_action)
            subject = sign.said_at.isoformat()
            found.append(_of_silence(resource, subject, now, sign.name, *said))
        elif last is not None and last.name == f"plimsoll.{DEAD_MAN}":
            found.append(heard_again(resource, last.event_id, now, sign.name))
    return found


def heard_again(resource: str, miss_id: str, now: datetime, cause: str) -> IntradayEvent:
    """Return that what was missing has happened again, or was made up for."""
    return IntradayEvent(
        kind=ALIVE,
        resource=resource,
        subject=miss_id,
        occurred_at=now,
        payload={
            "cause": cause,
            "reason": f"{cause} was heard of again",
            "next_action": "look at what did not happen meanwhile",
        },
    )


def _of_silence(
    resource: str, subject: str, now: datetime, cause: str, reason: str, next_action: str
) -> IntradayEvent:
    return IntradayEvent(
        kind=DEAD_MAN,
        resource=resource,
        subject=subject,
        occurred_at=now,
        payload={"cause": cause, "reason": reason, "next_action": next_action},
    )


def given_up(channel: str, kind: str, error: str, now: datetime) -> IntradayEvent:
    """Return that a message to a channel was given up; once an hour for a channel."""
    return IntradayEvent(
        kind="delivery-given-up",
        resource=f"plimsoll.channel.{channel}",
        subject=f"{now:%Y-%m-%dT%H}",
        occurred_at=now,
        payload={
            "cause": f"channel {channel}",
            "reason": f"{kind}: {error}",
            "next_action": f"try it with `plimsoll alerts test --channel {channel}`",
        },
    )


def _of_loop(kind: str, subject: str, now: datetime, reason: str) -> IntradayEvent:
    is_silent = kind == DEAD_MAN
    return IntradayEvent(
        kind=kind,
        resource=LOOP,
        subject=subject,
        occurred_at=now,
        payload={
            "cause": "loop",
            "reason": reason,
            "next_action": "see `plimsoll doctor`, then start `plimsoll intraday`"
            if is_silent
            else "look at what was held meanwhile",
        },
    )
