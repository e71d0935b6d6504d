"""Reductions on record: plans, their orders, approvals, and every step with who took it and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, insert, select, update

from engine.errors import ModelInputError, ParameterError, StateError
from engine.reduction.intent import Leg, order_key
from engine.reduction.states import require_order_edge, require_plan_edge
from infra.db.audit import chain_head
from infra.db.canonical import link
from infra.db.reduction_records import (
    NewOrder,
    NewReduction,
    OrderRecord,
    ReductionEvent,
    ReductionRecord,
    ReductionStep,
    find_reduction,
    known_reduction,
    orders_within,
    plan_approvals_within,
    record_of,
    require_order,
    require_reduction,
)
from infra.db.reduction_tables import (
    PLAN_OPEN,
    ReductionApprovalRow,
    ReductionEventRow,
    ReductionLegRow,
    ReductionOrderRow,
    ReductionRow,
)

if TYPE_CHECKING:
    from infra.db.database import Database

_PLAN_LOOKS: Final = frozenset({"not_before", "note"})
_ORDER_LOOKS: Final = frozenset({"look_at", "n_looks", "note"})


class Reductions:
    """Plans of reduction, their orders and events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, plan_id: str) -> ReductionRecord:
        """Return a plan by its name or the beginning of it, at least eight digits.

        Raises
        ------
        MissingDataError
            If there is none, or more than one begins so.
        """
        with self._database.reading() as connection:
            return find_reduction(connection, plan_id)

    def plans(
        self, states: Iterable[str] | None = None, netting_set_id: str | None = None
    ) -> list[ReductionRecord]:
        """Return plans, the earliest first; only those in ``states``, of one netting set."""
        query = select(ReductionRow.__table__)
        if states is not None:
            query = query.where(ReductionRow.state.in_(sorted(states)))
        if netting_set_id is not None:
            query = query.where(ReductionRow.netting_set_id == netting_set_id)
        query = query.order_by(ReductionRow.recorded_at, ReductionRow.plan_id)
        with self._database.reading() as connection:
            return [record_of(row) for row in connection.execute(query).mappings()]

    def orders(self, plan_id: str) -> list[OrderRecord]:
        """Return the orders of a plan by leg and slice."""
        with self._database.reading() as connection:
            return orders_within(connection, plan_id)

    def events(self, plan_id: str) -> list[ReductionEvent]:
        """Return the events of a plan and its orders in order."""
        names = tuple(ReductionEvent.__dataclass_fields__)
        query = (
            select(*(getattr(ReductionEventRow, name) for name in names))
            .where(ReductionEventRow.plan_id == plan_id)
            .order_by(ReductionEventRow.number)
        )
        with self._database.reading() as connection:
            return [ReductionEvent(*row) for row in connection.execute(query)]

    def approvals(self, plan_id: str) -> dict[str, tuple[str, datetime]]:
        """Return by approver the payload hash that was approved, and when."""
        with self._database.reading() as connection:
            return plan_approvals_within(connection, plan_id)

    def record_within(
        self, connection: Connection, new: NewReduction
    ) -> tuple[ReductionRecord, bool]:
        """Return the plan of an intent and whether it is new; the same one again finds the first.

        Raises
        ------
        ParameterError
            If it is recorded with another payload (I-05).
        StateError
            If another plan of the netting set is open.
        """
        intent = new.intent
        found = known_reduction(connection, intent.plan_id)
        if found is not None:
            if found.payload_hash != intent.payload_hash:
                raise ParameterError(
                    f"reduction {found.plan_id} is recorded with the payload "
                    f"{found.payload_hash[:16]}, this one is {intent.payload_hash[:16]}: a plan "
                    "made anew takes the next attempt",
                    identifier=found.plan_id,
                    value=intent.payload_hash,
                    limit=found.payload_hash,
                )
            return found, False
        state = "shadow" if new.mode == "shadow" else "proposed"
        if state == "proposed":
            self._require_alone(connection, intent.netting_set_id)
        now = self._database.clock()
        row = {
            "plan_id": intent.plan_id,
            **{name: getattr(intent, name) for name in ("netting_set_id", "cause", "attempt")},
            "kind": intent.kind,
            "payload": intent.canonical,
            "payload_hash": intent.payload_hash,
            "notional": intent.notional,
            **{name: getattr(new, name) for name in ("mode", "status", "cost", "proposer")},
            "reason": new.reason,
            "valid_until": new.valid_until,
            "figures": dict(new.figures),
            "business_date": now.date(),
            "recorded_at": now,
            "state": state,
            "n_events": 1,
            "not_before": None,
            "note": "",
        }
        connection.execute(insert(ReductionRow), row)
        connection.execute(
            insert(ReductionLegRow), [_leg_row(intent.plan_id, leg) for leg in intent.legs]
        )
        first = ReductionStep(
            state=state, actor=new.proposer, reason=new.reason,
            details={"payload_hash": intent.payload_hash, "mode": new.mode},
        )  # fmt: skip
        self._append(connection, intent.plan_id, "", "", 1, first)
        return require_reduction(connection, intent.plan_id), True

    def move_within(
        self, connection: Connection, record: ReductionRecord, step: ReductionStep
    ) -> ReductionRecord:
        """Record a step of a plan and return the plan after it.

        Raises
        ------
        StateError
            If the step is not allowed, or somebody else has moved the plan since it was read.
        """
        if step.state != record.state:
            require_plan_edge(record.plan_id, record.state, step.state)
        values = {**step.changes, "state": step.state, "n_events": record.n_events + 1}
        changed = connection.execute(
            update(ReductionRow)
            .where(ReductionRow.plan_id == record.plan_id, ReductionRow.n_events == record.n_events)
            .values(values)
        )
        if changed.rowcount != 1:
            raise _moved_on(require_reduction(connection, record.plan_id), record)
        self._append(connection, record.plan_id, "", record.state, record.n_events + 1, step)
        return require_reduction(connection, record.plan_id)

    def send_within(
        self, connection: Connection, record: ReductionRecord, new: NewOrder, step: ReductionStep
    ) -> OrderRecord:
        """Note, before its bytes leave, that an order may leave now; return it as ``unknown``.

        Raises
        ------
        StateError
            If the plan has moved since it was read.
        """
        key = order_key(record.plan_id, new.leg, new.slice)
        names = (
            "leg", "slice", "place", "lots", "limit_price", "notional", "position_before", "epoch",
            "look_at",
        )  # fmt: skip
        row = {
            "order_key": key, "plan_id": record.plan_id, "sent_at": self._database.clock(),
            **{name: getattr(new, name) for name in names},
            "state": "unknown", "n_events": 1, "filled_lots": 0, "average_price": None,
            "venue_order_id": "", "n_looks": 0, "note": "",
        }  # fmt: skip
        self._advance(connection, record)
        connection.execute(insert(ReductionOrderRow), row)
        self._append(connection, record.plan_id, key, "", record.n_events + 1, step)
        return require_order(connection, key)

    def move_order_within(
        self, connection: Connection, order: OrderRecord, step: ReductionStep
    ) -> OrderRecord:
        """Record a step of an order and return the order after it; raises as ``move_within``."""
        if step.state != order.state:
            require_order_edge(order.order_key, order.state, step.state)
        record = require_reduction(connection, order.plan_id)
        values = {**step.changes, "state": step.state, "n_events": order.n_events + 1}
        changed = connection.execute(
            update(ReductionOrderRow)
            .where(
                ReductionOrderRow.order_key == order.order_key,
                ReductionOrderRow.n_events == order.n_events,
            )
            .values(values)
        )
        if changed.rowcount != 1:
            now = require_order(connection, order.order_key)
            raise StateError(
                f"order {order.order_key} is {now.state} since, no longer {order.state}: look at "
                "it again",
                identifier=order.order_key,
                value=now.state,
                limit=order.state,
            )
        self._advance(connection, record)
        self._append(
            connection, order.plan_id, order.order_key, order.state, record.n_events + 1, step
        )
        return require_order(connection, order.order_key)

    def look_within(self, connection: Connection, plan_id: str, **looks: Any) -> None:
        """Change when and why a plan is worked on next; that is no event of its life."""
        _require_known(looks, _PLAN_LOOKS)
        connection.execute(
            update(ReductionRow).where(ReductionRow.plan_id == plan_id).values(looks)
        )

    def look_at_order_within(self, connection: Connection, key: str, **looks: Any) -> None:
        """Change when and why an order is looked at next; that is no event of its life."""
        _require_known(looks, _ORDER_LOOKS)
        connection.execute(
            update(ReductionOrderRow).where(ReductionOrderRow.order_key == key).values(looks)
        )

    def approve_within(
        self, connection: Connection, record: ReductionRecord, approver: str
    ) -> None:
        """Record an approval of the plan's payload."""
        row = {
            "plan_id": record.plan_id, "approver": approver, "proposer": record.proposer,
            "payload_hash": record.payload_hash, "recorded_at": self._database.clock(),
        }  # fmt: skip
        connection.execute(insert(ReductionApprovalRow), row)

    def _require_alone(self, connection: Connection, netting_set_id: str) -> None:
        query = select(ReductionRow.plan_id, ReductionRow.state).where(
            ReductionRow.netting_set_id == netting_set_id, ReductionRow.state.in_(PLAN_OPEN)
        )
        other = connection.execute(query).first()
        if other is not None:
            raise StateError(
                f"reduction {other.plan_id} of {netting_set_id} is {other.state}: one plan of a "
                "netting set is open at a time",
                identifier=netting_set_id,
                value=other.plan_id,
                limit="one open plan",
            )

    def _advance(self, connection: Connection, record: ReductionRecord) -> None:
        """Count an event of an order among the plan's."""
        changed = connection.execute(
            update(ReductionRow)
            .where(ReductionRow.plan_id == record.plan_id, ReductionRow.n_events == record.n_events)
            .values(n_events=record.n_events + 1)
        )
        if changed.rowcount != 1:
            raise _moved_on(require_reduction(connection, record.plan_id), record)

    def _append(
        self, connection: Connection, plan_id: str, key: str, previous: str, number: int,
        step: ReductionStep,
    ) -> None:  # fmt: skip
        head = chain_head(connection, ReductionEventRow.position, ReductionEventRow.hash)
        row = {
            "plan_id": plan_id, "number": number, "order_key": key, "previous": previous,
            "state": step.state, "fact": step.fact, "actor": step.actor, "reason": step.reason,
            "details": dict(step.details), "recorded_at": self._database.clock(),
        }  # fmt: skip
        digest = link(head.hash, row)
        connection.execute(
            insert(ReductionEventRow), {"position": head.position + 1, "hash": digest, **row}
        )


def _leg_row(plan_id: str, leg: Leg) -> dict[str, object]:
    names = ("account_id", "instrument_id", "side", "lots")
    return {
        "plan_id": plan_id, "leg": leg.number, "is_reduce_only": int(leg.is_reduce_only),
        **{name: getattr(leg, name) for name in names},
    }  # fmt: skip


def _require_known(looks: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = set(looks) - known
    if unknown:
        raise ModelInputError(f"{', '.join(sorted(unknown))} cannot change without an event")


def _moved_on(now: ReductionRecord, record: ReductionRecord) -> StateError:
    return StateError(
        f"reduction {record.plan_id} is {now.state} since, and was {record.state}: look at it "
        "again",
        identifier=record.plan_id,
        value=now.state,
        limit=record.state,
    )
