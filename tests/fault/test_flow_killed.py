"""The close is killed, raced and starved; what comes out in the end is the same bytes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tasks.prefect_server import PrefectServer
from tasks.steps import AGENDA
from tests.integration.flows.conftest import FIRST_DATE, LAST_DATE, CommandLine, bytes_of_run

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1500)]

RUN = f"eod-{LAST_DATE}-1"
POINTS = (
    "begin:start",
    "begin:after-record",
    *(f"{step}:{place}" for step in AGENDA for place in ("start", "before-record", "after-record")),
    "revalue:start",
    "finish:start",
    "finish:after-record",
)


def eod(world: Path) -> tuple[str, ...]:
    return ("eod", "--date", str(LAST_DATE), "--market", str(world))


def facts_of(home: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return the business facts in the database, without the instants of recording."""
    queries = {
        "runs": "SELECT run_id, status, snapshot_id, rule_book_hash FROM runs",
        "requirements": "SELECT * FROM requirements ORDER BY run_id, netting_set_id",
        "calls": "SELECT call_id, direction, amount, due_at, state, supersedes FROM calls"
        " ORDER BY call_id",
        "postings": "SELECT debit, credit, asset, amount FROM postings"
        " ORDER BY debit, credit, asset, amount",
        "breaks": "SELECT break_id, first_seen, status FROM breaks ORDER BY break_id",
    }
    with sqlite3.connect(home / "plimsoll.db") as database:
        return {name: database.execute(query).fetchall() for name, query in queries.items()}


@pytest.fixture(scope="module")
def whole(
    world: Path, prefect_server: PrefectServer, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the home of a close that nothing has disturbed."""
    home = tmp_path_factory.mktemp("whole")
    plimsoll = CommandLine(home, {"PLIMSOLL_PREFECT_API_URL": prefect_server.api_url})
    ended = plimsoll(*eod(world))
    assert ended.code == 0, ended.err
    return home


def test_killed_at_every_point_in_turn_the_run_still_ends_in_the_same_bytes(
    plimsoll: CommandLine, world: Path, whole: Path
) -> None:
    killed = []
    for point in POINTS:
        ended = plimsoll(*eod(world), PLIMSOLL_CRASHPOINT=point)
        assert ended.code in (-signal.SIGKILL, 0), f"{point}: {ended.err}"
        if ended.code == 0:
            break
        killed.append(point)
    # Points whose step was recorded before are passed over; all others have killed it once.
    expected = [point for point in POINTS if not point.startswith("revalue")]
    assert [point for point in expected if point in killed] == killed or "revalue:start" in killed
    ended = plimsoll(*eod(world))
    assert ended.code == 0, ended.err
    assert bytes_of_run(plimsoll.home, RUN) == bytes_of_run(whole, RUN)
    assert facts_of(plimsoll.home) == facts_of(whole)


def test_one_two_and_four_workers_and_any_hash_seed_give_the_same_bytes(
    plimsoll: CommandLine, world: Path, whole: Path, tmp_path: Path
) -> None:
    for workers, seed in (("2", "1"), ("4", "4242")):
        other = CommandLine(tmp_path / f"home-{workers}", plimsoll.variables)
        ended = other(*eod(world), "--workers", workers, PYTHONHASHSEED=seed)
        assert ended.code == 0, ended.err
        assert bytes_of_run(other.home, RUN) == bytes_of_run(whole, RUN)


def test_of_two_started_at_once_one_closes_and_the_other_says_so(
    plimsoll: CommandLine, world: Path, whole: Path
) -> None:
    assert plimsoll("db", "upgrade").code == 0
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PLIMSOLL_", "PREFECT_"))
    }
    environment |= {"PLIMSOLL_HOME": str(plimsoll.home), "PLIMSOLL_N_WORKERS": "1"}
    environment |= plimsoll.variables
    command = [sys.executable, "-c", "from flows.cli import main; main()", *eod(world)]
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=600)[1].decode() for process in both]
    codes = sorted(process.returncode for process in both)
    # The slower one is refused, or comes so late that it finds the finished run.
    assert codes in ([0, 5], [0, 0]), said
    assert bytes_of_run(plimsoll.home, RUN) == bytes_of_run(whole, RUN)
    assert facts_of(plimsoll.home) == facts_of(whole)


def test_a_dask_worker_killed_during_the_run_changes_nothing(
    plimsoll: CommandLine, world: Path, whole: Path
) -> None:
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PLIMSOLL_", "PREFECT_"))
    }
    environment |= {"PLIMSOLL_HOME": str(plimsoll.home), "PLIMSOLL_N_WORKERS": "2"}
    environment |= plimsoll.variables
    command = [sys.executable, "-c", "from flows.cli import main; main()", *eod(world)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    n_killed = 0
    while process.poll() is None:
        for child in _workers(process.pid):
            # A worker of each generation, until two have died.
            if n_killed < 2:
                child.kill()
                n_killed += 1
        time.sleep(2.0)
    said = process.communicate()[1].decode()
    assert process.returncode == 0, said
    assert n_killed == 2
    assert bytes_of_run(plimsoll.home, RUN) == bytes_of_run(whole, RUN)


def test_prefect_gone_in_the_middle_ends_with_seven_and_the_rerun_finds_the_same_bytes(
    plimsoll: CommandLine, world: Path, whole: Path
) -> None:
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PLIMSOLL_", "PREFECT_"))
    }
    # Without a configured server the process starts one of its own, which is then killed.
    environment |= {"PLIMSOLL_HOME": str(plimsoll.home), "PLIMSOLL_N_WORKERS": "1"}
    command = [sys.executable, "-c", "from flows.cli import main; main()", *eod(world)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    while not (plimsoll.home / f"runs/{RUN}/raw").exists():
        assert process.poll() is None
        time.sleep(0.1)
    for child in psutil.Process(process.pid).children(recursive=True):
        if "tasks.server_process" in child.cmdline():
            child.kill()
    started = time.monotonic()
    said = process.communicate(timeout=300)[1].decode()
    assert process.returncode == 7, said
    assert "Prefect API" in said
    assert "Traceback" not in said
    assert time.monotonic() - started < 240
    ended = plimsoll(*eod(world))
    assert ended.code == 0, ended.err
    assert bytes_of_run(plimsoll.home, RUN) == bytes_of_run(whole, RUN)
    assert facts_of(plimsoll.home) == facts_of(whole)


def test_a_full_disk_ends_with_five_and_leaves_nothing_half_written(
    plimsoll: CommandLine, world: Path, whole: Path
) -> None:
    # A file size limit stands in for a full disk: the write fails in the middle of a file.
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "from tasks.ingest import _ingest\n"
    )
    ended = plimsoll(*eod(world), PLIMSOLL_CRASHPOINT="ingest:start")
    assert ended.code == -signal.SIGKILL
    store = (
        "from tasks.workplace import workplace\n"
        "import pandas as pd, numpy as np\n"
        f"path = 'runs/{RUN}/raw/price_history.parquet'\n"
        "try:\n"
        "    workplace().store.write_bytes(path, b'x' * 1_000_000)\n"
        "except Exception as error:\n"
        "    from tasks.failures import describe_failure\n"
        "    failure = describe_failure(error)\n"
        "    print(failure.kind.value, failure.sentence)\n"
        "    assert not workplace().store.exists(path)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code + store],
        env={**os.environ, "PLIMSOLL_HOME": str(plimsoll.home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("state ")
    assert plimsoll(*eod(world)).code == 0
    assert bytes_of_run(plimsoll.home, RUN) == bytes_of_run(whole, RUN)


def test_the_next_date_after_a_killed_one_is_closed_by_itself(
    plimsoll: CommandLine, world: Path
) -> None:
    first = ("eod", "--date", str(FIRST_DATE), "--market", str(world))
    assert plimsoll(*first, PLIMSOLL_CRASHPOINT="require:before-record").code == -signal.SIGKILL
    assert plimsoll("deadman", "--date", str(FIRST_DATE)).code == 8
    assert plimsoll(*eod(world)).code == 0
    assert plimsoll(*first).code == 0
    assert plimsoll("deadman", "--date", str(FIRST_DATE)).code == 0


def _workers(parent: int) -> list[psutil.Process]:
    """Return the Dask worker processes below ``parent``: children of the nannies' spawner."""
    try:
        children = psutil.Process(parent).children(recursive=True)
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []
