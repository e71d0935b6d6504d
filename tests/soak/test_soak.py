"""A soak of seconds on the real parts, by a fixed schedule: all that must hold was checked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from tests.soak.book import BookSize
from tests.soak.conductor import Conductor, SoakOptions
from tests.soak.place import prepare
from tests.soak.planted import PLANTED
from tests.soak.report import write_report
from tests.soak.schedule import BY_NAME, KINDS, Planned, schedule
from tests.soak.servers import Server, SqliteServer, running

CHECKED = (
    "batch is loop", "fills are on record once", "fills are taken once", "ledger verifies",
    "no decision is lost", "nothing acknowledged is lost", "one leader acts",
    "one open call a key", "positions are what was told", "prices that count were sent",
    "state is what its hash says", "the journal folds to the state",
    "what is owed does not fall by a fault",
)  # fmt: skip


SEEN_AT_THE_END = (
    "double-call", "double-fill", "drop-fill", "forget-fill", "wrong-figure", "wrong-fill",
    "wrong-hash",
)  # fmt: skip


def plan(*told: tuple[float, str, float, str]) -> list[Planned]:
    """Return faults: when, which, for how long, where."""
    return [
        Planned(number, at, seconds, BY_NAME[name], venue, 3.0)
        for number, (at, name, seconds, venue) in enumerate(told, start=1)
    ]


def played(
    server: Server, folder: Path, faults: Sequence[Planned], seconds: float, **changes: object
) -> Conductor:
    """Return a soak that is over."""
    told = {"is_strict": False, **changes}
    options = SoakOptions(seconds=seconds, seed=5, prices=400.0, fills=20.0, **told)  # type: ignore[arg-type]
    size = BookSize(n_sets=60, n_positions=5, near_share=0.3)
    place = prepare(folder / "home", server, size, options.seed, is_small=True)
    conductor = Conductor(options, place, folder, faults)
    asyncio.run(conductor.run())
    page = write_report(conductor, size, folder / "report.html").read_text("utf-8")
    assert "Invariants" in page
    assert "http" not in page.replace("http://127.0.0.1", "")
    return conductor


def test_a_soak_of_seconds_violates_nothing(quick_folder: Path) -> None:
    faults = plan(
        (0.2, "zero", 1.0, "okx"),
        (0.2, "nan", 2.0, "bybit"),
        (0.4, "garbage requests", 1.0, ""),
        (0.6, "crash", 8.0, ""),
        (0.8, "gap", 2.0, "okx"),
        (1.0, "vanish", 2.0, "binance"),
        (2.0, "database held", 1.0, ""),
        (3.0, "leader killed", 0.5, ""),
        (4.0, "spike", 1.5, "deribit"),
    )
    found = played(
        SqliteServer(quick_folder / "home" / "plimsoll.db"), quick_folder, faults, 7.0,
        is_brief=True,
    )  # fmt: skip
    assert not found.violations, list(found.violations.values())
    assert sum(found.faults.counts.values()) == len(faults)
    assert found.desk.n_acked == found.desk.n_sent > 0
    assert found.takeovers[0].seconds is not None
    assert found.notes["epochs"] == 2
    assert not [name for name in CHECKED if not found.checks[name]]
    assert not found.watcher.expected, "a state was never shown"


def test_each_kind_of_fault_comes_before_any_comes_twice() -> None:
    able = ("stop", "fill")
    found = schedule(3, 3_600.0, 10.0, able)
    names = [one.kind.name for one in found]
    assert set(names) == {kind.name for kind in KINDS}
    assert found == schedule(3, 3_600.0, 10.0, able)
    assert found != schedule(4, 3_600.0, 10.0, able)
    late = [one for one in found if one.at >= 3_600.0 * 0.6]
    assert late
    assert not [one for one in late if one.kind.ends_leader]
    ends = [(one.at, one.at + one.seconds) for one in found
            if one.kind.group in ("database", "process")]  # fmt: skip
    assert all(end <= begin for (_, end), (begin, _) in pairwise(ends))
    assert {one.kind.name for one in schedule(3, 600.0, 5.0, only=("gap",))} == {"gap"}
    assert "database down" not in {one.kind.name for one in schedule(3, 3_600.0, 10.0)}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_soak_of_minutes_violates_nothing(kind: str, tmp_path: Path) -> None:
    with running(kind, tmp_path / "home") as server:
        able = [word for word, can in (("stop", server.can_stop), ("fill", server.can_fill)) if can]
        faults = schedule(11, 180.0, 6.0, able)
        found = played(server, tmp_path, faults, 180.0)
    assert not found.violations, list(found.violations.values())
    assert not [name for name in CHECKED if not found.checks[name]]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", SEEN_AT_THE_END)
def test_a_planted_bug_is_caught_at_the_end(bug: str, tmp_path: Path) -> None:
    server = SqliteServer(tmp_path / "home" / "plimsoll.db")
    faults = plan((0.5, "crash", 12.0, ""))
    found = played(server, tmp_path, faults, 8.0, plant=bug, is_brief=True)
    assert PLANTED[bug] in {one.invariant for one in found.violations.values()}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("bug", sorted(set(PLANTED) - {*SEEN_AT_THE_END, "leak"}))
def test_a_planted_bug_is_caught_on_the_way(bug: str, tmp_path: Path) -> None:
    faults = plan(
        (3.0, "zero", 3.0, "okx"),
        (3.0, "gap", 2.0, "bybit"),
        (4.0, "vanish", 25.0, "binance"),
        (6.0, "crash", 44.0, ""),
        (14.0, "leader stands still", 8.0, ""),
    )
    if bug == "no-call":
        # What is short has to stay so for longer than a call may take.
        faults = plan((2.0, "crash", 110.0, ""))
    server = SqliteServer(tmp_path / "home" / "plimsoll.db")
    found = played(server, tmp_path, faults, 75.0, plant=bug, is_strict=True)
    assert PLANTED[bug] in {one.invariant for one in found.violations.values()}
