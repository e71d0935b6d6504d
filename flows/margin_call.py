"""Answer what happens within the day, and age the margin calls.

Read it as the call desk's round. With an event of the loop it first margins the netting sets that
the event concerns, issues what is missing, and plans how it is paid; then, as on its schedule, what
is past due fails, is escalated, and leads to reduction. What it decides is in the database before
it is shown, so it may be killed anywhere, started twice, or left to the next schedule.
"""

from __future__ import annotations

from typing import Any

from prefect import flow

from tasks.age_calls import age_calls, show_calls, tell_subscriber
from tasks.answer_reductions import plan_smaller_books
from tasks.answer_steps import (
    begin_answer,
    call_missing,
    finish_answer,
    recompute,
)
from tasks.answer_transfers import show_transfers
from tasks.answering import sole_answer
from tasks.begin import failures_recorded
from tasks.deadman import happened
from tasks.reduction_steps import propose_reductions


@flow(name="margin-call", flow_run_name="age margin calls", retries=0)
def margin_call(
    netting_sets: list[str] | None = None, event: dict[str, Any] | None = None
) -> dict[str, int]:
    """Answer an event, and take every step that is due on open calls. Returns calls by state.

    Args:
        netting_sets: Only calls of these are aged; empty for all open calls.
        event: Kind and positions of the events to answer, as the emitter hands them on.
    """
    if event is not None:
        netting_sets = answer(event)
    age_calls(netting_sets or None)
    propose_reductions(netting_sets or None)
    tell_subscriber()
    happened("calls")
    return show_calls()


def answer(event: dict[str, Any]) -> list[str]:
    """Do what is missing for the netting sets that an event concerns; return them."""
    with sole_answer():
        found = begin_answer(event)
        with failures_recorded(found.run_id):
            recompute(found.run_id)
            call_missing(found.run_id)
            show_transfers(found.run_id)
            plan_smaller_books(found.run_id)
            finish_answer(found.run_id)
    return list(found.netting_sets)
