"""What nobody else would tell of: a loop that has fallen silent, a channel that takes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from infra.db.intraday_events import IntradayEvent

if TYPE_CHECKING:
    from infra.db import Database

Check: TypeAlias = Callable[["Database", datetime], Iterable[IntradayEvent]]
"""Looks at the record and returns what people have to hear of; the same fact once."""
LOOP: Final = "plimsoll.system.loop"
LOOP_SILENT_SECONDS: Final = 30.0
"""A running loop publishes each second; a restart takes five."""
DEAD_MAN: Final = "dead-man"
ALIVE: Final = "alive"


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
