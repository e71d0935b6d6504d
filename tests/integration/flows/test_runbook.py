"""Procedures of the runbook, carried out by its own lines: restore, kill switch, upgrade."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import MetaData, select

from infra.db import open_database
from tests.integration.flows.conftest import FIRST_DATE, CommandLine
from tests.integration.flows.runbook import Host, lines

pytestmark = pytest.mark.timeout(300)
Rows = dict[str, Counter[str]]


def everything(url: str) -> Rows:
    """Return every row of every table of business facts."""
    database = open_database(url)
    try:
        with database.reading() as connection:
            there = MetaData()
            there.reflect(connection)
            return {
                name: Counter(repr(tuple(row)) for row in connection.execute(select(table)))
                for name, table in there.tables.items()
            }
    finally:
        database.close()


def require_restored(before: Rows, now: Rows) -> None:
    """Fail unless every row is as it was; the switch and who armed it have come since."""
    for name, rows in before.items():
        assert not rows - now[name], f"{name} has lost {rows - now[name]}"
        since = now[name] - rows
        assert not since or name in ("kill_switch_events", "audit"), f"{name}: {since}"


def embedded(plimsoll: CommandLine) -> str:
    """Return the address of a home's own database."""
    return f"sqlite:///{plimsoll.home / 'plimsoll.db'}"


@pytest.fixture
def host(home_after_first: Path, plimsoll: CommandLine, tmp_path: Path) -> Host:
    """Return a machine on which a date has been closed."""
    assert plimsoll.home == home_after_first
    (tmp_path / "backup").mkdir()
    return Host(tmp_path, plimsoll, {"DATE": str(FIRST_DATE), "WHY": "an exercise"})


def test_a_database_that_is_destroyed_is_restored_with_every_figure(host: Host) -> None:
    backup, _ = lines("restore", beside="plimsoll db backup")
    host.follow([backup])
    before = everything(embedded(host.plimsoll))
    assert before["calls"] and before["requirements"] and before["ledger_postings"]
    database = host.plimsoll.home / "plimsoll.db"
    database.write_bytes(b"\0" * database.stat().st_size)
    assert host.plimsoll("ledger", "verify").code != 0
    host.follow(lines("restore", beside="plimsoll kill arm"), PLIMSOLL_PRINCIPAL="erin")
    host.follow(lines("restore", beside="plimsoll transfers list"))
    require_restored(before, everything(embedded(host.plimsoll)))
    # What was there is kept as evidence, and nothing leaves until two people say so.
    assert (host.plimsoll.home / "before" / "plimsoll.db").exists()
    _, look, ask, confirm = lines("kill-switch")
    assert "armed by erin" in host.run(look).err
    assert host.run(ask, PLIMSOLL_PRINCIPAL="erin").code == 0
    assert host.run(confirm, PLIMSOLL_PRINCIPAL="erin").code == 3
    assert host.run(confirm, PLIMSOLL_PRINCIPAL="frank").code == 0
    assert "not armed" in host.run(look).err
