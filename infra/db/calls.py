"""Margin calls: at most one open per netting set and margin type, each with its history."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import Connection, Select, func, select, text, update

from engine.errors import InvariantBroken, MissingDataError, ModelInputError, StateError
from infra.db.audit import chain_head
from infra.db.bulk import among, dates, insert_rows, instants
from infra.db.call_states import END_STATES, require_step
from infra.db.canonical import link
from infra.db.runs import RunHandle, get_run, is_history
from infra.db.tables import OPEN_CALL, CallEventRow, CallRow

if TYPE_CHECKING:
    from infra.db.database import Database

_ROW_COLUMNS = ("netting_set_id", "margin_type", "amount", "currency", "due_at")


@dataclass(frozen=True, slots=True)
class _Event:
    call_id: str
    number: int
    state: str
    reason: str
    run_id: str | None


class Calls:
    """Margin calls and the events that move them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def issue(self, run_id: str, rows: pd.DataFrame) -> pd.DataFrame:
        """Issue the calls of a close; a repetition finds those of the first time.

        An open call of the same netting set and margin type ends as ``superseded`` and the new
        one names it. Other open calls stay: whether a netting set without a new call is covered
        or could not be decided is for the caller to say, with ``withdraw``. A rerun of a past
        date records its calls but disturbs no later ones: they are ``withdrawn`` as soon as
        computed.

        Parameters
        ----------
        run_id : str
            A run that is bound to a snapshot and a rule book.
        rows : pandas.DataFrame
            netting_set_id, margin_type, amount (Decimal; > 0 asks the client, < 0 returns to the
            client), currency, due_at (UTC).

        Returns
        -------
        pandas.DataFrame
            All calls of the run, see ``of_run``.

        Raises
        ------
        InvariantBroken
            If the run has issued other calls before: the amount is a function of its inputs.
        """
        with self._database.writing() as connection:
            run = get_run(connection, run_id)
            is_past = is_history(connection, run)
            wanted = _wanted(rows, run)
            found = _calls(connection, select(CallRow.__table__).where(CallRow.run_id == run_id))
            if found:
                _require_same(run_id, found, wanted)
            else:
                self._issue(connection, run, wanted, is_past)
        return self.of_run(run_id)

    def withdraw(self, run_id: str, netting_set_ids: Iterable[str], reason: str) -> int:
        """Take back open calls of earlier closes that this one finds covered; return how many.

        The number counts all that the run has taken back, so that a repetition answers the same.
        A rerun of a past date takes nothing back, because a later close has decided since.
        """
        with self._database.writing() as connection:
            run = get_run(connection, run_id)
            if not is_history(connection, run):
                covered = set(netting_set_ids)
                older = _calls(connection, _open_query().where(CallRow.run_id != run_id))
                calls = [call for call in older if call["netting_set_id"] in covered]
                self._end(connection, calls, "withdrawn", {}, reason, run_id)
            by_run = select(func.count()).where(
                CallEventRow.run_id == run_id,
                CallEventRow.state == "withdrawn",
                # Its own second event is not a call of an earlier close.
                CallEventRow.number > 2,
            )
            return connection.execute(by_run).scalar_one()

    def advance(
        self, call_id: str, state: str, *, expected: str | None = None, reason: str = ""
    ) -> None:
        """Move a call to its next state.

        Raises
        ------
        StateError
            If the step is not allowed, or the call is no longer in the state ``expected``:
            somebody else was faster.
        MissingDataError
            If there is no such call.
        """
        with self._database.writing() as connection:
            query = select(CallRow.__table__).where(CallRow.call_id == call_id)
            found = _calls(connection, query)
            if not found:
                raise MissingDataError(f"there is no call {call_id}", identifier=call_id)
            call = found[0]
            if expected is not None and call["state"] != expected:
                raise StateError(
                    f"call {call_id} is {call['state']}, no longer {expected}: look at it again",
                    identifier=call_id,
                    value=call["state"],
                )
            require_step(call_id, call["state"], state)
            self._record(connection, [_Event(call_id, call["n_events"] + 1, state, reason, None)])
            _set_state(connection, [call], state)
            self._database.audit.append_within(
                connection, f"call {state}", call_id, {"reason": reason, "was": call["state"]}
            )

    def open_calls(self) -> pd.DataFrame:
        """Return all open calls, sorted by the instant since when something is due."""
        with self._database.reading() as connection:
            calls = _calls(connection, _open_query())
        return _frame(sorted(calls, key=lambda call: (call["first_due_at"], call["call_id"])))

    def of_run(self, run_id: str) -> pd.DataFrame:
        """Return the calls that a run has issued, sorted by netting set and margin type."""
        query = select(CallRow.__table__).where(CallRow.run_id == run_id)
        with self._database.reading() as connection:
            calls = _calls(connection, query)
        return _frame(sorted(calls, key=lambda call: (call["netting_set_id"], call["margin_type"])))

    def history(self, call_id: str) -> pd.DataFrame:
        """Return the events of a call in order: number, state, actor, reason, run, instant."""
        names = ("number", "state", "actor", "reason", "run_id", "recorded_at")
        query = (
            select(*(getattr(CallEventRow, name) for name in names))
            .where(CallEventRow.call_id == call_id)
            .order_by(CallEventRow.number)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        if not rows:
            raise MissingDataError(f"there is no call {call_id}", identifier=call_id)
        frame = pd.DataFrame([tuple(row) for row in rows], columns=list(names))
        return frame.assign(recorded_at=instants(frame["recorded_at"]))

    def _issue(
        self,
        connection: Connection,
        run: RunHandle,
        wanted: Sequence[dict[str, Any]],
        is_past: bool,
    ) -> None:
        older = {
            (call["netting_set_id"], call["margin_type"]): call
            for call in _calls(connection, _open_query())
        }
        last_state = "withdrawn" if is_past else "issued"
        replaced: dict[str, str] = {}
        for call in wanted:
            before = older.get((call["netting_set_id"], call["margin_type"]))
            if before is not None and not is_past:
                replaced[before["call_id"]] = call["call_id"]
                call["supersedes"] = before["call_id"]
                if before["direction"] == call["direction"] == "call":
                    call["first_due_at"] = min(before["first_due_at"], call["due_at"])
            call["state"] = last_state
        superseded = [call for call in older.values() if call["call_id"] in replaced]
        self._end(connection, superseded, "superseded", replaced, "replaced by {}", run.run_id)
        insert_rows(connection, CallRow, wanted)
        why = "a later date has been closed since" if is_past else ""
        events = [
            event
            for call in wanted
            for event in (
                _Event(call["call_id"], 1, "computed", "", run.run_id),
                _Event(call["call_id"], 2, last_state, why, run.run_id),
            )
        ]
        self._record(connection, events)
        self._database.audit.append_within(
            connection,
            "calls issued",
            run.run_id,
            {"n_calls": len(wanted), "n_superseded": len(replaced), "state": last_state},
        )

    def _end(
        self,
        connection: Connection,
        calls: Sequence[dict[str, Any]],
        state: str,
        successors: Mapping[str, str],
        reason: str,
        run_id: str,
    ) -> None:
        if not calls:
            return
        events = []
        for call in calls:
            require_step(call["call_id"], call["state"], state)
            why = reason.format(successors.get(call["call_id"], ""))
            events.append(_Event(call["call_id"], call["n_events"] + 1, state, why, run_id))
        self._record(connection, events)
        _set_state(connection, calls, state)

    def _record(self, connection: Connection, events: Sequence[_Event]) -> None:
        head = chain_head(connection, CallEventRow.position, CallEventRow.hash)
        now, actor = self._database.clock(), self._database.actor
        digest, rows = head.hash, []
        for position, event in enumerate(events, start=head.position + 1):
            row = {
                "call_id": event.call_id,
                "number": event.number,
                "state": event.state,
                "actor": actor,
                "reason": event.reason,
                "run_id": event.run_id,
                "recorded_at": now,
            }
            digest = link(digest, row)
            rows.append({"position": position, "hash": digest, **row})
        insert_rows(connection, CallEventRow, rows)


def call_id(netting_set_id: str, margin_type: str, business_date: date, sequence: int) -> str:
    """Return the name of a call: the same intent has the same name, whoever asks and how often."""
    intent = f"{netting_set_id}\0{margin_type}\0{business_date.isoformat()}\0{sequence}"
    digest = hashlib.sha256(intent.encode()).hexdigest()[:20]
    return f"call-{business_date.isoformat()}-{sequence}-{digest}"


def _wanted(rows: pd.DataFrame, run: RunHandle) -> list[dict[str, Any]]:
    if run.snapshot_id is None or run.rule_book_hash is None:
        raise InvariantBroken(f"{run.run_id} calls without a recorded snapshot and rule book")
    missing = [name for name in _ROW_COLUMNS if name not in rows.columns]
    if missing:
        raise ModelInputError(f"calls lack the columns {', '.join(missing)}")
    wanted = []
    for row in rows.to_dict(orient="records"):
        amount = row["amount"]
        if not isinstance(amount, Decimal) or not amount.is_finite() or amount == 0:
            raise ModelInputError(
                f"the call of {row['netting_set_id']} needs a Decimal other than 0, found "
                f"{amount!r}",
                identifier=str(row["netting_set_id"]),
                value=amount,
            )
        key = (str(row["netting_set_id"]), str(row["margin_type"]))
        due_at = _instant(row["due_at"])
        wanted.append(
            {
                "call_id": call_id(*key, run.business_date, run.sequence),
                "netting_set_id": key[0],
                "margin_type": key[1],
                "business_date": run.business_date,
                "sequence": run.sequence,
                "direction": "call" if amount > 0 else "return",
                # Not abs(), which rounds to the precision of the thread.
                "amount": amount.copy_abs(),
                "currency": str(row["currency"]),
                "due_at": due_at,
                "first_due_at": due_at,
                "run_id": run.run_id,
                "snapshot_id": run.snapshot_id,
                "rule_book_hash": run.rule_book_hash,
                "supersedes": None,
                "state": "issued",
                "n_events": 2,
            }
        )
    wanted.sort(key=lambda call: (call["netting_set_id"], call["margin_type"]))
    if len({call["call_id"] for call in wanted}) != len(wanted):
        raise InvariantBroken(f"{run.run_id} calls a netting set twice for one margin type")
    return wanted


def _require_same(
    run_id: str, found: Sequence[dict[str, Any]], wanted: Sequence[dict[str, Any]]
) -> None:
    names = ("call_id", "direction", "amount", "currency", "due_at")
    before = {tuple(call[name] for name in names) for call in found}
    if before != {tuple(call[name] for name in names) for call in wanted}:
        raise InvariantBroken(f"{run_id} gave other calls than it has issued")


def _open_query() -> Select[Any]:
    return select(CallRow.__table__).where(text(OPEN_CALL))


def _calls(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(query).mappings()]


def _set_state(connection: Connection, calls: Sequence[dict[str, Any]], state: str) -> None:
    is_affected = among(connection, CallRow.call_id, [call["call_id"] for call in calls])
    values = {"state": state, "n_events": CallRow.n_events + 1}
    changed = connection.execute(update(CallRow).where(is_affected).values(values))
    if changed.rowcount != len(calls):
        raise InvariantBroken(f"{len(calls)} calls became {changed.rowcount} on {state}")


def _instant(value: Any) -> datetime:
    instant = pd.Timestamp(value)
    if instant.tzinfo is None:
        raise ModelInputError(f"due_at {value} has no time zone", identifier="due_at")
    return instant.to_pydatetime()


def _frame(calls: Sequence[dict[str, Any]]) -> pd.DataFrame:
    columns = [column.name for column in CallRow.__table__.columns]
    frame = pd.DataFrame(
        {name: pd.Series([call[name] for call in calls], dtype=object) for name in columns}
    )
    for name in columns:
        if name in ("due_at", "first_due_at"):
            frame[name] = instants(frame[name])
        elif name == "business_date":
            frame[name] = dates(frame[name])
        elif name in ("sequence", "n_events"):
            frame[name] = frame[name].astype("int64")
        elif name != "amount":
            frame[name] = frame[name].astype("str")
    return frame.assign(is_open=[call["state"] not in END_STATES for call in calls])
