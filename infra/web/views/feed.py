"""What happened, for people: many events of one kind at one time are one line.

A crash moves ten thousand netting sets at once; a list of them would hide everything else.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import TYPE_CHECKING, Final

from infra.db.intraday_events import NETTING_SET

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.db import Database
    from infra.db.intraday_events import RecordedEvent

EVENTS_KEPT: Final = 30_000
_BATCH: Final = 5_000
_TOGETHER: Final = timedelta(seconds=10)
_NAMED_MAX: Final = 3
_CAUSE_MAX: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Events of one kind at one time, or one alone.

    ``what`` is the rung or state that was entered; ``members`` are netting sets, worst first, as
    many as are named; ``shortfall`` is their own sum of what is missing, where one currency is.
    """

    position: int
    kind: str
    what: str
    scope: str
    subject: str
    n: int
    first_at: datetime
    last_at: datetime
    cause: str
    reason: str
    next_action: str
    named: tuple[tuple[str, Decimal, str], ...] = ()
    """Netting sets, what they lack, and its currency."""

    @property
    def is_group(self) -> bool:
        """Return whether it stands for several events."""
        return self.n > 1


class Feed:
    """The last events, read as they come; one reader."""

    def __init__(self) -> None:
        self._events: deque[RecordedEvent] = deque(maxlen=EVENTS_KEPT)
        self._position = 0

    def read(self, database: Database) -> tuple[RecordedEvent, ...]:
        """Read what is new and return the last events, newest first."""
        if not self._position:
            self._events.extend(database.intraday_events.latest(EVENTS_KEPT))
            self._position = self._events[0].position if self._events else 0
        while True:
            found = database.intraday_events.after(self._position, _BATCH)
            self._events.extendleft(found)
            self._position = found[-1].position if found else self._position
            if len(found) < _BATCH:
                return tuple(self._events)


def happenings(events: Iterable[RecordedEvent], limit: int) -> list[Happening]:
    """Return events, newest first, with those of one kind at one time together."""
    groups: list[_Group] = []
    open_groups: dict[tuple[str, ...], _Group] = {}
    for event in events:
        key = _key(event)
        group = open_groups.get(key)
        if group is None or group.last_at - event.occurred_at > _TOGETHER:
            if len(groups) == limit:
                break
            group = open_groups[key] = _Group(event.occurred_at)
            groups.append(group)
        group.events.append(event)
    return [_happening(group.events) for group in groups]


@dataclass(slots=True)
class _Group:
    last_at: datetime
    events: list[RecordedEvent] = field(default_factory=list)


def _key(event: RecordedEvent) -> tuple[str, ...]:
    said = event.payload
    scope = event.resource.split(".")[1] if "." in event.resource else ""
    # An event without a rung or state is news of its own.
    what = said.get("level") or said.get("state") or event.event_id
    return (event.name, scope, what, said.get("from_level", "") if scope == "netting-set" else "")


def _happening(events: list[RecordedEvent]) -> Happening:
    newest, oldest = events[0], events[-1]
    said = newest.payload
    causes = sorted({event.payload.get("cause", "") for event in events} - {""})
    is_one = len(events) == 1
    return Happening(
        position=newest.position,
        kind=newest.name.removeprefix("plimsoll."),
        what=said.get("level") or said.get("state") or "",
        scope=newest.resource.split(".")[1] if "." in newest.resource else "",
        subject=newest.resource.split(".", 2)[-1] if is_one else "",
        n=len(events),
        first_at=oldest.occurred_at,
        last_at=newest.occurred_at,
        cause=_causes(causes),
        reason=said.get("reason", "") if is_one else "",
        next_action=said.get("next_action", ""),
        named=_named(events),
    )


def _causes(causes: list[str]) -> str:
    """Return a few causes, each to its first semicolon: a list of all says nothing."""
    first = list(dict.fromkeys(cause.partition(";")[0].strip()[:_CAUSE_MAX] for cause in causes))
    more = len(first) > _NAMED_MAX or any(";" in cause for cause in causes)
    return ", ".join(first[:_NAMED_MAX]) + (" and others" if more else "")


def _named(events: list[RecordedEvent]) -> tuple[tuple[str, Decimal, str], ...]:
    members = [
        (event.resource.removeprefix(NETTING_SET), _amount(event.payload.get("shortfall", "")),
         event.payload.get("currency", ""))
        for event in events
        if event.resource.startswith(NETTING_SET)
    ]  # fmt: skip
    return tuple(islice(sorted(members, key=lambda one: (-one[1], one[0])), _NAMED_MAX))


def _amount(text: str) -> Decimal:
    try:
        found = Decimal(text or "0")
    except InvalidOperation:
        return Decimal(0)
    return found if found.is_finite() else Decimal(0)
