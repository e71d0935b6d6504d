"""A close that loses Prefect, its disk or its life says so, and the next start makes it whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.fault.runs import Record, record_of
from tests.integration.flows.conftest import FIRST_DATE, LAST_DATE, CommandLine

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1500)]

RUN = f"eod-{FIRST_DATE}-1"
# Three attempts with pauses of 2, 4 and 8 seconds, for the steps' artifacts and for the end.
GONE_SECONDS_MAX = 240


def eod(world: Path) -> tuple[str, ...]:
    return ("eod", "--date", str(FIRST_DATE), "--market", str(world))


def test_prefect_gone_in_the_middle_ends_with_seven_within_bounds_and_one_sentence(
    server: dict[str, str], world: Path, undisturbed: Record, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PLIMSOLL_", "PREFECT_"))}
    # Without a configured server the process starts one of its own, which is then killed.
    process = subprocess.Popen(
        [sys.executable, "-c", "from flows.cli import main; main()", *eod(world)],
        env=kept | {"PLIMSOLL_HOME": str(home), "PLIMSOLL_N_WORKERS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (home / f"runs/{RUN}/raw").exists():
        assert process.poll() is None
        time.sleep(0.1)
    for child in psutil.Process(process.pid).children(recursive=True):
        if "tasks.server_process" in child.cmdline():
            child.kill()
    started = time.monotonic()
    said = process.communicate(timeout=600)[1]
    assert process.returncode == 7, said
    assert time.monotonic() - started < GONE_SECONDS_MAX
    assert "plimsoll: the Prefect API went away" in said
    assert "Traceback" not in said
    # Our own record is whole: the run was finished in it, though Prefect could not be told.
    plimsoll = CommandLine(home, server)
    assert plimsoll("deadman", "--date", str(FIRST_DATE)).code == 0
    assert plimsoll(*eod(world)).code == 0
    assert record_of(home, FIRST_DATE) == undisturbed


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(
    server: dict[str, str], world: Path, undisturbed: Record, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    # A limit on the size of files stands in for a full disk: a write fails in the middle.
    code = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from flows.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
        "main()\n"
    )
    plimsoll = CommandLine(home, server)
    assert plimsoll("db", "upgrade").code == 0
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PLIMSOLL_", "PREFECT_"))}
    ended = subprocess.run(
        [sys.executable, "-c", code, *eod(world)],
        env=kept | {"PLIMSOLL_HOME": str(home)} | server,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 5, ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr
    files = [path for path in (home / "runs").rglob("*") if path.is_file()]
    assert all(path.stat().st_size > 0 for path in files)
    assert plimsoll(*eod(world)).code == 0
    assert record_of(home, FIRST_DATE) == undisturbed


def test_a_killed_close_is_loud_until_it_is_resumed_and_does_not_stop_the_next_date(
    server: dict[str, str], world: Path, tmp_path: Path
) -> None:
    plimsoll = CommandLine(tmp_path / "home", server)
    killed = plimsoll(*eod(world), PLIMSOLL_CRASHPOINT="require:before-record")
    assert killed.code == -signal.SIGKILL
    ended = plimsoll("deadman", "--date", str(FIRST_DATE))
    assert ended.code == 8
    assert "has not finished" in " ".join(ended.err.split())
    later = ("eod", "--date", str(LAST_DATE), "--market", str(world))
    assert plimsoll(*later).code == 0
    assert plimsoll(*eod(world)).code == 0
    assert plimsoll("deadman", "--date", str(FIRST_DATE)).code == 0
