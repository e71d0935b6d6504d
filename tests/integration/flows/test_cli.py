"""The command line in a process of its own: what it says, and what it ends with."""

from __future__ import annotations

import json
import resource
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import pytest

from engine.assessment import Assessment
from tests.integration.flows.conftest import FIRST_DATE, LAST_DATE, CommandLine

HELP_SECONDS_MAX = 0.5
RUN = f"eod-{LAST_DATE}-1"


@pytest.fixture
def closed(closed_both: Path, tmp_path: Path) -> CommandLine:
    """Return the command line in a copy of the home in which both dates are closed."""
    shutil.copytree(closed_both, tmp_path / "home")
    return CommandLine(tmp_path / "home")


def test_help_comes_within_half_a_second_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['plimsoll', '--help']\n"
        "from flows.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "heavy = {'pandas', 'numpy', 'prefect', 'distributed', 'sqlalchemy', 'matplotlib',"
        " 'great_expectations', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Time of the processor, so that other processes of the machine are not what is measured.
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    assert seconds < HELP_SECONDS_MAX


@pytest.mark.parametrize(
    "command",
    ["demo", "eod", "sample", "replay", "backtest", "compute", "whatif", "explain", "runs",
     "calls", "serve", "doctor", "deadman", "db upgrade", "drill"],
)  # fmt: skip
def test_every_command_explains_itself_with_an_example(command: str, tmp_path: Path) -> None:
    ended = CommandLine(tmp_path)(*command.split(), "--help")
    assert ended.code == 0
    assert f"plimsoll {command}" in ended.out.split("Examples:", 1)[1]


def test_runs_and_calls_are_listed_as_json(closed: CommandLine) -> None:
    # As a person's terminal starts it: an interpreter that has imported nothing.
    closed = replace(closed, is_fresh=True)
    runs = json.loads(closed("runs", "--json").out)
    assert [run["run_id"] for run in runs] == [RUN, f"eod-{FIRST_DATE}-1"]
    assert runs[0]["summary"]["netting_sets"] == 40
    calls = json.loads(closed("calls", "--json").out)
    assert calls
    assert all(call["state"] == "issued" for call in calls)
    # Exact amounts are texts: a float would lose digits.
    assert all(isinstance(call["amount"], str) for call in calls)


def test_explain_goes_down_to_scenarios_positions_and_parameters(closed: CommandLine) -> None:
    requirements = pd.read_parquet(closed.home / f"runs/{RUN}/assessment/requirements.parquet")
    owed = requirements.sort_values("requirement")["netting_set_id"].iloc[-1]
    found = json.loads(closed("explain", str(owed), "--json").out)
    assert found["run_id"] == RUN
    assert found["parts"]
    assert found["positions"]
    assert found["scenarios"]
    assert found["parameters"]
    table = closed("explain", str(owed), "--run", RUN)
    assert table.code == 0
    assert str(owed) in table.out


def test_explain_of_an_unknown_netting_set_names_the_near_ones(closed: CommandLine) -> None:
    ended = closed("explain", "nobody-1")
    assert ended.code == 4
    assert "no netting set nobody-1" in ended.err
    assert "next:" in ended.err
    assert "Traceback" not in ended.err


def test_replay_recomputes_every_frame_to_the_same_bytes(closed: CommandLine) -> None:
    ended = closed("replay", RUN, "--json")
    assert ended.code == 0
    verdict = json.loads(ended.out)
    assert verdict["is_equal"]
    assert {one["frame"] for one in verdict["frames"]} == {one.name for one in fields(Assessment)}


def test_replay_says_which_stored_frame_was_altered(closed: CommandLine) -> None:
    path = closed.home / f"runs/{RUN}/assessment/requirements.parquet"
    frame = pd.read_parquet(path)
    frame.loc[0, "requirement"] += 1.0
    frame.to_parquet(path)
    ended = closed("explain", str(frame["netting_set_id"].iloc[0]))
    assert ended.code == 5
    assert "requirements.parquet" in ended.err
    # The replay itself rests on the snapshot and finds what was recorded.
    assert closed("replay", RUN).code == 0


def test_replay_refuses_an_altered_snapshot(closed: CommandLine) -> None:
    (marks,) = [
        path
        for path in (closed.home / "snapshots").glob("*/marks.parquet")
        if f'"business_date": "{LAST_DATE}"' in path.with_name("contents.json").read_text()
    ]
    frame = pd.read_parquet(marks)
    frame.loc[0, "mark_price"] *= 1.001
    frame.to_parquet(marks)
    ended = closed("replay", RUN)
    assert ended.code == 5
    assert "marks" in ended.err


def test_a_finished_date_is_answered_from_the_record_without_prefect(
    closed: CommandLine, world: Path
) -> None:
    ended = closed(
        "eod", "--date", str(LAST_DATE), "--market", str(world), "--json",
        PLIMSOLL_PREFECT_API_URL="http://127.0.0.1:9/api",
    )  # fmt: skip
    assert ended.code == 0
    found = json.loads(ended.out)
    assert found["run_id"] == RUN
    assert found["status"] == "completed"
    assert Path(found["report"].removeprefix("file://")).is_file()


def test_other_inputs_for_a_finished_date_need_force(closed: CommandLine, world: Path) -> None:
    ended = closed(
        "eod", "--date", str(LAST_DATE), "--market", str(world), "--netting-sets", "5",
    )  # fmt: skip
    assert ended.code == 5
    assert "--force" in ended.err
    assert "generated:5" in ended.err


def test_an_unreachable_prefect_is_named_and_ends_with_seven(
    plimsoll: CommandLine, world: Path
) -> None:
    ended = plimsoll(
        "eod", "--date", str(LAST_DATE), "--market", str(world),
        PLIMSOLL_PREFECT_API_URL="http://127.0.0.1:9/api",
    )  # fmt: skip
    assert ended.code == 7
    assert "no Prefect API answers at http://127.0.0.1:9/api" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("eod", "--date", "2999-01-01", "--market", "."), 3, "has not come yet"),
        (("eod", "--date", "2026-11-20", "--market", "nowhere"), 4, "does not exist"),
        (("eod", "--date", "2026-11-20"), 4, "plimsoll sample"),
        (("eod", "--date", "yesterday"), 2, "--date"),
        (("eod", "--book", "x", "--netting-sets", "5"), 2, "not both"),
        (("eod", "--market", "postgresql://u:secret@h/db"), 3, "holds a password"),
        (("replay", "eod-2026-11-20-1"), 5, "plimsoll db upgrade"),
        (("deadman",), 5, "plimsoll db upgrade"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_what_is_wrong_gets_one_sentence_and_its_exit_code(
    plimsoll: CommandLine, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ended = plimsoll(*arguments)
    assert ended.code == code, ended.err
    assert words in " ".join(ended.err.split())
    assert "secret" not in ended.err
    assert "Traceback" not in ended.err


def test_a_setting_out_of_range_is_named(plimsoll: CommandLine) -> None:
    ended = plimsoll("runs", PLIMSOLL_N_WORKERS="0")
    assert ended.code == 3
    assert "PLIMSOLL_N_WORKERS" in ended.err


def test_a_locked_database_ends_with_five_after_a_bounded_wait(
    closed: CommandLine, world: Path
) -> None:
    holder = sqlite3.connect(closed.home / "plimsoll.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        ended = closed("db", "upgrade", PLIMSOLL_DATABASE_WAIT_SECONDS="1")
    finally:
        holder.rollback()
        holder.close()
    assert ended.code == 5
    assert "locked" in ended.err


def test_a_database_of_newer_code_is_refused(closed: CommandLine) -> None:
    with sqlite3.connect(closed.home / "plimsoll.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    ended = closed("runs")
    assert ended.code == 5
    assert "9999" in ended.err


def test_the_dead_man_is_quiet_about_a_closed_date_and_loud_about_a_missing_one(
    closed: CommandLine,
) -> None:
    assert closed("deadman", "--date", str(LAST_DATE)).code == 0
    ended = closed("deadman", "--date", "2026-11-10")
    assert ended.code == 8
    assert "2026-11-10 is overdue" in ended.err
    assert "no run of it was ever started" in ended.err


def test_doctor_finds_a_healthy_home_and_what_is_missing(closed: CommandLine) -> None:
    findings = {
        found["check"]: found["health"] for found in json.loads(closed("doctor", "--json").out)
    }
    assert findings["packages"] == "ok"
    assert findings["database"] == "ok"
    assert findings["audit chain"] == "ok"
    assert findings["prefect"] == "warn"


def test_doctor_finds_a_broken_audit_chain(closed: CommandLine) -> None:
    with sqlite3.connect(closed.home / "plimsoll.db") as database:
        for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE audit SET subject = 'altered' WHERE position = 1")
    ended = closed("doctor", "--json")
    assert ended.code == 5
    failed = [found for found in json.loads(ended.out) if found["health"] == "fail"]
    assert failed[0]["check"] == "database"
    assert "audit" in failed[0]["found"]


def test_compute_answers_line_by_line_and_goes_on_after_a_bad_line(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from flows.cli import main; main()", "compute"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("no json\n")
    process.stdin.flush()
    assert "error" in json.loads(process.stdout.readline())
    process.stdin.write('{"id": "2", "calculation": "nonsense", "inputs": {}}\n')
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["id"] == "2"
    process.stdin.close()
    assert process.wait(timeout=30) == 0
