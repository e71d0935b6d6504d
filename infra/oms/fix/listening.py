"""The listener: runs the session process, reads its spool into the record, and says what is wrong.

Whether the session lives is judged from outside, by the age of what came last: a process that is
silent for longer than its heartbeats allow is ended and started anew. Nothing here decides about
sequence numbers: that is a person's, and is told as an alert.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.db.executions import Reported, Taken, Unreadable
from infra.db.intraday_events import VENUE, IntradayEvent
from infra.db.oms_channels import ChannelEvent, Heard
from infra.oms.fix.messages import Ignored, read_message
from infra.oms.fix.session import EXIT_SETTINGS, EXIT_TOO_LOW, SessionOptions
from infra.oms.fix.spool import SpoolRecord, read_from
from infra.oms.naming import Naming

if TYPE_CHECKING:
    from engine.ports import Execution
    from infra.db import Database
    from infra.db.oms_channels import ChannelEventKind

BATCH: Final = 500
_LOOK_SECONDS: Final = 0.1
_RESTART_SECONDS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# A heartbeat, its answer to a test request, and a round trip.
_SILENT_HEARTBEATS: Final = 3.0
_STOP_SECONDS: Final = 5.0
_TOLD: Final[dict[str, str]] = {
    "too_low": "decide on the sequence numbers with `plimsoll oms sequence`, and fill what is "
    "missing from a file of executions",
    "silent": "look at the order management and the line to it",
    "refused": "ask the order management why it refuses the logon",
    "rejected": "look at the message that was rejected",
    "torn": "nothing: it is sent again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What one pass over the spool has recorded."""

    taken: Taken
    n_records: int
    n_ignored: int


def read_spool(database: Database, source: str, folder: Path, naming: Naming) -> Read:
    """Record what the spool holds beyond the bookmark, batch by batch, each in one transaction.

    Raises
    ------
    StateError
        If the spool is not as it was left.
    """
    mark = database.oms_channels.heard(source)
    spool, read_to = ("", 0) if mark is None else (mark.spool, mark.read_to)
    heard_at = None if mark is None else mark.heard_at
    total, n_records, n_ignored = Taken(), 0, 0
    batch: list[tuple[str, int, SpoolRecord | None]] = []
    for place in read_from(folder, spool, read_to):
        batch.append(place)
        if len(batch) >= BATCH:
            done, heard_at = _record(database, source, batch, naming, heard_at)
            total, n_ignored = total + done.taken, n_ignored + done.n_ignored
            n_records += len(batch)
            batch = []
    if batch:
        done, _ = _record(database, source, batch, naming, heard_at)
        total, n_ignored = total + done.taken, n_ignored + done.n_ignored
        n_records += len(batch)
    return Read(taken=total, n_records=n_records, n_ignored=n_ignored)


def _record(
    database: Database,
    source: str,
    batch: list[tuple[str, int, SpoolRecord | None]],
    naming: Naming,
    heard_at: datetime | None,
) -> tuple[Read, datetime | None]:
    executions: list[Execution] = []
    unreadable: list[Unreadable] = []
    events: list[tuple[datetime, ChannelEventKind, dict[str, object]]] = []
    n_ignored = 0
    for spool, read_to, record in batch:
        if record is None:
            at = heard_at or database.clock()
            events.append((at, "torn", {"spool": spool, "byte": read_to}))
            continue
        if record.kind == "event":
            events.append((record.at, _known_event(record.text), dict(record.details)))
        if record.kind != "event" or record.text == "logon":
            heard_at = max(record.at, heard_at or record.at)
        if record.kind == "message":
            found = read_message(record.text, naming)
            if isinstance(found, Unreadable):
                unreadable.append(found)
            elif isinstance(found, Ignored):
                n_ignored += 1
            else:
                executions.append(found)
    spool, read_to, _ = batch[-1]
    with database.writing() as connection:
        reported = Reported(executions=executions, unreadable=unreadable)
        taken = database.executions.record_within(connection, source, "fix", reported)
        for at, name, details in events:
            happened = ChannelEvent(source=source, event=name, happened_at=at, details=details)
            position = database.oms_channels.note_within(connection, happened)
            if name in _TOLD:
                told = _alert(source, name, at, details, position)
                database.intraday_events.record_within(connection, [told])
        mark = Heard(heard_at=heard_at or database.clock(), spool=spool, read_to=read_to)
        database.oms_channels.hear_within(connection, source, mark)
    return Read(taken=taken, n_records=len(batch), n_ignored=n_ignored), heard_at


class Listener:
    """Keeps one session process and the record behind it; ``run`` until it is told to stop."""

    def __init__(
        self, database: Database, source: str, options: SessionOptions, naming: Naming
    ) -> None:
        self._database, self._source = database, source
        self._options, self._naming = options, naming
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._restarts = 0
        self._restart_at = 0.0

    @property
    def is_waiting_for_decision(self) -> bool:
        """Return whether the session stands still until a person decides on its numbers."""
        return self._process is None and self._database.oms_channels.needs_decision(self._source)

    def run(self, stop: threading.Event) -> None:
        """Listen until ``stop`` is set."""
        try:
            while not stop.is_set():
                self.look()
                stop.wait(_LOOK_SECONDS)
        finally:
            self.close()

    def look(self) -> Read:
        """Do one round: start or end the process as it has to be, and read its spool."""
        folder = Path(self._options.spool)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        ended = None if self._process is None else self._process.poll()
        if ended is not None:
            self._after(ended)
        found = read_spool(self._database, self._source, folder, self._naming)
        if self._process is None:
            self._start_if_due()
        elif self._is_silent():
            self._note("silent", {"seconds": f"{self._silence_max():g}"})
            self._end()
        return found

    def close(self) -> None:
        """End the process and read what it has left."""
        self._end()
        folder = Path(self._options.spool)
        if folder.is_dir():
            read_spool(self._database, self._source, folder, self._naming)

    def _start_if_due(self) -> None:
        order = self._database.oms_channels.pending_order(self._source)
        if self._database.oms_channels.needs_decision(self._source):
            return
        if time.monotonic() < self._restart_at and order is None:
            return
        options = self._options
        if order is not None:
            options = replace(options, next_sender=order.next_sender, next_target=order.next_target)
            self._note("sequence_applied", {"order": order.position})
        home = Path(options.store)
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        described = home / "session.json"
        described.write_text(json.dumps(asdict(options)), encoding="utf-8")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "infra.oms.fix.session", str(described)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(home / "session.stderr").open("ab"),
        )
        self._started = time.monotonic()

    def _after(self, code: int) -> None:
        self._process = None
        if code == EXIT_TOO_LOW:
            return
        if code == EXIT_SETTINGS:
            raise self._unusable()
        pause = _RESTART_SECONDS[min(self._restarts, len(_RESTART_SECONDS) - 1)]
        # A process that lived for a while has earned a quick start.
        lived = time.monotonic() - self._started
        self._restarts = 0 if lived > self._silence_max() else self._restarts + 1
        self._restart_at = time.monotonic() + pause

    def _is_silent(self) -> bool:
        """Return whether nothing came for too long, judged by the record and not by the process."""
        if time.monotonic() - self._started < self._silence_max():
            return False
        mark = self._database.oms_channels.heard(self._source)
        limit = timedelta(seconds=self._silence_max())
        return mark is None or self._database.clock() - mark.heard_at > limit

    def _silence_max(self) -> float:
        return max(self._options.heartbeat_seconds * _SILENT_HEARTBEATS, 1.0)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _note(self, name: ChannelEventKind, details: dict[str, object]) -> None:
        now = self._database.clock()
        with self._database.writing() as connection:
            event = ChannelEvent(source=self._source, event=name, happened_at=now, details=details)
            position = self._database.oms_channels.note_within(connection, event)
            if name in _TOLD:
                told = _alert(self._source, name, now, details, position)
                self._database.intraday_events.record_within(connection, [told])

    def _unusable(self) -> Exception:
        from engine.errors import ParameterError

        said = (Path(self._options.store) / "session.stderr").read_text(encoding="utf-8").strip()
        last = said.splitlines()[-1] if said else "it said nothing"
        return ParameterError(f"the FIX session cannot start: {last}", identifier=self._source)


def _known_event(name: str) -> ChannelEventKind:
    known: dict[str, ChannelEventKind] = {
        "started": "started", "logon": "logon", "logout": "logout", "too_low": "too_low",
        "refused": "refused", "rejected": "rejected", "ended": "ended",
    }  # fmt: skip
    return known[name]


def _alert(
    source: str, name: str, at: datetime, details: dict[str, object], position: int
) -> IntradayEvent:
    said = ", ".join(str(value) for value in details.values())
    return IntradayEvent(
        kind="degraded",
        resource=f"{VENUE}{source}",
        # A logon that is refused is refused every few seconds: once an hour is heard.
        subject=f"{name} {position}" if name == "too_low" else f"{name} {at:%Y-%m-%dT%H}",
        occurred_at=at,
        payload={
            "venue": source,
            "cause": f"drop copy {name.replace('_', ' ')}",
            "reason": said or name,
            "next_action": _TOLD[name],
        },
    )
