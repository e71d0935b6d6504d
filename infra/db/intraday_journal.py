"""What the loop has recorded of itself: for its next start, and for whoever recomputes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, text, update

from engine.errors import MissingDataError
from engine.money import MONEY_CONTEXT
from infra.db.call_tables import CallFactRow
from infra.db.intraday_tables import CheckpointRow, DecisionRow, InboxRow, IntradayCallRow
from infra.db.tables import OPEN_CALL, CallRow

if TYPE_CHECKING:
    from infra.db.database import Database
    from infra.db.loop_lease import Lead


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedMessage:
    """A report as it was recorded."""

    position: int
    source: str
    message_id: str
    kind: str
    body: Mapping[str, Any]
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDecision:
    """A decision as it was recorded."""

    number: int
    epoch: int
    decided_at: datetime
    inbox_position: int
    n_calls: int
    n_withdrawn: int
    marks: bytes
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a restart takes up: marks since the snapshot, levels, and the hash of the state."""

    taken_at: datetime
    number: int
    inbox_position: int
    marks: bytes
    levels: bytes
    state_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCall:
    """An open call to a client, as the loop has to know it.

    ``amount`` is what is still asked for: what has arrived counts as collateral and no more here.
    """

    call_id: str
    netting_set_id: str
    margin_type: str
    direction: str
    amount: Decimal
    currency: str
    first_due_at: datetime
    state: str
    n_events: int
    run_id: str


class IntradayJournal:
    """Reports, decisions and checkpoints of the loop's runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def messages(
        self, run_id: str, after: int = 0, until: int | None = None
    ) -> list[RecordedMessage]:
        """Return the reports of a run in order, those after ``after`` and not after ``until``."""
        query = (
            select(InboxRow.__table__)
            .where(InboxRow.run_id == run_id, InboxRow.position > after)
            .order_by(InboxRow.position)
        )
        if until is not None:
            query = query.where(InboxRow.position <= until)
        names = RecordedMessage.__slots__
        with self._database.reading() as connection:
            return [
                RecordedMessage(**{name: row[name] for name in names})
                for row in connection.execute(query).mappings()
            ]

    def message_ids(self, run_id: str, limit: int) -> list[tuple[str, str]]:
        """Return source and id of the last reports of a run, oldest first."""
        query = (
            select(InboxRow.source, InboxRow.message_id)
            .where(InboxRow.run_id == run_id)
            .order_by(InboxRow.position.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [(row.source, row.message_id) for row in reversed(rows)]

    def decisions(self, run_id: str, until: int | None = None) -> list[RecordedDecision]:
        """Return the decisions of a run in order, up to the one numbered ``until``."""
        query = (
            select(DecisionRow.__table__)
            .where(DecisionRow.run_id == run_id)
            .order_by(DecisionRow.number)
        )
        if until is not None:
            query = query.where(DecisionRow.number <= until)
        names = RecordedDecision.__slots__
        with self._database.reading() as connection:
            return [
                RecordedDecision(**{name: row[name] for name in names})
                for row in connection.execute(query).mappings()
            ]

    def last_number(self, run_id: str) -> int:
        """Return the number of the last decision of a run, 0 before the first."""
        query = select(func.max(DecisionRow.number)).where(DecisionRow.run_id == run_id)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one() or 0

    def calls(self, run_id: str, number: int) -> dict[str, Mapping[str, Any]]:
        """Return the calls of a decision by name: exact amount, currency and figures.

        Raises
        ------
        MissingDataError
            If there is no such decision.
        """
        known = select(DecisionRow.number).where(
            DecisionRow.run_id == run_id, DecisionRow.number == number
        )
        query = (
            select(
                CallRow.call_id, CallRow.netting_set_id, CallRow.amount, CallRow.currency,
                IntradayCallRow.figures,
            )
            .join(IntradayCallRow, IntradayCallRow.call_id == CallRow.call_id)
            .where(IntradayCallRow.run_id == run_id, IntradayCallRow.number == number)
            .order_by(CallRow.call_id)
        )  # fmt: skip
        with self._database.reading() as connection:
            if connection.execute(known).first() is None:
                raise MissingDataError(
                    f"{run_id} has no decision {number}; `plimsoll intraday decisions {run_id}` "
                    "lists them",
                    identifier=run_id,
                    value=number,
                )
            rows = connection.execute(query).mappings().all()
        return {row["call_id"]: {str(name): value for name, value in row.items()} for row in rows}

    def open_calls(self) -> dict[str, OpenCall]:
        """Return the open house calls by netting set."""
        is_open = (text(OPEN_CALL), CallRow.margin_type == "house")
        query = select(*(getattr(CallRow, name) for name in OpenCall.__slots__)).where(*is_open)
        arrived = (
            select(CallFactRow.call_id, CallFactRow.amount)
            .join(CallRow, CallRow.call_id == CallFactRow.call_id)
            .where(*is_open, CallFactRow.kind == "settled")
            .order_by(CallFactRow.position)
        )
        settled: dict[str, Decimal] = {}
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
            for row in connection.execute(arrived):
                settled[row.call_id] = MONEY_CONTEXT.add(
                    settled.get(row.call_id, Decimal(0)), row.amount
                )
        return {
            row["netting_set_id"]: OpenCall(**{**row, "amount": _left(row, settled)})
            for row in rows
        }

    def checkpoint(self, run_id: str) -> Checkpoint | None:
        """Return where a run was last seen; None before its first checkpoint."""
        query = select(CheckpointRow.__table__).where(CheckpointRow.run_id == run_id)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        return Checkpoint(**{name: row[name] for name in Checkpoint.__slots__})

    def keep_checkpoint(self, run_id: str, lead: Lead, checkpoint: Checkpoint) -> None:
        """Record where a run is now; raises Fenced if another process leads."""
        from infra.db.direct import Direct

        values = {name: getattr(checkpoint, name) for name in Checkpoint.__slots__}
        with self._database.writing() as connection:
            self._database.loop_leases.renew_within(Direct(connection), lead)
            own = CheckpointRow.run_id == run_id
            changed = connection.execute(update(CheckpointRow).where(own).values(**values))
            if not changed.rowcount:
                connection.execute(insert(CheckpointRow), {"run_id": run_id, **values})


def _left(row: Mapping[Any, Any], settled: Mapping[str, Decimal]) -> Decimal:
    arrived = settled.get(row["call_id"])
    return row["amount"] if arrived is None else MONEY_CONTEXT.subtract(row["amount"], arrived)
