"""Record a plan: in shadow for good, waiting for people, or at work at once where rules say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from engine.reduction.policy import ReductionPolicy
from infra.crashpoints import crashpoint
from infra.db.reduction_records import NewReduction, ReductionRecord
from infra.outbound.approving import require_reason
from infra.outbound.worked import Cause
from infra.reduction.steps import ReductionSteps

if TYPE_CHECKING:
    from infra.db import Database


def record_plan(
    database: Database,
    policy: ReductionPolicy,
    new: NewReduction,
    within: Callable[[Connection, ReductionRecord], None] | None = None,
) -> tuple[ReductionRecord, bool]:
    """Record a plan; return it and whether it is new: the same one again finds the first.

    ``within`` is called in the transaction of a new one; what it raises keeps it off the record.

    Raises
    ------
    ParameterError
        If it is recorded with another payload (I-05), or the reason is empty.
    StateError
        If another plan of the netting set is open.
    """
    require_reason(new.reason, "a proposal")
    crashpoint("reduction:propose")
    with database.writing() as connection:
        record, is_new = database.reductions.record_within(connection, new)
        if is_new and within is not None:
            within(connection, record)
        needed = policy.approvers_for(record.mode, record.notional)
        if is_new and record.state == "proposed" and needed == 0:
            most = policy.automatic_notional_max
            words = f"automatic up to {most} USD, the plan has {record.notional:.2f}"
            cause = Cause(actor="policy", reason=words)
            record = ReductionSteps(database).begin(connection, record, cause)
        if is_new:
            database.audit.append_within(
                connection, "reduction proposed", record.plan_id,
                {"state": record.state, "cause": record.intent.cause, "reason": new.reason},
                actor=new.proposer,
            )  # fmt: skip
    crashpoint("reduction:proposed")
    return record, is_new
