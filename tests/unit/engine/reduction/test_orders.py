"""What an order's silence and a venue's words lead to (I-06, I-07)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from engine.errors import StateError
from engine.order_ports import OrderGuarantees, OrderReport
from engine.ports import Reading
from engine.reduction import OrderDecision, OrderEvidence, SentOrder, quiet_at, resolve_order
from engine.reduction.states import (
    ORDER_EDGES,
    ORDER_ENDS,
    ORDER_STATES,
    PLAN_EDGES,
    PLAN_ENDS,
    PLAN_STATES,
    require_order_edge,
    require_plan_edge,
)
from tests.worlds.reductions import NOW, TIMING

PROMISED = OrderGuarantees(
    is_keyed=False, request_expiry=timedelta(seconds=6), settle_window=timedelta(seconds=4)
)
SENT = SentOrder(
    sent_at=NOW, quantity=Decimal("1.6"), lot=Decimal("0.1"), sign=-1, position_before=Decimal(10)
)
QUIET = timedelta(seconds=2 + 10 + 1)


def report(status: str, filled: str = "0", **facts) -> OrderReport:
    return OrderReport(
        key="k", order_id="o-1", status=status, filled_quantity=Decimal(filled),  # type: ignore[arg-type]
        average_price=None, reading=Reading(source="sim", received_at=NOW), **facts,
    )  # fmt: skip


def judged(seconds: float, *, answered: bool = True, position: str | None = "10",
           found: OrderReport | None = None) -> OrderDecision:  # fmt: skip
    evidence = OrderEvidence(
        looked_at=NOW + timedelta(seconds=seconds), is_answered=answered, report=found,
        position=None if position is None else Decimal(position),
    )  # fmt: skip
    return resolve_order(SENT, PROMISED, evidence, TIMING)


def test_absence_proves_nothing_before_the_quiescence() -> None:
    assert quiet_at(SENT, PROMISED, TIMING) == NOW + QUIET
    found = judged(12.9)
    assert (found.verdict, found.until) == ("wait", NOW + QUIET)


def test_two_proofs_say_that_an_order_was_not_executed() -> None:
    assert judged(13).verdict == "not_executed"


@pytest.mark.parametrize("facts", [
    {"position": "8.4"}, {"position": "9"}, {"position": "11"}, {"position": None},
    {"answered": False},
])  # fmt: skip
def test_less_than_two_proofs_wait_and_then_ask(facts: dict) -> None:
    assert judged(13, **facts).verdict == "wait"
    assert judged(300, **facts).verdict == "ask"


@pytest.mark.parametrize(
    ("status", "filled", "verdict", "lots"),
    [
        ("filled", "1.6", "filled", 16),
        ("filled", "1.2", "cancelled", 12),
        ("cancelled", "0.4", "cancelled", 4),
        ("cancelled", "0", "cancelled", 0),
        ("rejected", "0", "cancelled", 0),
        ("filled", "1.7", "ask", 0),
        ("filled", "0.05", "ask", 0),
        ("filled", "-0.1", "ask", 0),
    ],
)
def test_the_venues_word_counts_where_it_can_be_true(
    status: str, filled: str, verdict: str, lots: int
) -> None:
    found = judged(1, found=report(status, filled))
    assert (found.verdict, found.lots) == (verdict, lots)


def test_an_order_that_is_open_past_its_time_is_cancelled() -> None:
    assert judged(9.9, found=report("open", "0.3")).verdict == "open"
    assert judged(10, found=report("open", "0.3")).verdict == "cancel"


def test_looks_become_rarer() -> None:
    pauses = [TIMING.pause(n).total_seconds() for n in (1, 2, 3, 9)]
    assert pauses == [2, 4, 8, 30]
    later = replace(SENT, n_looks=2)
    evidence = OrderEvidence(looked_at=NOW, is_answered=True, position=Decimal(10))
    found = resolve_order(later, PROMISED, evidence, TIMING)
    assert found.until == NOW + timedelta(seconds=4)


def test_states_move_along_their_edges_alone() -> None:
    for edges, states, ends, require in (
        (PLAN_EDGES, PLAN_STATES, PLAN_ENDS, require_plan_edge),
        (ORDER_EDGES, ORDER_STATES, ORDER_ENDS, require_order_edge),
    ):
        for state in states:
            for following in states:
                if (state, following) in edges:
                    require("x", state, following)
                    assert state not in ends
                else:
                    with pytest.raises(StateError, match="cannot become"):
                        require("x", state, following)
