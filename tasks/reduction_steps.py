"""Steps of the flows that propose reductions and see them through. Prefect only calls and shows."""

from __future__ import annotations

import time
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from infra.outbound import Worked
from infra.report.amounts import percent, short
from tasks import artifacts
from tasks import reduction as desk
from tasks.reduction_tables import if_nothing_is_done


@task(name="propose-reductions", cache_policy=NO_CACHE)
def propose_reductions(netting_sets: list[str] | None = None) -> int:
    """Propose a plan for each call that has come to reduction; return how many are new."""
    found = desk.propose_for_calls(netting_sets)
    rows = [
        {
            "netting set": one.netting_set_id,
            "plan": "" if one.record is None else one.record.plan_id[:12],
            "state": "none" if one.record is None else one.record.state,
            "cost USD": "" if one.record is None else short(float(one.record.cost)),
            "owed after": "" if one.found is None else percent(one.found.plan.ratio_after),
            "why": one.words,
        }
        for one in found
    ]
    artifacts.show_table(
        "reductions-proposed",
        rows[: artifacts.ROWS_MAX],
        f"{len(found):,} calls have come to reduction. Proposed plans wait for `plimsoll reduce "
        "approve`; shadow plans do nothing.",
        len(rows),
    )
    doing_nothing = [
        {"netting set": one.netting_set_id, **row}
        for one in found
        if one.record is not None
        for row in if_nothing_is_done(one.record.figures)
    ]
    artifacts.show_table(
        "if-nothing-is-done",
        doing_nothing[: artifacts.ROWS_MAX],
        "What the venues themselves would do to the accounts of these netting sets.",
        len(doing_nothing),
    )
    for one in found:
        if one.record is None:
            get_run_logger().warning("no plan for %s: %s", one.netting_set_id, one.words)
    return sum(one.is_new for one in found)


@task(name="send-orders", task_run_name="send, round {number}", cache_policy=NO_CACHE)
def send_orders(number: int) -> int:
    """Send the next slices; return how many plans and orders moved."""
    return _told("sent", desk.send_due())


@task(name="resolve-orders", task_run_name="resolve, round {number}", cache_policy=NO_CACHE)
def resolve_orders(number: int, pause_seconds: float) -> int:
    """Ask the venues about orders; return how many plans can still go on by themselves.

    While there are some, it pauses first, so that the next round finds something to do.
    """
    _told("resolved", desk.resolve_due())
    moving = len(desk.reductions(("working", "stopping")))
    if moving:
        time.sleep(pause_seconds)
    return moving


@task(name="show-reductions", cache_policy=NO_CACHE)
def show_reductions() -> dict[str, int]:
    """Show open plans on the run's page; return how many are in which state."""
    records = desk.reductions(only_open=True)
    artifacts.show_table(
        "reductions-open",
        [_row(one) for one in records[: artifacts.ROWS_MAX]],
        f"{len(records):,} plans are not at their end.",
        len(records),
    )
    states = sorted({one.state for one in records})
    return {state: sum(one.state == state for one in records) for state in states}


def _row(record: Any) -> dict[str, str]:
    return {
        "plan": record.plan_id[:12],
        "netting set": record.intent.netting_set_id,
        "state": record.state,
        "for": record.intent.cause,
        "notional USD": short(float(record.notional)),
        "cost USD": short(float(record.cost)),
        "of use until": f"{record.valid_until:%Y-%m-%d %H:%M}Z",
        "note": record.note,
    }


def _told(what: str, found: Worked) -> int:
    logger = get_run_logger()
    for key, sentence in found.moved.items():
        logger.info("%s: %s: %s", what, key[:12], sentence)
    for key, sentence in found.waiting.items():
        logger.info("waits: %s: %s", key[:12], sentence)
    return len(found.moved)
