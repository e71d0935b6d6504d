"""A process's connection to Prefect: the configured server, the served one, or one of its own."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from infra.settings import Settings
from infra.telemetry import Step, progress
from tasks.failures import InfrastructureError
from tasks.prefect_environment import apply_prefect_environment
from tasks.prefect_server import PrefectServer, ServerOptions, is_healthy, start_server

_STATE_FILE: Final = "serve.json"
_FLUSH_SECONDS_MAX: Final = 5.0


@dataclass(frozen=True, slots=True)
class ServedAt:
    """Where `plimsoll serve` of this home can be reached."""

    api_url: str
    ui_url: str
    pid: int
    dask_address: str | None


def write_served_at(home: Path, served: ServedAt) -> None:
    """Leave word for other processes of this home."""
    temporary = home / f".{_STATE_FILE}.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(served), indent=2) + "\n", encoding="utf-8")
    temporary.replace(home / _STATE_FILE)


def forget_served_at(home: Path) -> None:
    """Take the word back."""
    (home / _STATE_FILE).unlink(missing_ok=True)


def served_at(settings: Settings) -> ServedAt | None:
    """Return where `plimsoll serve` of this home answers, or None if it does not."""
    try:
        found = json.loads((settings.home_path / _STATE_FILE).read_text(encoding="utf-8"))
        served = ServedAt(**found)
    except (OSError, ValueError, TypeError):
        return None
    return served if is_healthy(served.api_url, auth_of(settings)) else None


def auth_of(settings: Settings) -> str | None:
    """Return ``user:password`` of the Prefect server, if there is one."""
    return settings.prefect_auth.get_secret_value() if settings.prefect_auth else None


@contextmanager
def prefect_session(
    settings: Settings, meanwhile: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Give this process a Prefect API, for the duration of the block.

    Prefect is imported here, after its environment is made, because it reads that only once. An
    own server is started first and waited for last: ``meanwhile`` and the imports take place
    while it starts.

    Raises
    ------
    InfrastructureError
        If the configured server does not answer, or an own one does not start.
    """
    auth = auth_of(settings)
    if auth:
        os.environ["PREFECT_API_AUTH_STRING"] = auth
    configured = settings.prefect_api_url or os.environ.get("PREFECT_API_URL")
    if configured:
        _require_healthy(configured, auth)
        meanwhile()
        with _quiet_session(settings, configured):
            yield
        return
    served = served_at(settings)
    if served is not None:
        meanwhile()
        with _quiet_session(settings, served.api_url):
            yield
        return
    progress().report(Step("prefect", 0, 1))
    with start_server(ServerOptions(home=settings.home_path, auth=auth)) as server:
        meanwhile()
        apply_prefect_environment(settings.home_path, server.api_url)
        import prefect  # noqa: F401 - two seconds that the server uses to start

        server.wait_until_healthy()
        progress().report(Step("prefect", 1, 1, "a server of this process, on loopback"))
        try:
            with _quiet_session(settings, server.api_url):
                yield
            _wait_for_records(server)
        finally:
            # The server ends with the block: who comes later starts another one.
            os.environ.pop("PREFECT_API_URL", None)


@contextmanager
def _quiet_session(settings: Settings, api_url: str) -> Iterator[None]:
    before = os.environ.get("PREFECT_API_URL")
    apply_prefect_environment(settings.home_path, api_url)
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    # Without heartbeats a flow ends at once; with them it waits a second for their thread. The
    # setting cannot be switched off by a variable.
    updates = {PREFECT_API_URL: api_url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with temporary_settings(updates=updates):
        try:
            yield
        finally:
            _send_what_is_queued()
            if before is None:
                os.environ.pop("PREFECT_API_URL", None)


def _require_healthy(api_url: str, auth: str | None) -> None:
    if not is_healthy(api_url, auth):
        raise InfrastructureError(
            f"no Prefect API answers at {api_url}; start it, or unset PLIMSOLL_PREFECT_API_URL "
            "and PREFECT_API_URL to run with a server of this process",
            identifier=api_url,
        )


def _send_what_is_queued() -> None:
    """Send logs and events that wait in this process; the server would miss them otherwise."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    with suppress(Exception):
        APILogWorker.drain_all(timeout=_FLUSH_SECONDS_MAX, at_exit=False)
    with suppress(Exception):
        EventsWorker.drain_all(timeout=_FLUSH_SECONDS_MAX, at_exit=False)


def _wait_for_records(server: PrefectServer) -> None:
    """Wait until the server has recorded that all task runs ended, which it does later."""
    import httpx

    body = {"task_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}}
    auth = server.options.auth
    credentials = httpx.BasicAuth(*auth.split(":", 1)) if auth else None
    deadline = time.monotonic() + _FLUSH_SECONDS_MAX
    with suppress(httpx.HTTPError, ValueError):
        while time.monotonic() < deadline:
            answer = httpx.post(
                f"{server.api_url}/task_runs/count", json=body, auth=credentials, trust_env=False
            )
            if answer.json() == 0:
                return
            time.sleep(0.1)
