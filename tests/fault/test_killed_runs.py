"""A close that is killed, raced or starved at any step: the rerun gives the same bytes, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tasks.prefect_server import ServerOptions, start_server
from tasks.steps import AGENDA
from tests.fault.runs import Record, record_of
from tests.integration.flows.conftest import FIRST_DATE, CommandLine

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1800)]

STEP_POINTS = tuple(
    f"{name}:{place}" for name in AGENDA for place in ("start", "before-record", "after-record")
)
POINTS = (
    "begin:start",
    "begin:after-record",
    *STEP_POINTS,
    "revalue:start",
    "finish:start",
    "finish:after-record",
)


def command(world: Path) -> tuple[str, ...]:
    return ("eod", "--date", str(FIRST_DATE), "--market", str(world))


def start(home: Path, world: Path, variables: dict[str, str]) -> subprocess.Popen[str]:
    """Start a close and return at once."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PLIMSOLL_", "PREFECT_"))}
    return subprocess.Popen(
        [sys.executable, "-c", "from flows.cli import main; main()", *command(world)],
        env=kept | {"PLIMSOLL_HOME": str(home)} | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_killed_at_every_step_one_after_the_other(
    world: Path, server: dict[str, str], undisturbed: Record, tmp_path: Path
) -> None:
    """Each restart gets as far as the next point and dies there; the last one finishes."""
    plimsoll = CommandLine(tmp_path / "home", server)
    order = [
        "begin:start", "begin:after-record",
        *STEP_POINTS[:9], "revalue:start", *STEP_POINTS[9:],
        "finish:start", "finish:after-record",
    ]  # fmt: skip
    assert sorted(order) == sorted(POINTS)
    for point in order:
        ended = plimsoll(*command(world), PLIMSOLL_CRASHPOINT=point)
        assert ended.code == -signal.SIGKILL, f"{point}: {ended.code} {ended.err}"
    assert plimsoll(*command(world)).code == 0
    assert record_of(plimsoll.home, FIRST_DATE) == undisturbed


@pytest.mark.parametrize("point", ["call:before-record", "post:before-record", "finish:start"])
def test_killed_once_where_money_is_recorded(
    world: Path, server: dict[str, str], undisturbed: Record, tmp_path: Path, point: str
) -> None:
    plimsoll = CommandLine(tmp_path / "home", server)
    assert plimsoll(*command(world), PLIMSOLL_CRASHPOINT=point).code == -signal.SIGKILL
    assert plimsoll(*command(world)).code == 0
    assert record_of(plimsoll.home, FIRST_DATE) == undisturbed


@pytest.mark.parametrize(("workers", "hash_seed"), [("1", "0"), ("2", "1"), ("4", "12345")])
def test_workers_and_hash_seeds_change_no_byte(
    world: Path,
    server: dict[str, str],
    undisturbed: Record,
    tmp_path: Path,
    workers: str,
    hash_seed: str,
) -> None:
    plimsoll = CommandLine(tmp_path / "home", server)
    ended = plimsoll(*command(world), PLIMSOLL_N_WORKERS=workers, PYTHONHASHSEED=hash_seed)
    assert ended.code == 0, ended.err
    assert record_of(plimsoll.home, FIRST_DATE) == undisturbed


def test_two_starts_at_once_give_one_run_and_one_set_of_calls(
    world: Path, server: dict[str, str], undisturbed: Record, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    racers = [start(home, world, server) for _ in range(2)]
    codes = sorted(racer.wait(timeout=600) for racer in racers)
    # The loser is refused while the winner works, or finds its result if it comes late.
    assert codes in ([0, 5], [0, 0]), [racer.stderr.read() for racer in racers if racer.stderr]
    assert record_of(home, FIRST_DATE) == undisturbed


def test_a_killed_dask_worker_changes_no_byte(
    world: Path, server: dict[str, str], undisturbed: Record, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    running = start(home, world, {**server, "PLIMSOLL_N_WORKERS": "2"})
    victim = first_worker(running.pid)
    victim.kill()
    assert running.wait(timeout=600) == 0, running.stderr.read() if running.stderr else ""
    assert record_of(home, FIRST_DATE) == undisturbed


def first_worker(pid: int) -> psutil.Process:
    """Return a Dask worker of the command once there is one."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for child in psutil.Process(pid).children(recursive=True):
            line = " ".join(child.cmdline())
            if "spawn_main" in line and "resource_tracker" not in line:
                return child
        time.sleep(0.05)
    raise AssertionError("no Dask worker was started in five minutes")


def test_prefect_gone_in_the_middle_leaves_a_run_that_the_next_start_finishes(
    world: Path, server: dict[str, str], undisturbed: Record, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with start_server(ServerOptions(home=tmp_path / "prefect")) as mortal:
        mortal.wait_until_healthy()
        running = start(home, world, {"PLIMSOLL_PREFECT_API_URL": mortal.api_url})
        wait_for_step(home, "freeze", running)
    code = running.wait(timeout=900)
    assert code in (0, 7), running.stderr.read() if running.stderr else ""
    assert CommandLine(home, server)(*command(world)).code == 0
    assert record_of(home, FIRST_DATE) == undisturbed


def wait_for_step(home: Path, step: str, running: subprocess.Popen[str]) -> None:
    """Return once the run has written what ``step`` leaves behind."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and running.poll() is None:
        if any(home.glob(f"runs/*/{'last_fresh.parquet' if step == 'freeze' else step}")):
            return
        time.sleep(0.05)
    raise AssertionError(f"the run never came to {step}")
