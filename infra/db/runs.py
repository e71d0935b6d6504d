"""Runs and their steps: the same date twice gives the first result, a crash is resumed.

Orchestration may start anything again; what a run has achieved is decided here, under the key
(kind, business date, sequence) and the name of the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Select, and_, insert, not_, select, update
from sqlalchemy.orm import aliased

from engine.errors import InvariantBroken, MissingDataError, ModelInputError, StateError
from engine.ids import RunId
from infra.db.canonical import canonical_json, from_json
from infra.db.tables import CallRow, EntryRow, RunRow, StepRow

if TYPE_CHECKING:
    from infra.db.database import Database

FINISHED: Final = ("completed", "incomplete")
MARGIN: Final = "margin"
"""Kind of ledger entries that move margin to what is required."""
_ENDS: Final = (*FINISHED, "failed")


@dataclass(frozen=True, slots=True)
class RunHandle:
    """A run as it is recorded.

    Attributes
    ----------
    is_finished : bool
        The result is there (``completed``, or ``incomplete`` if a netting set failed).
    is_resumed : bool
        ``begin`` found it unfinished: its recorded steps stand.
    """

    run_id: RunId
    kind: str
    business_date: date
    sequence: int
    status: str
    is_finished: bool
    is_resumed: bool
    inputs: Mapping[str, object]
    code_version: str
    snapshot_id: str | None
    rule_book_hash: str | None
    supersedes: str | None
    summary: Mapping[str, object] | None
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step recorded, and the hash of its outputs."""

    result: Mapping[str, Any]
    output_hash: str


class Runs:
    """Runs by kind, business date and sequence."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self,
        kind: str,
        business_date: date,
        inputs: Mapping[str, object],
        code_version: str,
        force: bool = False,
    ) -> RunHandle:
        """Return the run to work on: the finished one, the unfinished one or a new one.

        Raises
        ------
        StateError
            If the run of the date was begun with other inputs, or an unfinished one by other
            code, and ``force`` is off; names what differs.
        """
        with self._database.writing() as connection:
            latest = _latest(connection, kind, business_date)
            if latest is None:
                return self._create(connection, (kind, business_date, 1), inputs, code_version)
            if force:
                self._abandon(connection, latest)
                key = (kind, business_date, latest.sequence + 1)
                return self._create(connection, key, inputs, code_version, latest.run_id)
            _require_same(latest, inputs, code_version)
            if latest.is_finished:
                return latest
            return self._resume(connection, latest)

    def step_result(self, run_id: str, step: str) -> StepResult | None:
        """Return what ``step`` recorded, or None if it has not finished."""
        with self._database.reading() as connection:
            return _step(connection, run_id, step)

    def record_step(
        self, run_id: str, step: str, result: Mapping[str, object], output_hash: str
    ) -> None:
        """Record that ``step`` is done; a repetition with the same hash changes nothing.

        Raises
        ------
        InvariantBroken
            If it was recorded with another hash: a step has to give the same bytes every time.
        """
        with self._database.writing() as connection:
            found = _step(connection, run_id, step)
            if found is not None:
                if found.output_hash != output_hash:
                    raise InvariantBroken(
                        f"step {step} of {run_id} gave {output_hash}, before it gave "
                        f"{found.output_hash}: the same inputs must give the same bytes"
                    )
                return
            row = {
                "run_id": run_id,
                "step": step,
                "result": dict(result),
                "output_hash": output_hash,
                "finished_at": self._database.clock(),
            }
            connection.execute(insert(StepRow), row)

    def finish(self, run_id: str, status: str, summary: Mapping[str, object]) -> RunHandle:
        """Record how the run ended: ``completed``, ``incomplete`` or ``failed``.

        Raises
        ------
        InvariantBroken
            If it had already finished in another way.
        """
        if status not in _ENDS:
            raise ModelInputError(f"run status {status!r} is none of {', '.join(_ENDS)}")
        with self._database.writing() as connection:
            run = get_run(connection, run_id)
            if run.is_finished:
                same = canonical_json(run.summary or {}) == canonical_json(summary)
                if run.status != status or not same:
                    raise InvariantBroken(f"{run_id} finished as {run.status}, now as {status}")
                return run
            values = {
                "status": status,
                "summary": dict(summary),
                "finished_at": self._database.clock(),
            }
            connection.execute(update(RunRow).where(RunRow.run_id == run_id).values(values))
            self._database.audit.append_within(
                connection, f"run {status}", run_id, {"summary": summary}
            )
            return get_run(connection, run_id)

    def get(self, run_id: str) -> RunHandle:
        """Return the run, or raise MissingDataError."""
        with self._database.reading() as connection:
            return get_run(connection, run_id)

    def of_date(self, kind: str, business_date: date) -> RunHandle | None:
        """Return the finished run of the date that no later one supersedes, or None."""
        query = finished_runs(kind).where(RunRow.business_date == business_date)
        return self._first(query)

    def previous(self, kind: str, business_date: date) -> RunHandle | None:
        """Return the finished run of the latest earlier date, or None."""
        query = finished_runs(kind).where(RunRow.business_date < business_date)
        return self._first(query.order_by(RunRow.business_date.desc()).limit(1))

    def steps(self, run_id: str) -> dict[str, StepResult]:
        """Return the finished steps of a run in the order in which they finished."""
        query = (
            select(StepRow.step, StepRow.result, StepRow.output_hash)
            .where(StepRow.run_id == run_id)
            .order_by(StepRow.finished_at, StepRow.step)
        )
        with self._database.reading() as connection:
            return {row[0]: StepResult(row[1], row[2]) for row in connection.execute(query)}

    def list(self, limit: int = 20, kind: str | None = None) -> tuple[RunHandle, ...]:
        """Return the latest runs, newest first."""
        query = select(RunRow.__table__).order_by(
            RunRow.business_date.desc(), RunRow.kind, RunRow.sequence.desc()
        )
        if kind is not None:
            query = query.where(RunRow.kind == kind)
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(limit)).mappings()
            return tuple(_handle(dict(row)) for row in rows)

    def _first(self, query: Select[Any]) -> RunHandle | None:
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else _handle(dict(row))

    def _create(
        self,
        connection: Connection,
        key: tuple[str, date, int],
        inputs: Mapping[str, object],
        code_version: str,
        supersedes: str | None = None,
    ) -> RunHandle:
        kind, business_date, sequence = key
        run_id = f"{kind}-{business_date.isoformat()}-{sequence}"
        row = {
            "run_id": run_id,
            "kind": kind,
            "business_date": business_date,
            "sequence": sequence,
            "status": "running",
            "inputs": dict(inputs),
            "code_version": code_version,
            "supersedes": supersedes,
            "started_at": self._database.clock(),
        }
        connection.execute(insert(RunRow), row)
        self._database.audit.append_within(
            connection,
            "run begun",
            run_id,
            {"inputs": inputs, "code_version": code_version, "supersedes": supersedes},
        )
        return get_run(connection, run_id)

    def _resume(self, connection: Connection, run: RunHandle) -> RunHandle:
        values = {"status": "running", "summary": None, "finished_at": None}
        connection.execute(update(RunRow).where(RunRow.run_id == run.run_id).values(values))
        self._database.audit.append_within(
            connection, "run resumed", run.run_id, {"status_before": run.status}
        )
        row = {name: getattr(run, name) for name in RunHandle.__slots__}
        return RunHandle(**{**row, **values, "is_resumed": True})

    def _abandon(self, connection: Connection, run: RunHandle) -> None:
        if run.is_finished or run.status == "failed":
            return
        summary = {"reason": "abandoned: a later sequence was forced"}
        values = {"status": "failed", "summary": summary, "finished_at": self._database.clock()}
        connection.execute(update(RunRow).where(RunRow.run_id == run.run_id).values(values))
        self._database.audit.append_within(connection, "run failed", run.run_id, summary)


def finished_runs(kind: str) -> Select[Any]:
    """Return the query of finished runs that no finished later sequence supersedes."""
    later = aliased(RunRow)
    superseded = (
        select(later.run_id)
        .where(
            and_(
                later.kind == RunRow.kind,
                later.business_date == RunRow.business_date,
                later.sequence > RunRow.sequence,
                later.status.in_(FINISHED),
            )
        )
        .exists()
    )
    return select(RunRow.__table__).where(
        RunRow.kind == kind, RunRow.status.in_(FINISHED), not_(superseded)
    )


def get_run(connection: Connection, run_id: str) -> RunHandle:
    """Return the run within a transaction, or raise MissingDataError."""
    query = select(RunRow.__table__).where(RunRow.run_id == run_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise MissingDataError(f"there is no run {run_id}", identifier=run_id)
    return _handle(dict(row))


def is_history(connection: Connection, run: RunHandle) -> bool:
    """Return whether a later date has been closed, has called or has moved margin since."""
    closed = select(RunRow.run_id).where(
        RunRow.kind == run.kind,
        RunRow.business_date > run.business_date,
        RunRow.status.in_(FINISHED),
    )
    called = select(CallRow.call_id).where(CallRow.business_date > run.business_date)
    moved = select(EntryRow.position).where(
        EntryRow.kind == MARGIN, EntryRow.business_date > run.business_date
    )
    return any(
        connection.execute(query.limit(1)).first() is not None for query in (closed, called, moved)
    )


def _latest(connection: Connection, kind: str, business_date: date) -> RunHandle | None:
    query = (
        select(RunRow.__table__)
        .where(RunRow.kind == kind, RunRow.business_date == business_date)
        .order_by(RunRow.sequence.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else _handle(dict(row))


def _step(connection: Connection, run_id: str, step: str) -> StepResult | None:
    query = select(StepRow.result, StepRow.output_hash).where(
        StepRow.run_id == run_id, StepRow.step == step
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else StepResult(row[0], row[1])


def _handle(row: dict[str, Any]) -> RunHandle:
    return RunHandle(**row, is_finished=row["status"] in FINISHED, is_resumed=False)


def _require_same(run: RunHandle, inputs: Mapping[str, object], code_version: str) -> None:
    # Compared as recorded: a path and its text are the same input.
    wanted = from_json(canonical_json(inputs))
    names = sorted(set(wanted) | set(run.inputs))
    differing = [
        f"{name} was {run.inputs.get(name)!r}, now {wanted.get(name)!r}"
        for name in names
        if run.inputs.get(name) != wanted.get(name)
    ]
    if not run.is_finished and run.code_version != code_version:
        differing.append(f"code was {run.code_version}, now {code_version}")
    if differing:
        state = "is finished" if run.is_finished else "is unfinished"
        raise StateError(
            f"{run.run_id} {state} with other inputs: {'; '.join(differing)}. "
            "Use those, or --force for a new sequence",
            identifier=run.run_id,
        )
