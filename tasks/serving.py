"""Serve deployments: a Prefect server for people, a runner for schedules, one Dask cluster."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from engine.errors import StateError
from infra.settings import ENVIRONMENT_PREFIX
from tasks.cluster import close_clusters, connect
from tasks.failures import InfrastructureError
from tasks.orphans import announce_service
from tasks.prefect_environment import apply_prefect_environment
from tasks.prefect_server import (
    PrefectServer,
    ServerOptions,
    is_healthy,
    require_safe_host,
    start_server,
)
from tasks.session import ServedAt, auth_of, forget_served_at, served_at, write_served_at
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from prefect import State
    from prefect.deployments.runner import RunnerDeployment

_WATCH_SECONDS: Final = 5.0
_SCHEDULED_SECONDS_MAX: Final = 120.0
_STOP_SECONDS_MAX: Final = 20.0
_RUNS_AT_ONCE_MAX: Final = 4
_ELSEWHERE_SECONDS_MAX: Final = 120.0


@dataclass(frozen=True, slots=True)
class NextRun:
    """A run that the scheduler has created."""

    name: str
    expected_start: datetime


@contextmanager
def served(host: str, port: int | None) -> Iterator[ServedAt]:
    """Run server and Dask cluster for the duration of the block, and say where they are.

    A Prefect server or a Dask scheduler that is configured is used instead of an own one.
    Afterwards every child process has ended.

    Raises
    ------
    ParameterError
        If the host is not loopback and no authentication is configured.
    StateError
        If this home is served already.
    InfrastructureError
        If the server or the workers cannot start.
    """
    place = workplace()
    settings = place.settings
    options = ServerOptions(
        home=settings.home_path,
        host=host,
        port=settings.prefect_port if port is None else port,
        auth=auth_of(settings),
        is_for_people=True,
    )
    require_safe_host(options)
    _unwind_on_sigterm()
    place.database.prepare()
    with _sole_server(place), _server(place, options) as server:
        if options.auth:
            os.environ["PREFECT_API_AUTH_STRING"] = options.auth
        apply_prefect_environment(settings.home_path, server.api_url)
        announce_service()
        try:
            dask_address = _dask_address(place)
            server.wait_until_healthy()
            place_of_service = ServedAt(server.api_url, server.base_url, os.getpid(), dask_address)
            write_served_at(settings.home_path, place_of_service)
            yield place_of_service
        finally:
            forget_served_at(settings.home_path)
            close_clusters()


def _unwind_on_sigterm() -> None:
    """Let SIGTERM end what was started so far, until the runner has handlers of its own."""

    def unwind(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, unwind)


@dataclass(frozen=True, slots=True)
class _ServerElsewhere:
    """A Prefect server that somebody else runs, as PLIMSOLL_PREFECT_API_URL names it."""

    api_url: str
    auth: str | None = field(repr=False)

    @property
    def base_url(self) -> str:
        """Return the address of its pages."""
        return self.api_url.removesuffix("/api")

    def wait_until_healthy(self) -> None:
        """Return when it answers; raise InfrastructureError when it does not in time."""
        deadline = time.monotonic() + _ELSEWHERE_SECONDS_MAX
        while not is_healthy(self.api_url, self.auth):
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"no Prefect API answers at {self.api_url} within "
                    f"{_ELSEWHERE_SECONDS_MAX:g} s; start it, or unset PLIMSOLL_PREFECT_API_URL to "
                    "run one here",
                    identifier=self.api_url,
                )
            time.sleep(1.0)


@contextmanager
def _server(place: Workplace, options: ServerOptions) -> Iterator[PrefectServer | _ServerElsewhere]:
    """Yield the Prefect server of the service: the one that is configured, else its own."""
    configured = place.settings.prefect_api_url
    if configured:
        yield _ServerElsewhere(configured, options.auth)
        return
    with start_server(options) as server:
        yield server


@dataclass(frozen=True, slots=True)
class StartNow:
    """A run to start as soon as the service is up."""

    deployment: str
    name: str
    parameters: Mapping[str, Any]


def run_deployments(
    deployments: Sequence[RunnerDeployment],
    start_now: Sequence[StartNow],
    on_ready: Callable[[list[NextRun]], None],
    on_watch: Callable[[], None],
) -> None:
    """Run what is scheduled or asked for until SIGINT or SIGTERM.

    A restart does not pause schedules. It does make their future runs anew, and Prefect forgets
    those that were due meanwhile: the caller names them in ``start_now``.

    Parameters
    ----------
    start_now : sequence of StartNow
        Runs that do not wait for a schedule.
    on_ready : callable
        Told the next run of each deployment, once they exist.
    on_watch : callable
        Called every few seconds.

    Raises
    ------
    InfrastructureError
        If the server dies, or does not create the scheduled runs.
    """
    asyncio.run(_run(deployments, start_now, on_ready, on_watch))


async def _run(
    deployments: Sequence[RunnerDeployment],
    start_now: Sequence[StartNow],
    on_ready: Callable[[list[NextRun]], None],
    on_watch: Callable[[], None],
) -> None:
    from prefect.runner import Runner

    runner = Runner(name="plimsoll", limit=_RUNS_AT_ONCE_MAX, pause_on_shutdown=False)
    ids = [await runner.aadd_deployment(deployment) for deployment in deployments]
    names = dict(zip(ids, (deployment.name for deployment in deployments), strict=True))
    await _end_orphans(names)
    await _start(start_now, {name: key for key, name in names.items()})
    running = asyncio.create_task(runner.start())
    stop = asyncio.Event()
    while not runner.started and not running.done():
        await asyncio.sleep(0.05)
    # After the runner, which installs a handler of its own that ends the process at once.
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    try:
        n_schedules = sum(1 for deployment in deployments if deployment.schedules)
        await _announce(names, n_schedules, stop, on_ready)
        await _watch(running, stop, on_watch)
    finally:
        if not running.done():
            await runner.astop()
        await asyncio.wait([running], timeout=_STOP_SECONDS_MAX)
        running.cancel()


async def _start(runs: Sequence[StartNow], ids: Mapping[str, UUID]) -> None:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        for run in runs:
            await client.create_flow_run_from_deployment(
                ids[run.deployment], name=run.name, parameters=dict(run.parameters)
            )


async def _announce(
    names: dict[UUID, str],
    n_schedules: int,
    stop: asyncio.Event,
    on_ready: Callable[[list[NextRun]], None],
) -> None:
    """Wait until every schedule has a next run: a scheduler that fails says nothing by itself."""
    deadline = asyncio.get_running_loop().time() + _SCHEDULED_SECONDS_MAX
    while not stop.is_set():
        found = await next_runs(names)
        if len(found) >= n_schedules:
            on_ready(found)
            return
        if asyncio.get_running_loop().time() > deadline:
            raise InfrastructureError(
                f"the Prefect scheduler has made {len(found)} of {n_schedules} scheduled runs in "
                f"{_SCHEDULED_SECONDS_MAX:g} s; look into prefect/serve.log under the home",
                identifier="scheduler",
                value=len(found),
                limit=f"{n_schedules} schedules",
            )
        await asyncio.sleep(0.5)


async def next_runs(names: dict[UUID, str]) -> list[NextRun]:
    """Return the next scheduled run of each deployment among ``names``, soonest first."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.client.schemas.sorting import FlowRunSort

    scheduled = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))
    async with get_client() as client:
        runs = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=scheduled),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=200,
        )
    found: dict[UUID, NextRun] = {}
    for run in runs:
        start = run.expected_start_time
        if run.deployment_id in names and run.deployment_id not in found and start is not None:
            name = names[run.deployment_id]
            found[run.deployment_id] = NextRun(name, start.astimezone(UTC))
    return list(found.values())


async def _end_orphans(names: dict[UUID, str]) -> None:
    """Mark runs that an earlier, killed service has left RUNNING: nobody works on them."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterState,
        FlowRunFilterStateType,
    )
    from prefect.client.schemas.objects import StateType
    from prefect.states import Crashed

    alive = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
    left = FlowRunFilterState(type=FlowRunFilterStateType(any_=alive))
    message = "the service that ran this has ended; the next run of the date resumes it"
    state: State[None] = Crashed(message=message)
    async with get_client() as client:
        for run in await client.read_flow_runs(flow_run_filter=FlowRunFilter(state=left)):
            if run.deployment_id in names:
                await client.set_flow_run_state(run.id, state, force=True)


async def _watch(
    running: asyncio.Task[None], stop: asyncio.Event, on_watch: Callable[[], None]
) -> None:
    stopping = asyncio.create_task(stop.wait())
    settings = workplace().settings
    silent = 0
    while not stop.is_set() and not running.done():
        await asyncio.wait(
            [running, stopping], timeout=_WATCH_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        found = await asyncio.to_thread(served_at, settings)
        silent = 0 if found is not None else silent + 1
        if silent >= 3 and not stop.is_set():
            raise InfrastructureError(
                "the Prefect server of this service has died; start `plimsoll serve` again: "
                "schedules and finished work are kept",
                identifier="prefect server",
            )
        await asyncio.to_thread(on_watch)
    stopping.cancel()
    if running.done() and not stop.is_set():
        await running


def _dask_address(place: Workplace) -> str:
    """Return the cluster that all runs of this service use, and tell them through a variable."""
    address = place.settings.dask_address
    if address is None:
        address = str(connect(place.cluster_options).scheduler.address)
    os.environ[f"{ENVIRONMENT_PREFIX}DASK_ADDRESS"] = address
    return address


@contextmanager
def _sole_server(place: Workplace) -> Iterator[None]:
    from filelock import FileLock, Timeout

    home = place.settings.home_path
    home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(home / "serve.lock", timeout=0):
            yield
    except Timeout as error:
        found = served_at(place.settings)
        where = f" at {found.ui_url}" if found else ""
        raise StateError(
            f"{home} is served already{where}; stop that service first, or set PLIMSOLL_HOME",
            identifier=str(home),
        ) from error


__all__ = [
    "NextRun",
    "PrefectServer",
    "is_healthy",
    "next_runs",
    "run_deployments",
    "served",
]
