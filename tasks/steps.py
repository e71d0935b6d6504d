"""What every step of a run has in common: its name in the UI, its retries, its record.

A step's achievement is committed to our database inside the task. Prefect may lose the run, or
start the task again: whoever comes next finds the record and goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

from prefect import Task, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from infra.crashpoints import crashpoint
from infra.db import StepResult
from infra.telemetry import Step, progress
from tasks.failures import is_retryable
from tasks.workplace import Workplace, workplace

P = ParamSpec("P")
R = TypeVar("R")

RETRIES_MAX: Final = 3
RETRY_SECONDS: Final = (1.0, 4.0, 15.0)

# The agenda in order, for progress displays and for the tests that kill the process at each step.
AGENDA: Final = (
    "ingest", "validate", "freeze", "require", "reconcile", "attest", "settle", "call", "post",
    "explain", "coverage", "publish",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Achievement:
    """What a step has done: facts for the next steps and for people, and the hash of its output."""

    facts: Mapping[str, Any]
    output_hash: str


def step(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Return the decorator that makes a function one step of a run, named ``name`` in the UI.

    It is tried again only when the error that ended it says that this can help.
    """
    return task(
        name=name,
        task_run_name=f"{name} {{run_id}}",
        retries=RETRIES_MAX,
        retry_delay_seconds=list(RETRY_SECONDS),
        retry_condition_fn=helps_to_retry,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


def helps_to_retry(_task: Task[..., Any], _task_run: TaskRun, state: State[Any]) -> bool:
    """Return whether the error behind ``state`` says that trying again can help."""
    error = state.data
    return isinstance(error, BaseException) and is_retryable(error)


def achieve(run_id: str, name: str, work: Callable[[Workplace], Achievement]) -> Mapping[str, Any]:
    """Return the facts of step ``name``: from the record, or by doing the work and recording it."""
    place = workplace()
    logger = get_run_logger()
    found: StepResult | None = place.database.runs.step_result(run_id, name)
    if found is not None:
        logger.info("%s: done before, found in the database: %s", name, _worded(found.result))
        progress().report(Step(name, 1, 1, "done before"))
        return found.result
    progress().report(Step(name, 0, 1))
    crashpoint(f"{name}:start")
    done = work(place)
    crashpoint(f"{name}:before-record")
    place.database.runs.record_step(run_id, name, done.facts, done.output_hash)
    crashpoint(f"{name}:after-record")
    logger.info("%s: %s", name, _worded(done.facts))
    progress().report(Step(name, 1, 1, _worded(done.facts)))
    return done.facts


def _worded(facts: Mapping[str, Any]) -> str:
    """Return the counts among ``facts`` as one line."""
    return ", ".join(
        f"{value:,} {key.replace('_', ' ')}"
        for key, value in facts.items()
        if isinstance(value, int) and not isinstance(value, bool)
    )
