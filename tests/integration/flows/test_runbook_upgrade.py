"""The runbook on one host: all units started, stopped, and upgraded with calls open."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import httpx
import psutil
import pytest
from alembic import command

from infra.db import open_database
from infra.db.schema import _config
from tests.integration.flows.conftest import FIRST_DATE, CommandLine
from tests.integration.flows.runbook import Host, ending, lines, wait_for
from tests.integration.flows.test_dask_tls import free_port
from tests.integration.flows.test_runbook import embedded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
OLD = "0009"
"""Before order management, the loop, alerts and reductions had tables."""


def of_before(database: Path, source: Path) -> None:
    """Make a database of an earlier revision that holds what another one holds."""
    made = open_database(f"sqlite:///{database}")
    made._create_file()
    with made.writing() as connection:
        command.upgrade(_config(connection), OLD)
    made.close()
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("ATTACH ? AS source", (str(source),))
        names = "SELECT name FROM main.sqlite_master WHERE type = 'table'"
        for (table,) in connection.execute(names).fetchall():
            if table.startswith(("alembic", "sqlite")):
                continue
            there = [row[1] for row in connection.execute(f"PRAGMA source.table_info({table})")]
            own = [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]
            columns = ", ".join(name for name in own if name in there)
            connection.execute(
                f"INSERT OR REPLACE INTO main.{table} ({columns}) "
                f"SELECT {columns} FROM source.{table}"
            )
    connection.close()


def rows(url: str, table: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        found = connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()
    connection.close()
    return found


def test_an_older_database_is_upgraded_with_calls_open_and_all_parts_start_and_stop(
    closed_first: Path, world: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(closed_first, home, ignore=shutil.ignore_patterns("plimsoll.db*", "prefect"))
    of_before(home / "plimsoll.db", closed_first / "plimsoll.db")
    (tmp_path / "backup").mkdir()
    (tmp_path / "units").mkdir()
    web, prefect = free_port(), free_port()
    variables = {
        "PLIMSOLL_MARKET": str(world),
        "PLIMSOLL_WEB_PORT": str(web),
        "PLIMSOLL_PREFECT_PORT": str(prefect),
    }
    host = Host(tmp_path, CommandLine(home, variables), {"DATE": str(FIRST_DATE)})
    url = embedded(host.plimsoll)
    calls = rows(url, "calls")
    assert calls
    assert host.plimsoll("runs").code == 5, "a run on an older database is refused"

    install, reload, enable, show = lines("start", beside="systemctl enable")
    backup, stop, pip, upgrade, start, *look = lines("upgrade")
    # What installs the code is proven by building the image; this is the newer code.
    assert pip.split()[-1] == "."
    with ending(host):
        host.follow([install, backup, stop, upgrade])
        assert rows(url, "calls") == calls
        host.follow([reload, enable, show, start])
        said = tmp_path / "plimsoll-serve.service.log"
        wait_for("the schedules", lambda: "Next runs" in said.read_text("utf-8"), 240)
        address = f"http://127.0.0.1:{web}/readyz"
        wait_for("the dashboard", lambda: answers(address))
        host.follow(look)
        assert len(rows(url, "calls")) == len(calls)
        members = [
            one for unit in host.running.values()
            for one in psutil.Process(unit.pid).children(recursive=True)
        ]  # fmt: skip
        assert members
        host.follow(lines("stop")[:1])
        wait_for("all of it to be gone", lambda: not any(one.is_running() for one in members), 30)
    assert not answers(address)


def answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=5).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
