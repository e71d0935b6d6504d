"""Finish a run: record how it ended, anchor the audit chain, and fail if a netting set failed."""

from __future__ import annotations

from typing import Any

from prefect import get_run_logger

from infra.crashpoints import crashpoint
from tasks.assessments import read_assessment
from tasks.lookup import require_complete
from tasks.publish import outcome_status
from tasks.records import facts_of
from tasks.steps import step
from tasks.totals import totals_of
from tasks.workplace import Workplace, workplace


@step("finish")
def finish_run(run_id: str) -> None:
    """Record the end of the run.

    Raises
    ------
    RunIncomplete
        If a netting set failed, or a credit was refused: the others are done and reported, but the
        run is not complete.
    """
    place = workplace()
    run = place.database.runs.get(run_id)
    if not run.is_finished:
        status, summary = _outcome(place, run_id)
        crashpoint("finish:start")
        run = place.database.runs.finish(run_id, status, summary)
        crashpoint("finish:after-record")
    # Outside the branch: a process killed between the two leaves the anchor to its rerun.
    place.database.audit.anchor(place.store, run_id)
    get_run_logger().info("%s: %s", run_id, run.status)
    require_complete(run_id)


def _outcome(place: Workplace, run_id: str) -> tuple[str, dict[str, Any]]:
    required = facts_of(run_id, "require")
    requirements = read_assessment(place.store, run_id, required["hashes"]).requirements
    failed = requirements[requirements["status"] == "failed"]
    calls = facts_of(run_id, "call")
    refused = facts_of(run_id, "settle").get("refused_credits", {})
    summary = {
        "netting_sets": required["netting_sets"],
        "held": required["held"],
        "failed": [str(name) for name in failed["netting_set_id"]],
        "refused_credits": refused,
        "calls": calls["calls"],
        "returns": calls["returns"],
        "totals": totals_of(requirements),
    }
    return "incomplete" if refused else outcome_status(requirements), summary
