"""A round of reconciliation as a step of a flow, with its tables in the run page."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from tasks import artifacts
from tasks.orphans import end_with_service
from tasks.reconcile_now import difference_rows, place_rows, reconcile_once, sentence
from tasks.steps import RETRIES_MAX, RETRY_SECONDS, helps_to_retry


@task(
    name="compare",
    task_run_name="compare ledger and venues",
    retries=RETRIES_MAX,
    retry_delay_seconds=list(RETRY_SECONDS),
    retry_condition_fn=helps_to_retry,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def reconcile_round() -> int:
    """Return the number of open breaks after a round."""
    end_with_service()
    found = reconcile_once()
    get_run_logger().info("%s: %s", found.run_id, sentence(found))
    artifacts.show_table("places", place_rows(found), "What was read, and what it booked")
    artifacts.show_table("differences", difference_rows(found), sentence(found))
    return found.n_open
