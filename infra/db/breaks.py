"""Breaks: a reconciliation difference ages from the day it was first seen until it vanishes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import Connection, Select, func, select, update

from engine.errors import InvariantBroken, MissingDataError, ModelInputError
from infra.db.bulk import dates, insert_rows, instants
from infra.db.runs import RunHandle, get_run
from infra.db.tables import BreakEventRow, BreakRow, RunRow

if TYPE_CHECKING:
    from infra.db.database import Database

_FIXED: Final = ("break_id", "first_seen", "age_days", "status", "owner", "last_seen", "last_run")


class Breaks:
    """Differences between the books, with age and owner."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def update(self, run_id: str, breaks: pd.DataFrame) -> pd.DataFrame:
        """Record what the run saw: new breaks open, known ones age, vanished ones close.

        A break that comes back after it was closed opens anew, with a new first day. A rerun of a
        past date neither opens again nor closes what later runs have seen. A run of one kind
        says nothing of breaks that runs of another kind look for. A repetition changes nothing.

        Parameters
        ----------
        run_id : str
            A run that has been begun.
        breaks : pandas.DataFrame
            break_id, owner and the facts: kind, netting set, account, item, quantities.

        Returns
        -------
        pandas.DataFrame
            break_id, first_seen, age_days, status (``new``, ``persisting`` or ``closed`` by this
            run), owner, last_seen, last_run and the facts; sorted by age, oldest first.
        """
        with self._database.writing() as connection:
            run = get_run(connection, run_id)
            seen = _seen(breaks)
            if not _events_of(connection, run_id):
                self._record(connection, run, seen)
            rows = _rows_of_run(connection, run)
        return _frame(rows, run.business_date)

    def open_breaks(self, business_date: date | None = None) -> pd.DataFrame:
        """Return open breaks, oldest first; age is counted to ``business_date`` or last seen."""
        query = select(BreakRow.__table__).where(BreakRow.status == "open")
        with self._database.reading() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        return _frame(rows, business_date)

    def history(self, break_id: str) -> pd.DataFrame:
        """Return what was seen of a break, in order, over all its episodes."""
        names = ("event", "first_seen", "business_date", "run_id", "actor", "recorded_at")
        query = (
            select(*(getattr(BreakEventRow, name) for name in names))
            .where(BreakEventRow.break_id == break_id)
            .order_by(BreakEventRow.position)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        if not rows:
            raise MissingDataError(f"there is no break {break_id}", identifier=break_id)
        frame = pd.DataFrame([tuple(row) for row in rows], columns=list(names))
        return frame.assign(
            first_seen=dates(frame["first_seen"]),
            business_date=dates(frame["business_date"]),
            recorded_at=instants(frame["recorded_at"]),
        )

    def assign(self, break_id: str, owner: str) -> None:
        """Give an open break to another owner."""
        with self._database.writing() as connection:
            is_open = (BreakRow.break_id == break_id) & (BreakRow.status == "open")
            query = select(BreakRow.__table__).where(is_open)
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                raise MissingDataError(f"there is no open break {break_id}", identifier=break_id)
            connection.execute(update(BreakRow).where(is_open).values(owner=owner))
            self._append(connection, [_event(dict(row), "assigned", {"owner": owner})], None)
            self._database.audit.append_within(
                connection, "break assigned", break_id, {"owner": owner, "was": row["owner"]}
            )

    def _record(
        self, connection: Connection, run: RunHandle, seen: Mapping[str, dict[str, Any]]
    ) -> None:
        known = _latest_episodes(connection, run.kind)
        inserted, events = [], []
        for break_id, facts in sorted(seen.items()):
            row = known.get(break_id)
            event = _event_for(row, run.business_date)
            if row is None or event == "opened":
                row = _new_row(break_id, facts, run)
                inserted.append(row)
            else:
                _touch(connection, row, facts, run)
            events.append(_event(row, event, facts))
        for break_id, row in sorted(known.items()):
            gone = break_id not in seen and row["status"] == "open"
            # What a later date has seen is not closed by a rerun of an earlier one.
            if gone and row["last_seen"] <= run.business_date:
                _set(connection, row, {"status": "closed", "last_run": run.run_id})
                events.append(_event(row, "closed", row["facts"]))
        insert_rows(connection, BreakRow, inserted)
        self._append(connection, events, run)

    def _append(
        self, connection: Connection, events: Sequence[dict[str, Any]], run: RunHandle | None
    ) -> None:
        last = connection.execute(select(func.max(BreakEventRow.position))).scalar_one() or 0
        common = {
            "run_id": None if run is None else run.run_id,
            "business_date": None if run is None else run.business_date,
            "actor": self._database.actor,
            "recorded_at": self._database.clock(),
        }
        rows = [
            {"position": position, **event, **common}
            for position, event in enumerate(events, start=last + 1)
        ]
        insert_rows(connection, BreakEventRow, rows)


def _seen(breaks: pd.DataFrame) -> dict[str, dict[str, Any]]:
    missing = [name for name in ("break_id", "owner") if name not in breaks.columns]
    if missing:
        raise ModelInputError(f"breaks lack the columns {', '.join(missing)}")
    seen: dict[str, dict[str, Any]] = {}
    for record in breaks.to_dict(orient="records"):
        facts = {str(name): None if value != value else value for name, value in record.items()}
        break_id = str(facts.pop("break_id"))
        if break_id in seen:
            raise InvariantBroken(f"break {break_id} occurs twice in one run")
        seen[break_id] = facts
    return seen


def _events_of(connection: Connection, run_id: str) -> bool:
    query = select(BreakEventRow.position).where(BreakEventRow.run_id == run_id).limit(1)
    return connection.execute(query).first() is not None


def _latest_episodes(connection: Connection, kind: str) -> dict[str, dict[str, Any]]:
    """Return the last episode of each break that runs of ``kind`` look for."""
    query = (
        select(BreakRow.__table__)
        .join(RunRow, RunRow.run_id == BreakRow.last_run)
        .where(RunRow.kind == kind)
        .order_by(BreakRow.break_id, BreakRow.first_seen)
    )
    return {row["break_id"]: dict(row) for row in connection.execute(query).mappings()}


def _event_for(row: Mapping[str, Any] | None, business_date: date) -> str:
    if row is None:
        return "opened"
    if row["status"] == "open" or row["first_seen"] > business_date:
        return "persisted"
    # Closed by an earlier sequence of the same date, or on a later date than this rerun's.
    return "reopened" if row["last_seen"] >= business_date else "opened"


def _new_row(break_id: str, facts: dict[str, Any], run: RunHandle) -> dict[str, Any]:
    return {
        "break_id": break_id,
        "first_seen": run.business_date,
        "last_seen": run.business_date,
        "status": "open",
        "owner": str(facts["owner"]),
        "facts": facts,
        "last_run": run.run_id,
    }


def _touch(
    connection: Connection, row: dict[str, Any], facts: dict[str, Any], run: RunHandle
) -> None:
    if row["last_seen"] > run.business_date:
        return
    # The owner stays: whoever was assigned has taken the break over.
    values = {"last_seen": run.business_date, "status": "open", "facts": facts}
    _set(connection, row, {**values, "last_run": run.run_id})


def _set(connection: Connection, row: dict[str, Any], values: dict[str, Any]) -> None:
    key = (BreakRow.break_id == row["break_id"]) & (BreakRow.first_seen == row["first_seen"])
    connection.execute(update(BreakRow).where(key).values(values))
    row.update(values)


def _event(row: Mapping[str, Any], event: str, facts: object) -> dict[str, Any]:
    return {
        "break_id": row["break_id"],
        "first_seen": row["first_seen"],
        "event": event,
        "facts": facts,
    }


def _rows_of_run(connection: Connection, run: RunHandle) -> list[dict[str, Any]]:
    """Return the breaks that the run has events of, each as the run saw it."""
    query: Select[Any] = (
        select(BreakRow.__table__, BreakEventRow.event, BreakEventRow.facts.label("seen_facts"))
        .join(
            BreakEventRow,
            (BreakEventRow.break_id == BreakRow.break_id)
            & (BreakEventRow.first_seen == BreakRow.first_seen),
        )
        .where(BreakEventRow.run_id == run.run_id)
    )
    status = {"opened": "new", "closed": "closed"}
    return [
        {
            **{column.name: row[column.name] for column in BreakRow.__table__.columns},
            "status": status.get(row["event"], "persisting"),
            "facts": row["seen_facts"],
        }
        for row in connection.execute(query).mappings()
    ]


def _frame(rows: Iterable[dict[str, Any]], counted_to: date | None) -> pd.DataFrame:
    ordered = sorted(rows, key=lambda row: (row["first_seen"], row["break_id"]))
    frame = pd.DataFrame(
        {
            name: pd.Series([_cell(row, name, counted_to) for row in ordered], dtype=object)
            for name in _FIXED
        }
    )
    frame = frame.astype(
        {"break_id": "str", "age_days": "int64", "status": "str", "owner": "str", "last_run": "str"}
    )
    frame = frame.assign(first_seen=dates(frame["first_seen"]), last_seen=dates(frame["last_seen"]))
    names = dict.fromkeys(name for row in ordered for name in row["facts"] if name != "owner")
    facts = {name: [row["facts"].get(name) for row in ordered] for name in names}
    return pd.concat([frame, pd.DataFrame(facts, index=frame.index)], axis=1)


def _cell(row: Mapping[str, Any], name: str, counted_to: date | None) -> object:
    if name == "age_days":
        return ((counted_to or row["last_seen"]) - row["first_seen"]).days
    return row[name]
