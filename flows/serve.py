"""The service: scheduled closes, the Prefect pages, and a dead-man check beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron, Schedule
from prefect.types.entrypoint import EntrypointType

from flows.end_of_day import end_of_day
from flows.margin_call import margin_call
from flows.reconcile import reconcile
from flows.reduce import reduce
from flows.schedules import CALLS_ROUND, CUT_OFFS, EVENTS, ON_DEMAND, VENUE_ROUNDS, Round
from flows.settle import settle
from tasks.alerting import AlertService
from tasks.catch_up import missed_dates
from tasks.deadman import expect, expect_no_more, overdue, say_service_alive
from tasks.emitting import TRIGGERING, Emitter, EmitterService
from tasks.orders import scheduled_inputs
from tasks.reconcile_now import is_connected
from tasks.serving import StartNow
from tasks.workplace import workplace

_ONE_AT_A_TIME = ConcurrencyLimitConfig(
    limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
)


def deployments() -> list[RunnerDeployment]:
    """Return one deployment per cut-off, and one without schedule for people to start.

    A close that is still running when the next one is due is not disturbed: the new one is
    cancelled.
    """
    scheduled = [
        _deployment(
            cut_off.name,
            schedule=Cron(cut_off.cron, timezone=cut_off.timezone, slug=cut_off.name),
            parameters=scheduled_inputs(),
            description=f"Closes the last UTC date: {cut_off.meaning} ({cut_off.timezone}).",
        )
        for cut_off in CUT_OFFS
    ]
    by_hand = _deployment(
        ON_DEMAND,
        parameters=scheduled_inputs(latest=True),
        description="Closes a date that you choose; the date offered is the last one with data.",
    )
    return [*scheduled, by_hand, *_rounds(), _on_events()]


def _on_events() -> RunnerDeployment:
    """Return the deployment that events of the loop start, bursts of them once.

    Runs are not limited in number: one that waited would be cancelled, and its events with it.
    They take their turn by a lease of their own.
    """
    from prefect.events import DeploymentEventTrigger

    trigger = DeploymentEventTrigger(
        name="within-the-day",
        expect={f"plimsoll.{kind}" for kind in TRIGGERING},
        match={"prefect.resource.id": "plimsoll.*"},
        # Read as JSON: a template alone yields a text, and the run would silently not be made.
        parameters={
            "event": {
                "__prefect_kind": "json",
                "value": {
                    "__prefect_kind": "jinja",
                    "template": "{{ event.payload.parameter }}",
                },
            }
        },
    )
    made = margin_call.to_deployment(
        EVENTS,
        triggers=[trigger],
        description="Answers breaches, recoveries, degraded states and missing signs of life.",
        entrypoint_type=EntrypointType.MODULE_PATH,
        tags=["events"],
    )
    return cast(RunnerDeployment, made)


def _rounds() -> list[RunnerDeployment]:
    """Return the rounds of the day: calls always, transfers and books where venues are there."""
    return [
        cast(
            RunnerDeployment,
            found.to_deployment(
                each.name,
                schedule=Cron(each.cron, timezone="UTC", slug=each.name),
                description=f"{each.meaning[0].upper()}{each.meaning[1:]}.",
                concurrency_limit=_ONE_AT_A_TIME,
                entrypoint_type=EntrypointType.MODULE_PATH,
                tags=["round"],
            ),
        )
        for found, each in rounds_of_the_day()
    ]


def rounds_of_the_day() -> list[tuple[Flow[..., Any], Round]]:
    """Return what comes round all day here: calls always, the others where venues are connected."""
    flows: list[tuple[Flow[..., Any], Round]] = [(margin_call, CALLS_ROUND)]
    if is_connected():
        flows += list(zip((settle, reduce, reconcile), VENUE_ROUNDS, strict=True))
    return flows


def _deployment(
    name: str, parameters: dict[str, Any], description: str, schedule: Schedule | None = None
) -> RunnerDeployment:
    made = end_of_day.to_deployment(
        name,
        schedule=schedule,
        parameters=parameters,
        description=description,
        concurrency_limit=_ONE_AT_A_TIME,
        # By module, so that the flow is found wherever the service is started.
        entrypoint_type=EntrypointType.MODULE_PATH,
        tags=["close"],
    )
    return cast(RunnerDeployment, made)


def missed(tell: Callable[[str], None]) -> list[StartNow]:
    """Return the closes that were due while no service ran; say which cannot be caught up."""
    runs = []
    for found in missed_dates():
        if found.obstacle:
            tell(f"{found.business_date} is not closed and cannot be: {found.obstacle}")
            continue
        tell(f"{found.business_date} is not closed: starting it now")
        runs.append(
            StartNow(
                ON_DEMAND,
                f"end-of-day {found.business_date} (missed)",
                {**scheduled_inputs(), "business_date": found.business_date.isoformat()},
            )
        )
    return runs


class Watch:
    """Looks beside the schedules: is the date that is due closed, who has to be told of what.

    Alerts go out by our own database alone; events are handed to Prefect for its pages and flows.
    """

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain = complain
        self._last = ""
        self._alerts = AlertService(complain)
        self._events = EmitterService(lambda: Emitter(workplace()), complain)

    @contextmanager
    def expecting(self) -> Iterator[Watch]:
        """Expect the service and its rounds for the block; afterwards nobody misses them."""
        rounds = {each.name: each.silence_seconds_max for _, each in rounds_of_the_day()}
        expect(rounds)
        say_service_alive(self._complain)
        try:
            yield self
        finally:
            expect_no_more(rounds)

    def look(self) -> None:
        """Complain if the dead-man check has something new to say; tell and emit what is new."""
        say_service_alive(self._complain)
        found = overdue()
        if found and found != self._last:
            self._complain(f"DEAD-MAN: {found}")
        self._last = found
        self._alerts.round()
        self._events.round()
