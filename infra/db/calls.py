"""Margin calls: at most one open per netting set and margin type, each with its history."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
from sqlalchemy import ColumnElement, Connection, exists, func, or_, select
from sqlalchemy.orm import aliased

from engine.calls.standing import Pledge, Standing
from engine.calls.states import END_STATES, require_step
from engine.calls.substitution import Substitution
from engine.errors import InvariantBroken, MissingDataError
from infra.crashpoints import crashpoint
from infra.db.bulk import among, dates, insert_rows, instants
from infra.db.call_carrying import carry_pledges
from infra.db.call_events import (
    CallEvent,
    call_row,
    call_rows,
    open_calls_query,
    record_events,
    set_state,
)
from infra.db.call_facts import facts_of, standing_of, substitutions_of
from infra.db.call_tables import CallFactRow, CallTermsRow
from infra.db.call_wanted import WantedCall, wanted_calls
from infra.db.intraday_tables import IntradayCallRow
from infra.db.runs import get_run, is_history
from infra.db.tables import CallEventRow, CallRow, RequirementRow

if TYPE_CHECKING:
    from infra.db.database import Database
    from infra.db.runs import RunHandle


@dataclass(frozen=True, slots=True)
class CallRecord:
    """Everything that is known of one call."""

    call: Mapping[str, Any]
    standing: Standing
    terms: Mapping[str, Any] | None
    """Instants of issue and notification, levels, returns; None for calls older than terms."""
    facts: tuple[Mapping[str, Any], ...]
    substitutions: Mapping[int, Substitution]


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitedPledge:
    """A pledge that a transfer is to bring; ``quantity`` is what was to arrive of its asset."""

    call_id: str
    pledge: Pledge
    transfer_key: str
    quantity: Decimal


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
        computed. What was pledged on a superseded call and is still on its way is carried to the
        new one. A return that the client has to ask for, or beside which a call is open, stays
        ``computed``.

        Parameters
        ----------
        run_id : str
            A run that is bound to a snapshot and a rule book.
        rows : pandas.DataFrame
            netting_set_id, margin_type, amount (Decimal; > 0 asks the client, < 0 returns to the
            client), currency, due_at (UTC); and the terms of the call, where it has any:
            issued_at, notified_at (UTC), levels (tuple of EscalationLevel), returns.

        Returns
        -------
        pandas.DataFrame
            All calls of the run, see ``of_run``.

        Raises
        ------
        InvariantBroken
            If the run has issued other calls before: the amount is a function of its inputs.
        """
        crashpoint("call:issue:start")
        with self._database.writing() as connection:
            run = get_run(connection, run_id)
            is_past = is_history(connection, run)
            wanted = wanted_calls(rows, run)
            found = call_rows(connection, select(CallRow.__table__).where(CallRow.run_id == run_id))
            if found:
                _require_same(run_id, found, [one.call for one in wanted])
            else:
                self._issue(connection, run, wanted, is_past)
            crashpoint("call:issue:before-commit")
        crashpoint("call:issue:after-commit")
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
                query = open_calls_query().where(CallRow.run_id != run_id)
                older = call_rows(connection, query)
                calls = [call for call in older if call["netting_set_id"] in covered]
                self._end(connection, calls, "withdrawn", {}, reason, run_id)
            by_run = (
                select(func.count())
                .select_from(CallEventRow)
                .join(CallRow, CallRow.call_id == CallEventRow.call_id)
                .where(
                    CallEventRow.run_id == run_id,
                    CallEventRow.state == "withdrawn",
                    # What a rerun of a past date takes back at once is its own.
                    CallRow.run_id != run_id,
                )
            )
            return connection.execute(by_run).scalar_one()

    def open_calls(self) -> pd.DataFrame:
        """Return all open calls, sorted by the instant since when something is due."""
        with self._database.reading() as connection:
            calls = call_rows(connection, open_calls_query())
        return _frame(sorted(calls, key=lambda call: (call["first_due_at"], call["call_id"])))

    def of_run(self, run_id: str) -> pd.DataFrame:
        """Return the calls that a run has issued, sorted by netting set and margin type."""
        query = select(CallRow.__table__).where(CallRow.run_id == run_id)
        with self._database.reading() as connection:
            calls = call_rows(connection, query)
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

    def record(self, call_id: str) -> CallRecord:
        """Return everything that is known of one call.

        Raises
        ------
        MissingDataError
            If there is none of that name.
        InvariantBroken
            If its facts do not add up to its state.
        """
        with self._database.reading() as connection:
            call = call_row(connection, call_id)
            facts = facts_of(connection, [call_id])[call_id]
            query = select(CallTermsRow.__table__).where(CallTermsRow.call_id == call_id)
            terms = connection.execute(query).mappings().one_or_none()
        return CallRecord(
            call,
            standing_of(call, facts),
            dict(terms) if terms is not None else None,
            tuple(facts),
            substitutions_of(call_id, facts),
        )

    def client_of(self, call_id: str) -> str | None:
        """Return the client of a call, as who issued it knew it; None if unrecorded."""
        of_close = (
            select(RequirementRow.client_id)
            .join(CallRow, CallRow.run_id == RequirementRow.run_id)
            .where(CallRow.netting_set_id == RequirementRow.netting_set_id)
            .where(CallRow.call_id == call_id)
        )
        of_loop = select(IntradayCallRow.client_id).where(IntradayCallRow.call_id == call_id)
        with self._database.reading() as connection:
            found = connection.execute(of_close).scalar_one_or_none()
            return found or connection.execute(of_loop).scalar_one_or_none()

    def awaited_pledges(self, transfers: Collection[str] | None = None) -> list[AwaitedPledge]:
        """Return pledges on their way that name their transfer, on open calls and on ended ones.

        What a later close carried to another call is listed there. Of ``transfers`` alone, where
        their keys are given.
        """
        ended = aliased(CallFactRow)
        # Settled with its last part, rejected or carried on: nothing more comes of it.
        is_over = exists().where(
            ended.call_id == CallFactRow.call_id,
            ended.pledge == CallFactRow.number,
            or_(ended.is_last == 1, ended.kind.in_(("pledge_rejected", "pledge_carried"))),
        )
        query = (
            select(CallFactRow.call_id, CallFactRow.number, CallFactRow.details)
            .where(CallFactRow.kind == "pledged", ~is_over)
            .order_by(CallFactRow.position)
        )
        with self._database.reading() as connection:
            if transfers is not None:
                query = query.where(_of_same_owner(connection, transfers))
            rows = [
                row
                for row in connection.execute(query)
                if row.details.get("transfer")
                and (transfers is None or row.details["transfer"] in transfers)
            ]
        standings = self.standings(sorted({row.call_id for row in rows}))
        found = [(row, standings[row.call_id].pledge(row.number)) for row in rows]
        return [
            AwaitedPledge(
                call_id=row.call_id,
                pledge=pledge,
                transfer_key=str(row.details["transfer"]),
                quantity=Decimal(str(row.details["quantity"])),
            )
            for row, pledge in found
            if pledge is not None and pledge.remaining
        ]

    def standings(self, call_ids: Sequence[str]) -> dict[str, Standing]:
        """Return where calls stand, by name."""
        with self._database.reading() as connection:
            is_wanted = among(connection, CallRow.call_id, list(call_ids))
            calls = call_rows(connection, select(CallRow.__table__).where(is_wanted))
            facts = facts_of(connection, list(call_ids))
        return {
            call["call_id"]: standing_of(call, facts[call["call_id"]])
            for call in sorted(calls, key=lambda call: str(call["call_id"]))
        }

    def _issue(
        self,
        connection: Connection,
        run: RunHandle,
        wanted: Sequence[WantedCall],
        is_past: bool,
    ) -> None:
        older = {
            (call["netting_set_id"], call["margin_type"]): call
            for call in call_rows(connection, open_calls_query())
        }
        replaced: dict[str, str] = {}
        for one in wanted:
            call = one.call
            before = older.get((call["netting_set_id"], call["margin_type"]))
            if before is not None and not is_past:
                replaced[before["call_id"]] = call["call_id"]
                call["supersedes"] = before["call_id"]
                if before["direction"] == call["direction"] == "call":
                    call["first_due_at"] = min(before["first_due_at"], call["due_at"])
            call["state"] = "withdrawn" if is_past else _first_state(one, older)
            call["n_events"] = 1 if call["state"] == "computed" else 2
        superseded = [call for call in older.values() if call["call_id"] in replaced]
        self._end(connection, superseded, "superseded", replaced, "replaced by {}", run.run_id)
        insert_rows(connection, CallRow, [one.call for one in wanted])
        insert_rows(connection, CallTermsRow, [one.terms for one in wanted if one.terms])
        why = "a later date has been closed since" if is_past else ""
        events = []
        for call in (one.call for one in wanted):
            events.append(CallEvent(call["call_id"], 1, "computed", "", run.run_id))
            if call["state"] != "computed":
                events.append(CallEvent(call["call_id"], 2, call["state"], why, run.run_id))
        record_events(self._database, connection, events)
        carry_pledges(
            self._database,
            connection,
            [(call, replaced[call["call_id"]]) for call in superseded],
            {one.call["call_id"]: one.call for one in wanted},
        )
        self._database.audit.append_within(
            connection,
            "calls issued",
            run.run_id,
            {
                "n_calls": len(wanted),
                "n_superseded": len(replaced),
                "state": "withdrawn" if is_past else "issued",
            },
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
            events.append(CallEvent(call["call_id"], call["n_events"] + 1, state, why, run_id))
        record_events(self._database, connection, events)
        set_state(connection, calls, state)


def _of_same_owner(connection: Connection, transfers: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that a fact is of a netting set that a transfer was pledged for."""
    keys = [f"pledge:{key}" for key in sorted(transfers)]
    first = select(CallFactRow.netting_set_id).where(among(connection, CallFactRow.fact_key, keys))
    return CallFactRow.netting_set_id.in_(first)


def _first_state(one: WantedCall, older: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    """Return whether a call goes out now; a return may have to wait, uncalled for or unsafe."""
    call = one.call
    if call["direction"] == "call":
        return "issued"
    others = [
        before
        for (owner, margin_type), before in older.items()
        if owner == call["netting_set_id"]
        and margin_type != call["margin_type"]
        and before["direction"] == "call"
    ]
    return "computed" if one.is_on_request or others else "issued"


def _require_same(
    run_id: str, found: Sequence[dict[str, Any]], wanted: Sequence[dict[str, Any]]
) -> None:
    names = ("call_id", "direction", "amount", "currency", "due_at")
    before = {tuple(call[name] for name in names) for call in found}
    if before != {tuple(call[name] for name in names) for call in wanted}:
        raise InvariantBroken(f"{run_id} gave other calls than it has issued")


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
