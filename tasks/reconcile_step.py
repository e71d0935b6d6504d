"""A round of reconciliation as a step of a flow, with its tables in the run page."""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from infra.reconciling import SCOPES
from tasks import artifacts
from tasks.orphans import end_with_service
from tasks.reconcile_now import (
    difference_rows,
    not_compared,
    place_rows,
    reconcile_once,
    scope_rows,
    sentence,
)
from tasks.steps import RETRIES_MAX, RETRY_SECONDS, helps_to_retry


@task(
    name="compare",
    task_run_name="compare all books",
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
    artifacts.show_table("scopes", scope_rows(found), sentence(found))
    artifacts.show_table("differences", difference_rows(found), sentence(found))
    for scope in found.look.scopes:
        if scope.rows:
            rows = [dict(row) for row in scope.rows[: artifacts.ROWS_MAX]]
            artifacts.show_table(scope.scope, rows, f"Both sides: {SCOPES[scope.scope]}")
    obstacles = not_compared(found)
    if obstacles:
        text = "\n".join(f"- {why}" for why in obstacles)
        artifacts.show_markdown("not-compared", text, "What could not be compared, and why")
    return found.n_open
