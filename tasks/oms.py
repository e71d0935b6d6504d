"""What an operator does with order management: take its files, listen to it, look, decide."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from engine.errors import MissingDataError, ParameterError
from infra.connections import OmsConnection, read_connections
from infra.oms import FileTaken, Naming, inbox_folder, oms_positions, take_files
from infra.report.amounts import exact
from tasks.principals import principal
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from rich.console import RenderableType

    from infra.oms.fix.session import SessionOptions

_TAKE_SECONDS: Final = 5.0
_EVENTS_SHOWN: Final = 10
_ROWS_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Oms:
    """Order management of this installation, and where it works."""

    place: Workplace
    connection: OmsConnection

    @property
    def naming(self) -> Naming:
        """Return how it calls accounts and venues."""
        return Naming(self.connection.accounts, self.connection.exchanges)


def order_management() -> Oms:
    """Return the order management of the connections file.

    Raises
    ------
    MissingDataError
        If none is connected.
    """
    place = workplace()
    connection = read_connections(place.settings.connections_path).oms
    if connection is None:
        raise MissingDataError(
            f"{place.settings.connections_path} has no [oms]: name the order management there (see "
            "infra/oms/README.md)",
            identifier="oms",
        )
    place.database.prepare()
    return Oms(place, connection)


def take_reports() -> list[FileTaken]:
    """Take the files that lie in the folder of order management, where one is connected."""
    place = workplace()
    if read_connections(place.settings.connections_path).oms is None:
        return []
    return take_now(order_management())


def take_now(oms: Oms) -> list[FileTaken]:
    """Take the files that lie in the folder."""
    folder = inbox_folder(oms.place.settings.home_path, oms.connection)
    return take_files(oms.place.database, oms.connection.name, folder, oms.naming)


def listen(stop: threading.Event, tell: Callable[[str], None]) -> None:
    """Hear order management by all its ways until ``stop``: its session, and its folder.

    Raises
    ------
    ParameterError
        If a FIX session is wanted and the engine is not installed.
    StateError
        If another process listens already.
    """
    oms = order_management()
    with oms.place.database.lease(f"oms:{oms.connection.name}"):
        session = _session(oms)
        said = ""
        if session is not None:
            threading.Thread(target=session.run, args=(stop,), daemon=True).start()
        while not stop.is_set():
            for one in take_now(oms):
                tell(_file_line(one))
            waits = session is not None and session.is_waiting_for_decision
            now = _DECIDE if waits else ""
            if now and now != said:
                tell(now)
            said = now
            stop.wait(_TAKE_SECONDS)
        if session is not None:
            session.close()


_DECIDE: Final = (
    "the session stands still: sequence numbers are too low; ask the other side for its numbers, "
    "then `plimsoll oms sequence`"
)


def session_options(oms: Oms) -> SessionOptions:
    """Return what the session process is started with; raises ParameterError without a session."""
    from infra.oms.fix.session import SessionOptions

    fix = oms.connection.fix
    if fix is None:
        raise ParameterError(
            f"order management {oms.connection.name} has no [oms.fix] in the connections file",
            identifier=oms.connection.name,
        )
    home = oms.place.settings.home_path / "oms" / oms.connection.name
    return SessionOptions(
        host=fix.host, port=fix.port, sender=fix.sender, target=fix.target,
        store=str(home / "store"), spool=str(home / "spool"),
        heartbeat_seconds=fix.heartbeat_seconds, credential=fix.credential or "",
    )  # fmt: skip


def _session(oms: Oms) -> Any:
    if oms.connection.fix is None:
        return None
    from infra.oms.fix.listening import Listener
    from infra.oms.fix.session import require_quickfix

    require_quickfix()
    return Listener(oms.place.database, oms.connection.name, session_options(oms), oms.naming)


def status_as_json() -> dict[str, Any]:
    """Return how order management is heard, and what is odd in what it says."""
    oms = order_management()
    database, name = oms.place.database, oms.connection.name
    heard = database.oms_channels.heard(name)
    doubts = [one for one in database.executions.doubts() if one.source == name]
    return {
        "schema": "plimsoll.oms.status/1",
        "name": name,
        "ways": _ways(oms),
        "counts": database.executions.counts(),
        "heard_at": None if heard is None else heard.heard_at.isoformat(),
        "needs_decision": database.oms_channels.needs_decision(name),
        "events": [
            {
                "event": one.event, "at": one.happened_at.isoformat(), "actor": one.actor,
                "reason": one.reason, "details": dict(one.details),
            }
            for one in database.oms_channels.events(name, _EVENTS_SHOWN)
        ],
        "doubts": [
            {
                "kind": one.kind, "identifier": one.identifier, "way": one.way,
                "reason": one.reason, "received_at": one.received_at.isoformat(),
                "is_settled": one.is_settled,
            }
            for one in doubts
        ],
    }  # fmt: skip


def status_view(found: dict[str, Any]) -> RenderableType:
    """Return the status for people."""
    from rich.console import Group

    counts = found["counts"]
    heard = found["heard_at"] or "never over a session"
    lines: list[RenderableType] = [
        f"{found['name']}: by {', '.join(found['ways']) or 'no way'}; heard {heard}",
        f"{counts['executions']:,} executions, {counts['openings']:,} opening lines, "
        f"{counts['conflicts']:,} conflicts, {counts['quarantined']:,} quarantined",
    ]
    if found["needs_decision"]:
        lines.append(_DECIDE)
    events = [
        {
            "Event": one["event"].replace("_", " "),
            "At": one["at"][:19],
            "By": one["actor"],
            "Why": one["reason"] or ", ".join(f"{k} {v}" for k, v in one["details"].items()),
        }
        for one in found["events"]
    ]
    if events:
        lines.append(_table("Session, newest first", events))
    open_ones = [one for one in found["doubts"] if not one["is_settled"]]
    if open_ones:
        rows = [
            {"Kind": one["kind"], "Name": one["identifier"], "By": one["way"], "Why": one["reason"]}
            for one in open_ones[:_ROWS_SHOWN]
        ]
        lines.append(_table(f"To be looked at: {len(open_ones):,}", rows))
    return Group(*lines)


def positions_as_json(at: datetime | None) -> list[dict[str, str]]:
    """Return what order management holds, amounts as exact text."""
    oms = order_management()
    return [
        {
            "account_id": one.account_id,
            "instrument_id": one.instrument_id,
            "quantity": format(one.quantity, "f"),
            "as_of": one.as_of.isoformat(),
        }
        for one in oms_positions(oms.place.database, at)
    ]


def positions_table(rows: list[dict[str, str]]) -> RenderableType:
    """Return the positions for people."""
    from decimal import Decimal

    shown = [
        {
            "Account": row["account_id"],
            "Instrument": row["instrument_id"],
            "Contracts": exact(Decimal(row["quantity"])),
        }
        for row in rows
    ]
    return _table("What order management holds", shown)


def order_sequence(next_sender: int | None, next_target: int | None, reason: str) -> int:
    """Record a decision on the numbers that the session goes on with; returns its position."""
    oms = order_management()
    session_options(oms)
    return oms.place.database.oms_channels.order_sequence(
        oms.connection.name, principal(), reason, next_sender=next_sender, next_target=next_target
    )


def files_table(found: list[FileTaken]) -> RenderableType:
    """Return what became of each file, for people."""
    rows = [
        {
            "File": one.name,
            "New": f"{one.taken.n_new}",
            "Known": f"{one.taken.n_known}",
            "Conflicts": f"{one.taken.n_conflicts}",
            "Quarantined": f"{one.taken.n_quarantined}",
            "State": one.refusal or ("taken before" if one.is_known else "taken"),
        }
        for one in found
    ]
    return _table("Files of order management", rows) if rows else "No file lies in the folder."


def files_as_json(found: list[FileTaken]) -> list[dict[str, Any]]:
    """Return what became of each file."""
    return [
        {
            "file": one.name, "new": one.taken.n_new, "known": one.taken.n_known,
            "conflicts": one.taken.n_conflicts, "quarantined": one.taken.n_quarantined,
            "is_known": one.is_known, "refusal": one.refusal,
        }
        for one in found
    ]  # fmt: skip


def _file_line(one: FileTaken) -> str:
    if one.refusal:
        return f"{one.name} is refused: {one.refusal}"
    taken = one.taken
    return (
        f"{one.name}: {taken.n_new} new, {taken.n_known} known, {taken.n_conflicts} conflicts, "
        f"{taken.n_quarantined} quarantined"
    )


def _ways(oms: Oms) -> list[str]:
    ways = [f"files in {inbox_folder(oms.place.settings.home_path, oms.connection)}"]
    if oms.connection.webhook:
        ways.append("signed webhooks")
    if oms.connection.fix is not None:
        fix = oms.connection.fix
        ways.append(f"FIX drop copy {fix.sender} -> {fix.target} at {fix.host}:{fix.port}")
    return ways


def _table(title: str, rows: list[dict[str, str]]) -> RenderableType:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in rows[0] if rows else ():
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    return table
