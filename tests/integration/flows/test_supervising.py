"""Children of the service, real processes: whoever is killed is back, and it is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from infra.db import Database
from tasks import supervising
from tasks.orphans import kept_by_this_process
from tasks.supervising import Child, Keeper

PATIENCE = 30.0
SLEEPS = "import time; time.sleep(600)"
FAILS = "import sys; sys.stderr.write('plimsoll: planted\\nnext: nothing\\n'); sys.exit(5)"
WAITS = "import sys; sys.exit(4)"
SIGN = "process victim"


def until(condition: Callable[[], object], what: str) -> object:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.02)
    return found


@contextmanager
def kept(database: Database, folder: Path, code: str, said: list[str]) -> Iterator[Keeper]:
    child = Child(
        name="victim", command=(sys.executable, "-c", code), log=folder / "victim.log",
        waiting_codes=frozenset({4}),
    )  # fmt: skip
    keeper = Keeper(child, database, said.append, "serve 7")
    keeper.start()
    try:
        yield keeper
    finally:
        keeper.stop()


def test_a_child_of_a_dead_keeper_ends_at_once_and_one_of_nobody_goes_on() -> None:
    program = "from tasks.orphans import end_with_keeper; end_with_keeper(); print('goes on')"
    command = [sys.executable, "-c", program]
    alone = subprocess.run(command, capture_output=True, text=True, check=True)
    assert alone.stdout == "goes on\n"
    kept_here = subprocess.run(
        command, capture_output=True, text=True, env=kept_by_this_process(), check=True
    )
    assert kept_here.stdout == "goes on\n"
    dead = {**kept_by_this_process(), "PLIMSOLL_KEEPER_PID": "1"}
    ended = subprocess.run(command, capture_output=True, text=True, env=dead, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")


def test_a_child_ends_with_a_keeper_that_is_killed() -> None:
    child = "from tasks.orphans import end_with_keeper; end_with_keeper(); " + SLEEPS
    keeper = (
        "import subprocess, sys; from tasks.orphans import kept_by_this_process\n"
        f"one = subprocess.Popen([sys.executable, '-c', {child!r}], env=kept_by_this_process())\n"
        "print(one.pid, flush=True); one.wait()"
    )
    running = subprocess.Popen([sys.executable, "-c", keeper], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    pid = int(running.stdout.readline())
    running.kill()
    running.wait()
    running.stdout.close()
    until(lambda: is_gone(pid), "the child's end")


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def state(database: Database) -> str:
    return next((one.state for one in database.life_signs.all() if one.name == SIGN), "")


def kinds(database: Database) -> list[str]:
    return [event.name.removeprefix("plimsoll.") for event in database.intraday_events.after(0)]


def test_a_killed_child_is_back_and_told_and_none_is_left(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "SETTLED_SECONDS", 0.5)
    monkeypatch.setattr(supervising, "PAUSE_SECONDS_MIN", 0.1)
    said: list[str] = []
    with kept(sqlite_database, tmp_path, SLEEPS, said) as keeper:
        first = until(lambda: keeper.pid, "the child")
        until(lambda: state(sqlite_database) == "live", "its sign of life")
        os.kill(int(str(first)), signal.SIGKILL)
        until(lambda: keeper.pid not in (None, first), "another one")
        until(lambda: kinds(sqlite_database) == ["degraded", "restored"], "its recovery")
        assert state(sqlite_database) == "live"
        assert said[0].startswith("victim was ended by SIGKILL after ")
        assert said[0].endswith("starts again in 0.1 s")
        assert said[1:] == ["victim runs again"]
        last = keeper.pid
    assert is_gone(int(str(last)))
    assert state(sqlite_database) == ""
    (event, _) = sqlite_database.intraday_events.after(0)
    assert event.resource == "plimsoll.system.process-victim"
    assert "plimsoll serve" in event.payload["next_action"]


def test_what_crashes_again_and_again_is_left_alone_and_missed(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "PAUSE_SECONDS_MIN", 0.01)
    said: list[str] = []
    with kept(sqlite_database, tmp_path, FAILS, said):
        until(lambda: state(sqlite_database) == "down", "the end of patience")
    assert kinds(sqlite_database) == ["degraded"] * 5 + ["dead-man"]
    assert len(said) == 6
    assert said[0].startswith("victim ended with exit code 5 after 0 s: plimsoll: planted")
    pauses = [float(one.rsplit(" in ", 1)[1].removesuffix(" s")) for one in said]
    assert pauses == [0.01, 0.02, 0.04, 0.08, 0.16, supervising.REST_SECONDS]


def test_a_child_that_has_nothing_to_work_on_yet_waits_and_alarms_nobody(
    sqlite_database: Database, tmp_path: Path
) -> None:
    said: list[str] = []
    with kept(sqlite_database, tmp_path, WAITS, said):
        until(lambda: state(sqlite_database) == "degraded", "its word")
    assert kinds(sqlite_database) == []
    assert len(said) == 1 and said[0].startswith("victim waits")


def test_a_record_that_is_away_keeps_nobody_from_starting_again(
    sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "PAUSE_SECONDS_MIN", 0.05)
    monkeypatch.setattr(supervising, "_SIGN_SECONDS", 0.0)
    away = sqlite_database.file.with_suffix(".away")
    said: list[str] = []
    sqlite_database.close()
    sqlite_database.file.rename(away)
    with kept(sqlite_database, tmp_path, SLEEPS, said) as keeper:
        first = until(lambda: keeper.pid, "the child")
        os.kill(int(str(first)), signal.SIGKILL)
        until(lambda: keeper.pid not in (None, first), "another one")
        sqlite_database.close()
        sqlite_database.file.unlink(missing_ok=True)
        away.rename(sqlite_database.file)
        sqlite_database.close()
        until(lambda: kinds(sqlite_database) == ["degraded"], "the record")
