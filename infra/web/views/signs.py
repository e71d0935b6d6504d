"""What is known without the record: the loop's own word, the home's disk, the switch, a fault.

These are read from files of this machine, so that they are right with the database down.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.web.views.health_rows import HealthRow

if TYPE_CHECKING:
    from infra.outbound import KillStatus

SILENCE_MAX: Final = timedelta(seconds=3)
"""A loop writes its file and publishes each second: after three it is said to be silent."""
SLOW_SECONDS: Final = 2.0
"""Decisions that wait longer for the database are told of."""
_MIB: Final = 1 << 20
_DISK_WATCH: Final = 512 * _MIB
_DISK_DOWN: Final = 8 * _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopWord:
    """What the loop of this home said of itself last."""

    said_at: datetime
    content: Mapping[str, Any]

    def is_alive(self, now: datetime) -> bool:
        """Return whether it was said a moment ago."""
        return now - self.said_at <= SILENCE_MAX

    @property
    def troubles(self) -> list[HealthRow]:
        """Return the states it names that are not live."""
        return [
            HealthRow(
                scope=str(row["scope"]),
                name=str(row["name"]),
                state=str(row["state"]),
                since=datetime.fromisoformat(str(row["since"])),
                reason=str(row["reason"]),
                next_action=str(row["next_action"]),
            )
            for row in self.content.get("health", ())
        ]


@dataclass(frozen=True, slots=True)
class DiskRoom:
    """Room on the disk of the home. [bytes]"""

    free: int
    total: int

    @property
    def state(self) -> str:
        """Return ``live``, ``degraded`` where it becomes short, ``down`` where it is full."""
        is_small = self.total < 2 * _DISK_WATCH
        down, watch = _DISK_DOWN, _DISK_WATCH
        if is_small:
            down, watch = self.total // 100, self.total // 20
        return "down" if self.free <= down else "degraded" if self.free <= watch else "live"


@dataclass(frozen=True, slots=True)
class RecordFault:
    """That the record could not be read, since when, and why."""

    since: datetime
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """All of it at one moment."""

    kill: KillStatus
    word: LoopWord | None = None
    disk: DiskRoom | None = None
    disk_since: datetime | None = None
    """Since when it is short."""
    fault: RecordFault | None = None
    published_at: datetime | None = field(default=None)
    """When the loop published to the record last, as far as it could be read."""

    def loop_is_live(self, now: datetime) -> bool:
        """Return whether figures of the record are those of this moment."""
        return self.published_at is not None and now - self.published_at <= SILENCE_MAX


def disk_room(folder: Path) -> DiskRoom | None:
    """Return the room on the disk of a folder, None if it cannot be asked."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return DiskRoom(usage.free, usage.total)


def rows_of(signs: Signs, now: datetime) -> list[HealthRow]:
    """Return what the signs say: switch, loop, disk, record."""
    found = [_kill(signs.kill), _loop(signs, now)]
    if signs.disk is not None:
        found.append(_disk(signs.disk, signs.disk_since))
    if signs.fault is not None:
        found.append(
            HealthRow(
                scope="system",
                name="record",
                state="down",
                since=signs.fault.since,
                reason=f"the database cannot be read: {signs.fault.sentence}",
                next_action="bring it back; what is shown was read before, nothing can be decided "
                "here meanwhile",
            )
        )
    return found


def _kill(status: KillStatus) -> HealthRow:
    if not status.is_armed:
        return HealthRow(
            scope="system", name="kill switch", state="live", since=None,
            reason="not armed: transfers and orders may leave", next_action="",
        )  # fmt: skip
    return HealthRow(
        scope="system", name="kill switch", state="down", since=status.since,
        reason=f"armed by {status.actor or 'somebody'}: {status.reason}",
        next_action="two people disarm it when the cause is gone",
    )  # fmt: skip


def _loop(signs: Signs, now: datetime) -> HealthRow:
    word, published = signs.word, signs.published_at
    said_at = None if word is None else word.said_at
    is_alive, publishes = word is not None and word.is_alive(now), signs.loop_is_live(now)
    if word is None and published is None:
        return _of_loop(
            "unknown", None,
            "no loop has published to this database: figures are those of the last close",
            "start it with `plimsoll intraday run`, if it is meant to run",
        )  # fmt: skip
    if word is not None and is_alive and not publishes:
        n, since = int(word.content.get("waiting") or 0), published
        if not word.content.get("is_deciding", True):
            return _of_loop(
                "degraded", since, "it starts: first snapshots are on their way",
                "nothing: it decides as soon as they are there, or waited for enough",
            )  # fmt: skip
        return _of_loop(
            "degraded", since,
            f"it decides, but what it publishes does not reach the record; {n} decisions wait",
            "bring the database back: all that waits is written in order",
        )  # fmt: skip
    if not publishes:
        last = max(at for at in (published, said_at) if at is not None)
        return _of_loop(
            "down", last, "silent: live figures stand still",
            "look at its log and start it again; it resumes where it stopped",
        )  # fmt: skip
    waits = 0.0 if word is None else float(word.content.get("waiting_seconds") or 0.0)
    if word is not None and is_alive and waits > SLOW_SECONDS:
        return _of_loop(
            "degraded", now - timedelta(seconds=waits),
            f"it decides, but the database is slow: {word.content.get('waiting')} decisions wait",
            "look at the database's load and disk; all that waits is written in order",
        )  # fmt: skip
    if word is not None and not is_alive:
        return _of_loop(
            "degraded", word.said_at, "it publishes, but its own file stands still",
            "free space on the disk of its home, or look at the home it was started with",
        )  # fmt: skip
    return _of_loop("live", published, "decides and publishes", "")


def _of_loop(state: str, since: datetime | None, reason: str, next_action: str) -> HealthRow:
    return HealthRow(
        scope="system", name="intraday loop", state=state, since=since, reason=reason,
        next_action=next_action,
    )  # fmt: skip


def _disk(room: DiskRoom, since: datetime | None) -> HealthRow:
    if room.state == "live":
        # To the gigabyte: what moves all the time is no news.
        return HealthRow(
            scope="system", name="disk of the home", state="live", since=None,
            reason=f"{room.free >> 30:,} GiB free" if room.free >> 30 else "has room",
            next_action="",
        )  # fmt: skip
    return HealthRow(
        scope="system", name="disk of the home", state=room.state, since=since,
        reason=f"{room.free // _MIB:,} MiB free of {room.total // _MIB:,}",
        next_action="free space: on a full disk no decision and no call becomes durable",
    )  # fmt: skip
