"""The kill switch: one person stops everything that leaves, two let it go again (I-48).

It is a file beside the database, so it works with the database down, and it is read before every
sending. What cannot be read counts as armed. The database keeps a copy as soon as it can be told;
either of the two being armed is enough.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sqlalchemy import Connection, func, insert, select

from engine.errors import ParameterError, StateError
from infra.clock import Clock, utc_now
from infra.db.transfer_tables import KillSwitchRow

if TYPE_CHECKING:
    from infra.db import Database

KillEvent: TypeAlias = Literal["armed", "disarm_requested", "disarmed"]
_FILE: Final = "kill-switch.jsonl"
_EVENTS: Final = frozenset({"armed", "disarm_requested", "disarmed"})


@dataclass(frozen=True, slots=True)
class KillEntry:
    """What somebody did with the switch."""

    event_id: str
    event: str
    actor: str
    reason: str
    happened_at: datetime


@dataclass(frozen=True, slots=True)
class KillStatus:
    """Whether the switch is armed, since when, by whom and why; who asks to disarm it."""

    is_armed: bool
    actor: str = ""
    reason: str = ""
    since: datetime | None = None
    disarm_requested_by: str = ""

    @property
    def sentence(self) -> str:
        """Return the status in words."""
        if not self.is_armed:
            return "the kill switch is not armed"
        since = f" since {self.since:%Y-%m-%d %H:%M:%S}Z" if self.since else ""
        by = f" by {self.actor}" if self.actor else ""
        return f"the kill switch is armed{by}{since}: {self.reason}"


class KillSwitch:
    """The switch of one home."""

    def __init__(self, home: Path, clock: Clock = utc_now) -> None:
        self._path = home / _FILE
        self._clock = clock
        self._seen: tuple[object, KillStatus] | None = None

    def status(self) -> KillStatus:
        """Return what the file says; reads it again only when it has changed."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return KillStatus(is_armed=False)
        except OSError as error:
            return _unreadable(self._path, error)
        mark = (found.st_mtime_ns, found.st_size, found.st_ino)
        if self._seen is None or self._seen[0] != mark:
            self._seen = (mark, self._read())
        return self._seen[1]

    def arm(self, principal: str, reason: str) -> KillStatus:
        """Stop all that would leave from now on; one person is enough."""
        _require_reason(reason)
        self._append("armed", principal, reason)
        return self.status()

    def disarm(self, principal: str, reason: str) -> KillStatus:
        """Ask to disarm, or let it go if another person has asked before.

        Raises
        ------
        StateError
            If it is not armed.
        ParameterError
            If the same person has asked: it takes two.
        """
        _require_reason(reason)
        found = self.status()
        if not found.is_armed:
            raise StateError("the kill switch is not armed: nothing to do", identifier="kill")
        if not found.disarm_requested_by:
            self._append("disarm_requested", principal, reason)
        elif found.disarm_requested_by == principal:
            raise ParameterError(
                f"{principal} has asked to disarm already: another person confirms, with their own "
                "login or PLIMSOLL_PRINCIPAL",
                identifier="kill",
                value=principal,
                limit=f"another principal than {principal}",
            )
        else:
            self._append("disarmed", principal, reason)
        return self.status()

    def entries(self) -> list[KillEntry]:
        """Return what the file holds, oldest first; StateError if a line cannot be read."""
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        try:
            # What was learned from elsewhere takes its place by the time at which it happened.
            return sorted((_entry(line) for line in lines), key=lambda one: one.happened_at)
        except (ValueError, KeyError, TypeError) as error:
            raise StateError(
                f"{self._path} is damaged ({error}): it counts as armed; keep it as evidence and "
                "move it away to start anew",
                identifier=str(self._path),
            ) from error

    def tell(self, database: Database) -> int:
        """Bring the database up to the file; return how many entries that were."""
        entries = self.entries()
        if not entries:
            return 0
        with database.reading() as connection:
            known = set(connection.execute(select(KillSwitchRow.event_id)).scalars())
        missing = [one for one in entries if one.event_id not in known]
        if missing:
            with database.writing() as connection:
                _record(connection, database, missing)
        return len(missing)

    def learn(self, database: Database) -> int:
        """Take over what a process with another home has told the database; return how much."""
        known = {one.event_id for one in self.entries()}
        with database.reading() as connection:
            missing = [one for one in recorded_within(connection) if one.event_id not in known]
        for one in missing:
            self._write(one)
        return len(missing)

    def _append(self, event: KillEvent, principal: str, reason: str) -> None:
        self._write(KillEntry(uuid.uuid4().hex, event, principal, reason, self._clock()))

    def _write(self, entry: KillEntry) -> None:
        from filelock import FileLock

        line = json.dumps({**asdict(entry), "happened_at": entry.happened_at.isoformat()}) + "\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with (
            FileLock(self._path.with_suffix(".lock"), timeout=10.0),
            self._path.open("a", encoding="utf-8") as file,
        ):
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> KillStatus:
        try:
            return status_of(self.entries())
        except (OSError, UnicodeDecodeError, StateError) as error:
            return _unreadable(self._path, error)


def status_of(entries: Iterable[KillEntry]) -> KillStatus:
    """Return where the entries lead. Disarming takes two different people, whoever wrote it."""
    status = KillStatus(is_armed=False)
    for one in entries:
        if one.event == "armed" and not status.is_armed:
            status = KillStatus(True, one.actor, one.reason, one.happened_at)
        elif one.event == "armed":
            # Armed again: a request to disarm from before no longer counts.
            status = KillStatus(True, status.actor, status.reason, status.since)
        elif one.event == "disarm_requested" and status.is_armed:
            status = KillStatus(True, status.actor, status.reason, status.since, one.actor)
        elif one.event == "disarmed" and status.disarm_requested_by not in ("", one.actor):
            status = KillStatus(is_armed=False)
    return status


def armed_within(connection: Connection) -> KillStatus:
    """Return what the database was told last."""
    return status_of(recorded_within(connection))


def recorded_within(connection: Connection) -> list[KillEntry]:
    """Return what the database was told, in the order in which it happened."""
    query = select(KillSwitchRow.__table__).order_by(
        KillSwitchRow.happened_at, KillSwitchRow.position
    )
    names = ("event_id", "event", "actor", "reason", "happened_at")
    rows = connection.execute(query).mappings()
    return [KillEntry(*(row[name] for name in names)) for row in rows]


def _record(connection: Connection, database: Database, entries: Sequence[KillEntry]) -> None:
    last = connection.execute(select(func.max(KillSwitchRow.position))).scalar() or 0
    known = set(connection.execute(select(KillSwitchRow.event_id)).scalars())
    for one in entries:
        if one.event_id in known:
            continue
        last += 1
        row = {**asdict(one), "position": last, "recorded_at": database.clock()}
        connection.execute(insert(KillSwitchRow), row)
        details = {"reason": one.reason, "happened_at": one.happened_at}
        database.audit.append_within(
            connection, f"kill switch {one.event}", one.event_id, details, actor=one.actor
        )


def _entry(line: str) -> KillEntry:
    content = json.loads(line)
    entry = KillEntry(**{**content, "happened_at": datetime.fromisoformat(content["happened_at"])})
    if entry.event not in _EVENTS or entry.happened_at.tzinfo is None:
        raise ValueError(f"no entry of a kill switch: {line[:60]!r}")
    return entry


def _unreadable(path: Path, error: Exception) -> KillStatus:
    return KillStatus(True, "", f"{path.name} cannot be read: {error}")


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise ParameterError("the kill switch needs a reason", identifier="kill", limit="a text")
