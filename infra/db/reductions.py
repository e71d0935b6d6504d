"""Reductions on record: plans, their orders, approvals, and every step with who took it and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, insert, select, update

from engine.errors import StateError
from engine.reduction.intent import Leg, order_key
from engine.reduction.states import require_order_edge
from infra.db.desk_records import DeskRecords, Step, moved, moved_on, require_looks
from infra.db.reduction_records import (
    REDUCTIONS,
    NewOrder,
    NewReduction,
    OrderRecord,
    ReductionRecord,
    orders_within,
    require_order,
)
from infra.db.reduction_tables import PLAN_OPEN, ReductionLegRow, ReductionOrderRow, ReductionRow

if TYPE_CHECKING:
    from infra.db.database import Database

_PLAN_LOOKS: Final = frozenset({"not_before", "note"})
_ORDER_LOOKS: Final = frozenset({"look_at", "n_looks", "note"})


class Reductions(DeskRecords[ReductionRecord]):
    """Plans of reduction, their orders and events."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, REDUCTIONS, _PLAN_LOOKS)

    def orders(self, plan_id: str) -> list[OrderRecord]:
        """Return the orders of a plan by leg and slice."""
        with self._database.reading() as connection:
            return orders_within(connection, plan_id)

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
        advice = "a plan made anew takes the next attempt"
        found = self._known_with(connection, intent.plan_id, intent.payload_hash, advice)
        if found is not None:
            return found, False
        state = "shadow" if new.mode == "shadow" else "proposed"
        if state == "proposed":
            self._require_alone(connection, intent.netting_set_id)
        own = ("netting_set_id", "cause", "attempt", "kind", "plan_id", "payload_hash", "notional")
        told = ("mode", "status", "cost", "proposer", "reason", "valid_until")
        row = {
            **{name: getattr(intent, name) for name in own},
            **{name: getattr(new, name) for name in told},
            "payload": intent.canonical,
            "figures": dict(new.figures),
            "not_before": None,
        }
        first = Step(
            state=state, actor=new.proposer, reason=new.reason,
            details={"payload_hash": intent.payload_hash, "mode": new.mode},
        )  # fmt: skip
        record = self._begin(connection, row, first)
        connection.execute(
            insert(ReductionLegRow), [_leg_row(intent.plan_id, leg) for leg in intent.legs]
        )
        return record, True

    def send_within(
        self, connection: Connection, record: ReductionRecord, new: NewOrder, step: Step
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
        self._append(connection, record.plan_id, "", record.n_events + 1, step, order_key=key)
        return require_order(connection, key)

    def move_order_within(
        self, connection: Connection, order: OrderRecord, step: Step
    ) -> OrderRecord:
        """Record a step of an order and return the order after it; raises as ``move_within``."""
        key = order.order_key
        if step.state != order.state:
            require_order_edge(key, order.state, step.state)
        record = REDUCTIONS.require(connection, order.plan_id)
        values = {**step.changes, "state": step.state}
        if not moved(connection, ReductionOrderRow, "order_key", order, **values):
            raise moved_on("order", key, order.state, require_order(connection, key).state)
        # An event of an order counts among the plan's.
        self._advance(connection, record)
        number = record.n_events + 1
        self._append(connection, record.plan_id, order.state, number, step, order_key=key)
        return require_order(connection, key)

    def look_at_order_within(self, connection: Connection, key: str, **looks: Any) -> None:
        """Change when and why an order is looked at next; that is no event of its life."""
        require_looks(looks, _ORDER_LOOKS)
        connection.execute(
            update(ReductionOrderRow).where(ReductionOrderRow.order_key == key).values(looks)
        )

    def _append(
        self, connection: Connection, key: str, previous: str, number: int, step: Step, **names: str
    ) -> None:
        # The events of a plan and of its orders are one history: a plan's own name no order.
        names = {"order_key": "", **names}
        super()._append(connection, key, previous, number, step, **names)

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


def _leg_row(plan_id: str, leg: Leg) -> dict[str, object]:
    names = ("account_id", "instrument_id", "side", "lots")
    return {
        "plan_id": plan_id, "leg": leg.number, "is_reduce_only": int(leg.is_reduce_only),
        **{name: getattr(leg, name) for name in names},
    }  # fmt: skip
