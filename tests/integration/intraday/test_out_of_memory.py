"""A loop that runs out of memory in the middle of its commit: all or nothing, then it ends."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.db import Database, intraday_commits, open_database
from tests.integration.intraday.life import Life
from tests.processes import until_killed

GIGABYTE = 2**30


def starved(report: Callable[[object], None], address: str, point: str) -> None:
    """Bring a breach, and have no memory left at a point of its commit."""
    life = Life(open_database(address))

    def exhaust(name: str) -> None:
        if name == point:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            limit = used + 2**24
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            bytearray(GIGABYTE)

    intraday_commits.crashpoint = exhaust
    life.tick(58_500.0, 1)
    report("went on")


@pytest.mark.parametrize(
    ("point", "n_calls"), [("loop:commit:before-commit", 0), ("loop:commit:after-commit", 1)]
)
def test_i44_a_loop_without_memory_ends_and_leaves_all_of_its_commit_or_nothing(
    sqlite_database: Database, point: str, n_calls: int
) -> None:
    address = sqlite_database.url.render_as_string(hide_password=False)
    seen, code = until_killed(starved, address, point)
    assert code == 1
    assert len(seen) == 1 and "MemoryError" in seen[0]
    assert len(sqlite_database.calls.open_calls()) == n_calls
    assert len(sqlite_database.intraday_events.after(0)) == n_calls
    # Whoever supervises it starts the next one, which decides at once and doubles nothing.
    life = Life(sqlite_database, "next")
    life.tick(58_500.0, 2)
    assert sqlite_database.calls.open_calls()["netting_set_id"].tolist() == ["A"]
    sqlite_database.audit.verify()
