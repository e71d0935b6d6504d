"""The service as people start it: scheduled runs exist, restarts keep them, nothing is left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import psutil
import pytest

from flows.schedules import CALLS_ROUND, CUT_OFFS
from infra.clock import utc_now
from infra.db import open_database
from infra.intraday.status import read_status
from infra.settings import read_settings
from tasks.session import ServedAt, served_at
from tests.integration.connected.street import connect, street
from tests.integration.flows.conftest import LAST_DATE, CommandLine, bytes_of_run

START_SECONDS_MAX = 300
STOP_SECONDS_MAX = 120
RUN_SECONDS_MAX = 280
BUSY_SECONDS_MAX = 120
READY = b"Next runs"
# Rounds come every few minutes and go; closes stand.
CLOSES_DUE = {"state": {"type": {"any_": ["SCHEDULED"]}}, "tags": {"all_": ["close"]}}


@dataclass(slots=True)
class Service:
    """A running `plimsoll serve`."""

    process: subprocess.Popen[bytes]
    place: ServedAt

    def ask(self, path: str, body: dict[str, Any]) -> Any:
        """Return the API's answer."""
        deadline = time.monotonic() + BUSY_SECONDS_MAX
        while True:
            found = httpx.post(f"{self.place.api_url}/{path}", json=body, timeout=30)
            if found.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            # The server says so while its database is locked; its own clients ask again too.
            assert time.monotonic() < deadline, found.text
            time.sleep(float(found.headers.get("Retry-After", "1")))
        found.raise_for_status()
        return found.json()

    def count(self, state: str) -> int:
        """Return the number of flow runs in a state."""
        return int(
            self.ask("flow_runs/count", {"flow_runs": {"state": {"type": {"any_": [state]}}}})
        )

    def start_run(self, deployment: str, parameters: dict[str, Any]) -> str:
        """Start a run of a deployment as the pages do; return its id."""
        (found,) = self.ask("deployments/filter", {"deployments": {"name": {"any_": [deployment]}}})
        path = f"deployments/{found['id']}/create_flow_run"
        return str(self.ask(path, {"parameters": parameters})["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a flow run."""
        found = httpx.get(f"{self.place.api_url}/flow_runs/{run_id}", timeout=30).json()
        assert isinstance(found, dict)
        return found

    def wait_for(self, run_id: str, *states: str) -> dict[str, Any]:
        """Return the flow run once it is in one of the states."""
        deadline = time.monotonic() + RUN_SECONDS_MAX
        while time.monotonic() < deadline:
            found = self.run(run_id)
            if found["state_type"] in states:
                return found
            time.sleep(0.5)
        raise AssertionError(f"run is {self.run(run_id)['state_type']}, not {states}")


@contextmanager
def serving(home: Path, **variables: str) -> Iterator[Service]:
    """Start the service in ``home`` and stop it as an ordinary restart does."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PLIMSOLL_", "PREFECT_"))
    }
    environment |= {"PLIMSOLL_HOME": str(home), "PLIMSOLL_N_WORKERS": "1"} | variables
    home.mkdir(parents=True, exist_ok=True)
    said = home / "said.txt"
    with said.open("wb") as out:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from flows.cli import main; main()",
                "serve",
                "--port",
                "0",
                "--web-port",
                "0",
            ],
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS_MAX
        while READY not in said.read_bytes():
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.2)
        place = served_at(read_settings({"home": home}))
        assert place is not None
        yield Service(process, place)
    finally:
        children = (
            psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        )
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=STOP_SECONDS_MAX)
        finally:
            if process.poll() is None:
                process.kill()
            _, alive = psutil.wait_procs(children, timeout=10)
            for child in alive:
                child.kill()
        assert not alive, "the service left children behind"
        assert process.returncode == 0, said.read_text()


def test_scheduled_runs_exist_and_a_restart_neither_pauses_nor_deletes_them(
    world: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with serving(home, PLIMSOLL_MARKET=str(world)) as service:
        before = service.ask(
            "flow_runs/filter",
            {"flow_runs": CLOSES_DUE, "limit": 200},
        )
        assert len(before) >= len(CUT_OFFS)
        log = (home / "prefect" / "serve.log").read_text()
        assert "ERROR" not in log
        dashboard_is_back_after_a_kill(service, home)
        second = CommandLine(home)("serve", "--port", "0")
        assert second.code == 5
        assert "is served already" in second.err
    with serving(home, PLIMSOLL_MARKET=str(world)) as service:
        after = service.ask(
            "flow_runs/filter",
            {"flow_runs": CLOSES_DUE, "limit": 200},
        )
        due = {run["expected_start_time"] for run in before}
        assert due <= {run["expected_start_time"] for run in after}
        deployments = service.ask("deployments/filter", {})
        # By hand, by events, and the round of open calls; no venue is connected here.
        assert len(deployments) == len(CUT_OFFS) + 3
        assert not any(found["paused"] for found in deployments)
        schedules = {
            found["name"]: found["schedules"] for found in deployments if found["schedules"]
        }
        assert set(schedules) == {CALLS_ROUND.name, *(cut_off.name for cut_off in CUT_OFFS)}
        assert all(schedule["active"] for found in schedules.values() for schedule in found)
        starts = [
            datetime.fromisoformat(run["expected_start_time"]).astimezone(
                ZoneInfo("America/New_York")
            )
            for run in after
            if run["name"] and run["deployment_id"] == _id_of(deployments, "new-york")
        ]
        # At the cut-off of New York's own clock, in winter as in summer.
        assert starts
        assert {(start.hour, start.minute) for start in starts} == {(17, 30)}
        doctor = CommandLine(home)("doctor")
        assert "scheduled runs exist" in " ".join(doctor.out.split())


def child_of(service: Service, word: str) -> psutil.Process | None:
    """Return the child of the service whose command says a word."""
    for found in psutil.Process(service.process.pid).children():
        try:
            if any(word in part for part in found.cmdline()):
                return found
        except psutil.Error:
            continue
    return None


def until(condition: Callable[[], object], what: str) -> object:
    deadline = time.monotonic() + BUSY_SECONDS_MAX
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.05)
    return found


def dashboard_is_back_after_a_kill(service: Service, home: Path) -> None:
    (address,) = re.findall(r"^dashboard (\S+)$", (home / "said.txt").read_text(), re.MULTILINE)
    assert httpx.get(f"{address}/healthz", timeout=30).status_code == httpx.codes.OK
    first = child_of(service, "serve_web_on")
    assert first is not None
    first.kill()
    # The socket stays open: whoever asks meanwhile waits and is not refused.
    assert httpx.get(f"{address}/healthz", timeout=BUSY_SECONDS_MAX).status_code == httpx.codes.OK
    second = child_of(service, "serve_web_on")
    assert second is not None and second.pid != first.pid
    assert "dashboard was ended by SIGKILL" in (home / "said.txt").read_text()
    database = open_database(f"sqlite:///{home / 'plimsoll.db'}")
    until(lambda: database.intraday_events.after(0), "the event")
    assert database.intraday_events.after(0)[0].resource == "plimsoll.system.process-dashboard"
    named = {sign.name for sign in database.life_signs.all()}
    assert named == {"process dashboard", "round calls", "service"}
    database.close()


@pytest.mark.fault
@pytest.mark.timeout(600)
def test_a_killed_loop_is_back_within_seconds_and_an_ended_service_leaves_none(
    closed_both: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(closed_both, home)

    def status() -> dict[str, Any]:
        found = read_status(home, utc_now())
        return dict(found.content) if found and found.is_alive else {}

    with street() as town:
        environment = connect(home, town)
        with serving(home, PLIMSOLL_WEB_PORT="0", **environment) as service:
            until(lambda: status().get("is_deciding"), "decisions")
            epoch = status()["epoch"]
            first = child_of(service, "flows.cli")
            assert first is not None
            first.kill()
            began = time.monotonic()
            until(lambda: status().get("epoch", epoch) > epoch, "the next life")
            until(lambda: status().get("is_deciding"), "decisions again")
            print(f"decides again after {time.monotonic() - began:.1f} s")
            assert "intraday loop was ended by SIGKILL" in (home / "said.txt").read_text()
    database = open_database(f"sqlite:///{home / 'plimsoll.db'}")
    told = {(event.name, event.resource) for event in database.intraday_events.after(0, 10_000)}
    assert ("plimsoll.degraded", "plimsoll.system.process-intraday-loop") in told
    # What was ended on purpose is expected no more.
    assert database.life_signs.all() == ()
    database.close()


def test_a_host_that_others_can_reach_needs_a_password(tmp_path: Path) -> None:
    ended = CommandLine(tmp_path)("serve", "--host", "0.0.0.0", "--port", "0")
    assert ended.code == 3
    assert "PLIMSOLL_PREFECT_AUTH" in ended.err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_started_from_its_deployment_completes_with_its_artifacts(
    world: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with serving(home, PLIMSOLL_MARKET=str(world)) as service:
        started = service.start_run("on-demand", {})
        ended = service.wait_for(started, "COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
        assert ended["name"] == f"end-of-day {LAST_DATE} #1"
        artifacts = service.ask(
            "artifacts/filter", {"flow_runs": {"id": {"any_": [started]}}, "limit": 200}
        )
        keys = {found["key"] for found in artifacts}
        assert {"requirements", "calls", "components", "blocks", "report", "summary"} <= keys
    runs = CommandLine(home)("runs", "--json")
    assert f"eod-{LAST_DATE}-1" in runs.out


@pytest.mark.fault
@pytest.mark.timeout(900)
def test_a_service_killed_in_the_middle_of_a_run_ends_it_and_resumes_it_to_the_same_bytes(
    world: Path, tmp_path: Path, closed_both: Path
) -> None:
    home = tmp_path / "home"
    variables = {"PLIMSOLL_MARKET": str(world)}
    with pytest.raises(AssertionError), serving(home, **variables) as service:
        started = service.start_run("on-demand", {})
        service.wait_for(started, "RUNNING")
        while not (home / f"runs/eod-{LAST_DATE}-1/raw").exists():
            time.sleep(0.1)
        service.process.kill()
        service.process.wait()
    with serving(home, **variables) as service:
        assert service.run(started)["state_type"] in ("CRASHED", "COMPLETED")
        again = service.start_run("on-demand", {})
        ended = service.wait_for(again, "COMPLETED", "FAILED", "CRASHED", "CANCELLED")
        assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    whole = tmp_path / "whole"
    assert CommandLine(whole)("eod", "--date", str(LAST_DATE), "--market", str(world)).code == 0
    run_id = f"eod-{LAST_DATE}-1"
    assert bytes_of_run(home, run_id) == bytes_of_run(whole, run_id)


def _id_of(deployments: list[dict[str, Any]], name: str) -> str:
    (found,) = [one["id"] for one in deployments if one["name"] == name]
    return str(found)
