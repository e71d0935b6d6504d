"""The flow that ages calls: past due is decided once, shown in Prefect, and not repeated."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from tasks.workplace import workplace
from tests.integration.flows.conftest import LAST_DATE


@pytest.fixture
def overdue(home_after_both: Path) -> set[str]:
    """Return the calls of the home that are past due: all, because the world is in the past."""
    opened = workplace().database.calls.open_calls()
    return set(opened[opened["direction"] == "call"]["call_id"])


def test_i24_every_call_past_due_is_escalated_once_however_often_the_flow_runs(
    overdue: set[str],
) -> None:
    from flows.margin_call import margin_call

    assert overdue
    first, second = margin_call(), margin_call()
    assert first == second
    assert first["reduction"] == len(overdue)
    database = workplace().database
    for name in sorted(overdue):
        facts = database.calls.record(name).facts
        assert [fact["level"] for fact in facts] == [None, 1, 2, 3]
        assert all(fact["principal"] == "plimsoll" for fact in facts)
    database.audit.verify()


def test_calls_that_come_to_reduction_are_planned_in_shadow_with_what_the_venues_would_do(
    overdue: set[str],
) -> None:
    from flows.margin_call import margin_call
    from tasks.reduction import propose_for_calls

    margin_call()
    database = workplace().database
    plans = database.reductions.list()
    assert plans
    assert {one.state for one in plans} == {"shadow"}
    assert {one.intent.cause.removeprefix("call:") for one in plans} <= overdue
    for one in plans:
        assert one.intent.legs and one.cost >= 0
        assert one.figures["orders"]
        assert "venue_accounts" in one.figures
    # Whoever has no plan is told why; a second round plans nothing anew.
    again = {one.netting_set_id: one for one in propose_for_calls()}
    assert len(again) == len(overdue)
    assert all(one.words for one in again.values())
    assert not any(one.is_new for one in again.values())
    assert len(database.reductions.list()) == len(plans)
    database.audit.verify()


def test_a_close_asks_where_it_decided_to_ask_and_gives_back_where_it_decided_to(
    home_after_both: Path,
) -> None:
    run_id = f"eod-{LAST_DATE}-1"
    decided = pd.read_parquet(home_after_both / f"runs/{run_id}/assessment/requirements.parquet")
    actions = dict(zip(decided["netting_set_id"], decided["call_action"], strict=True))
    issued = workplace().database.calls.of_run(run_id)
    assert len(issued) == sum(action in ("call", "return") for action in actions.values())
    for row in issued.to_dict("records"):
        assert row["direction"] == actions[row["netting_set_id"]]
    assert set(issued["direction"]) == {"call", "return"}


def test_calls_of_a_close_carry_the_terms_of_their_agreement(overdue: set[str]) -> None:
    database = workplace().database
    for name in sorted(overdue):
        found = database.calls.record(name)
        assert found.terms is not None
        assert found.terms["issued_at"].date() == LAST_DATE + timedelta(days=1)
        assert found.terms["issued_at"] <= found.terms["notified_at"] < found.call["due_at"]
