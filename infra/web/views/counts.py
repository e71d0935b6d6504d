"""What waits for people, counted; and how far each history of the record has grown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from infra.db.alert_tables import AlertAcknowledgementRow, AlertTellingRow
from infra.db.board_tables import IntradayEventRow
from infra.db.tables import AuditRow, BreakEventRow, BreakRow, CallEventRow, CallRow
from infra.db.transfer_tables import TransferEventRow, TransferRow

if TYPE_CHECKING:
    from infra.db import Database

_ENDED = ("settled", "superseded", "withdrawn", "computed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What waits for people: by client where a client has it, for the house as a whole else."""

    calls: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By netting set: open calls to the client, and how many of them are past due."""
    n_proposed: int = 0
    n_moving: int = 0
    n_stuck: int = 0
    breaks: Mapping[str, int] = field(default_factory=dict)
    """By netting set."""
    n_calls: int = 0
    n_late: int = 0


def counts_of(database: Database) -> Counts:
    """Return what waits now."""
    now = database.clock()
    open_calls = select(CallRow.netting_set_id, CallRow.first_due_at).where(
        CallRow.direction == "call", CallRow.state.not_in(_ENDED)
    )
    states = select(TransferRow.state, func.count()).group_by(TransferRow.state)
    open_breaks = select(BreakRow.facts).where(BreakRow.status == "open")
    calls: dict[str, tuple[int, int]] = {}
    breaks: dict[str, int] = {}
    with database.reading() as connection:
        for name, due in connection.execute(open_calls):
            n_open, n_late = calls.get(name, (0, 0))
            calls[name] = (n_open + 1, n_late + (due <= now))
        transfers: dict[str, int] = dict(connection.execute(states).tuples().all())
        for facts in connection.execute(open_breaks).scalars():
            name = str(facts.get("netting_set_id") or "")
            breaks[name] = breaks.get(name, 0) + 1
    return Counts(
        calls=calls,
        n_proposed=transfers.get("proposed", 0),
        n_moving=sum(transfers.get(state, 0) for state in ("approved", "new", "unknown", "done")),
        n_stuck=transfers.get("stuck", 0),
        breaks=breaks,
        n_calls=sum(pair[0] for pair in calls.values()),
        n_late=sum(pair[1] for pair in calls.values()),
    )


def marks_of(database: Database) -> str:
    """Return how far each history has grown: nothing changes without adding to one of them."""
    columns = (
        AuditRow.position, CallEventRow.position, TransferEventRow.position,
        BreakEventRow.position, IntradayEventRow.position,
    )  # fmt: skip
    counted = (AlertTellingRow.telling_id, AlertAcknowledgementRow.alert_id)
    query = select(
        *(select(func.max(column)).scalar_subquery() for column in columns),
        *(select(func.count(column)).scalar_subquery() for column in counted),
    )
    with database.reading() as connection:
        return "-".join(str(found or 0) for found in connection.execute(query).one())
