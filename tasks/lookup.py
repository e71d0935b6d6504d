"""Find runs in the record without any orchestrator."""

from __future__ import annotations

from engine.errors import MissingDataError, RunIncomplete
from infra.db import RunHandle
from tasks.kinds import KIND
from tasks.orders import Order
from tasks.workplace import workplace

_NAMES_SHOWN = 5


def finished_run(order: Order) -> str | None:
    """Return the finished run that answers ``order``, or None if work is to be done."""
    if order.force:
        return None
    database = workplace().database
    database.prepare()
    run = database.runs.of_date(KIND, order.business_date)
    return run.run_id if run is not None and dict(run.inputs) == order.inputs else None


def chosen_run(run_id: str | None) -> RunHandle:
    """Return the named run, or the finished one of the latest date.

    Raises
    ------
    MissingDataError
        If there is no such run.
    """
    runs = workplace().database.runs
    workplace().database.check_schema()
    if run_id is not None:
        return runs.get(run_id)
    for run in runs.list(limit=1000, kind=KIND):
        if run.is_finished:
            return run
    raise MissingDataError("no finished run is recorded: start with `plimsoll demo`")


def require_complete(run_id: str) -> None:
    """Raise RunIncomplete if a netting set of the finished run failed or a credit was refused."""
    run = workplace().database.runs.get(run_id)
    if run.status == "completed":
        return
    summary = run.summary or {}
    failed = summary.get("failed")
    names = [str(name) for name in failed] if isinstance(failed, list) else []
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    parts = []
    if names:
        n_all = summary.get("netting_sets")
        shown = ", ".join(names[:_NAMES_SHOWN])
        parts.append(f"{len(names)} of {n_all} netting sets failed: {shown}{more}")
    refused = summary.get("refused_credits")
    if isinstance(refused, dict):
        parts += [f"credits in {asset} refused: {reason}" for asset, reason in refused.items()]
    raise RunIncomplete(
        f"{run_id} is {run.status}: {'; '.join(parts)}",
        identifier=run_id,
        value=len(names),
        limit="0 failed netting sets",
    )


def incomplete_run_of(error: Exception) -> str | None:
    """Return the run that ``error`` reports as incomplete, or None for any other error."""
    return error.identifier if isinstance(error, RunIncomplete) else None
