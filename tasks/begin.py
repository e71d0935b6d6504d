"""Begin a run: only one process works on a date, and what is wrong beforehand is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from engine.errors import StateError
from infra.crashpoints import crashpoint
from infra.telemetry import code_version
from tasks import artifacts
from tasks.cluster import warm_up
from tasks.failures import describe_failure
from tasks.inputs import require_inputs
from tasks.kinds import KIND
from tasks.orders import Order
from tasks.orphans import end_with_service
from tasks.run_names import name_flow_run
from tasks.steps import RETRIES_MAX, RETRY_SECONDS, helps_to_retry
from tasks.workplace import workplace


@dataclass(frozen=True, slots=True)
class Begun:
    """The run to work on; ``is_finished`` when its result is already there."""

    run_id: str
    is_finished: bool


@contextmanager
def sole_run(order: Order) -> Iterator[None]:
    """Hold the lease of the business date: a second process that starts it is refused at once."""
    end_with_service()
    place = workplace()
    place.database.prepare()
    with place.database.lease(f"{KIND}:{order.business_date.isoformat()}"):
        yield


@contextmanager
def failures_recorded(run_id: str) -> Iterator[None]:
    """Record in our database that the run failed and why; the next start resumes it."""
    try:
        yield
    except Exception as error:
        runs = workplace().database.runs
        # If the database itself is what failed, the error that is on its way says so.
        with suppress(StateError):
            if not runs.get(run_id).is_finished:
                failure = describe_failure(error)
                runs.finish(
                    run_id, "failed", {"kind": failure.kind.value, "reason": failure.sentence}
                )
        raise


@task(
    name="begin",
    task_run_name="begin {order.business_date}",
    retries=RETRIES_MAX,
    retry_delay_seconds=list(RETRY_SECONDS),
    retry_condition_fn=helps_to_retry,
    cache_policy=NO_CACHE,
)
def begin_run(order: Order) -> Begun:
    """Return the run for ``order``: the finished one, the unfinished one or a new one.

    Raises
    ------
    MissingDataError
        If the market or the book has no data for the date.
    ParameterError
        If parameters or agreements are out of range.
    StateError
        If the date was run with other inputs and ``force`` is off.
    """
    place = workplace()
    finished = place.database.runs.of_date(KIND, order.business_date)
    if finished is None or order.force:
        require_inputs(order)
    crashpoint("begin:start")
    run = place.database.runs.begin(
        KIND, order.business_date, order.inputs, code_version(), force=order.force
    )
    crashpoint("begin:after-record")
    name_flow_run(f"end-of-day {order.business_date} #{run.sequence}")
    if not run.is_finished:
        # Workers start while the data is validated.
        warm_up(place.cluster_options, "tasks.margin_blocks")
    state = "finished before" if run.is_finished else "resumed" if run.is_resumed else "new"
    get_run_logger().info("%s: %s; market %s, book %s", run.run_id, state, order.market, order.book)
    artifacts.show_markdown(
        "run",
        f"# {run.run_id}\n\n| | |\n|---|---|\n| state | {state} |\n"
        f"| business date | {order.business_date} |\n| sequence | {run.sequence} |\n"
        f"| supersedes | {run.supersedes or 'nothing'} |\n| market | `{order.market}` |\n"
        f"| book | `{order.book}` |\n| code | `{code_version()}` |\n",
        "Which run this is and what it reads",
    )
    return Begun(run.run_id, run.is_finished)
