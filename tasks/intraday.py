"""The intraday loop, put together from settings; no orchestrator here, nor in what it imports."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from engine.errors import MissingDataError
from infra.clock import utc_now
from infra.connections import Connections, has_connections, open_connections
from infra.db.runs import FINISHED
from infra.intraday.base import Base
from infra.intraday.status import FOLDER, read_status
from infra.telemetry import code_version
from tasks.closes import load_basis
from tasks.kinds import KIND
from tasks.orphans import end_with_keeper
from tasks.principals import principal
from tasks.records import facts_of
from tasks.supervising import Child, Keeper
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from infra.db.intraday_grants import Grant
    from infra.intraday.recomputing import DecisionVerdict

_NO_CLOSE: Final = 4
"""Exit code of a command that finds no data: the loop builds upon a close, and there is none."""
_COMMAND: Final = (sys.executable, "-c", "from flows.cli import main; main()", "intraday")
Told = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class StoredBases:
    """Closes of this installation, as the loop builds upon them."""

    place: Workplace

    def latest_id(self) -> str | None:
        """Return the last finished close, or None."""
        runs = self.place.database.runs.list(limit=20, kind=KIND)
        found = [run for run in runs if run.status in FINISHED]
        if not found:
            return None
        return str(max(found, key=lambda run: (run.business_date, run.sequence)).run_id)

    def latest(self) -> Base:
        """Return the base of the last finished close.

        Raises
        ------
        MissingDataError
            If there is none.
        """
        found = self.latest_id()
        if found is None:
            raise MissingDataError(
                "the loop builds upon a close, and none has finished: run `plimsoll eod` first",
                identifier=KIND,
            )
        return self.load(found)

    def load(self, close_id: str) -> Base:
        """Return the base of a close, each part verified against its hash."""
        from engine.snapshot import LastFresh

        basis = load_basis(self.place, close_id)
        database, close = self.place.database, basis.close
        frozen = facts_of(close_id, "freeze")
        known = database.records.rule_book(frozen["rule_book_hash"])
        hashes = database.records.snapshot(frozen["snapshot_id"]).content_hashes
        base = Base(
            close_id=close_id,
            snapshot=close.snapshot,
            positions=close.positions,
            collateral=close.collateral,
            rules=close.rules,
            last_fresh=basis.last_fresh,
            content_hashes={name: str(value) for name, value in hashes.items()},
            rule_book=(known.effective_date, known.source, known.content),
        )
        fresh = LastFresh(database.requirements.last_fresh(base.business_date))
        return Base(
            **{name: getattr(base, name) for name in Base.__slots__ if name != "last_fresh"},
            last_fresh=fresh,
        )


def run_loop(relays: Sequence[str] = (), on_told: Told | None = None) -> None:
    """Run the loop until SIGINT or SIGTERM.

    Raises
    ------
    MissingDataError
        If nothing is connected, or there is no close to build upon.
    Fenced
        If another process has taken the lead.
    """
    import uvloop

    end_with_keeper()
    place = workplace()
    place.database.prepare()
    if not relays and not has_connections(place.settings):
        raise MissingDataError(
            f"nothing to follow: there is no {place.settings.connections_path}; write one "
            "(see infra/connections/README.md), or name a feed handler with --relay",
            identifier=str(place.settings.connections_path),
        )
    bases = StoredBases(place)
    if bases.latest_id() is None:
        bases.latest()
    # Before the lead is taken: who leads has no time to compile.
    warm_up()
    uvloop.run(_run(place, bases, tuple(relays), on_told))


async def _run(
    place: Workplace, bases: StoredBases, relays: tuple[str, ...], on_told: Told | None
) -> None:
    from infra.intraday.process import LoopOptions, LoopProcess

    async with AsyncExitStack() as stack:
        connections = Connections()
        if has_connections(place.settings):
            connections = await stack.enter_async_context(open_connections(place.settings))
        options = LoopOptions(
            home=place.settings.home_path,
            code_version=code_version(),
            relays=relays,
            desk=(*_COMMAND, "desk"),
        )
        process = LoopProcess(place.database, bases, connections, options, on_told=on_told)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, process.stop)
        await process.run()


@contextmanager
def loop_beside(tell: Callable[[str], None]) -> Iterator[None]:
    """Keep a loop running in a process of its own for the block; one that ends is started again.

    Without connections nothing is started. Before the first close it waits for one. What it says on
    its way out is in ``<home>/intraday/loop.log``.
    """
    place = workplace()
    if not has_connections(place.settings):
        yield
        return
    child = Child(
        name="intraday loop",
        command=_COMMAND,
        log=place.settings.home_path / FOLDER / "loop.log",
        waiting_codes=frozenset({_NO_CLOSE}),
    )
    keeper = Keeper(child, place.database, tell, f"serve {os.getpid()}")
    keeper.start()
    try:
        yield
    finally:
        keeper.stop()


def warm_up() -> float:
    """Make compiled code ready, from disk where it is kept; return the seconds that took."""
    from infra.intraday.warming import warm_up as warm

    return warm()


def loop_status() -> Mapping[str, Any]:
    """Return what the loop of this home said last, and whether it lives.

    Raises
    ------
    MissingDataError
        If no loop has ever run here.
    """
    home = workplace().settings.home_path
    found = read_status(home, utc_now())
    if found is None:
        raise MissingDataError(
            f"no loop has run in {home}: start one with `plimsoll intraday`", identifier=str(home)
        )
    return {
        **found.content,
        "age_seconds": round(found.age_seconds, 3),
        "is_alive": found.is_alive,
    }


def decide_rung(
    netting_set_id: str, rung: str, decision: Literal["granted", "refused"], reason: str
) -> Grant:
    """Record what the principal of this command says about a rung that waits for a person."""
    database = workplace().database
    database.check_schema()
    return database.intraday_grants.decide(
        netting_set_id, rung, decision, principal=principal(), reason=reason
    )


def payment_lines(told: Mapping[str, Any]) -> list[str]:
    """Return how payments stand and what waits for a person, each with what to do next."""
    lines = []
    approvals = told.get("approvals") or {}
    if approvals.get("waiting"):
        lines.append(f"{approvals['waiting']:,} rungs wait for a person:")
        lines += [
            f"  {one['rung']} of {one['netting_set_id']} at {one['utilisation']}\n"
            f"    next: {one['next_action']}"
            for one in approvals["shown"]
        ]
    found = told.get("payments")
    if not found or "transfers" not in found:
        return lines
    counts = ", ".join(f"{n:,} {name}" for name, n in found["transfers"].items() if n)
    lines.append(f"payments: {counts or 'none yet'}; {found['queued']:,} calls in hand")
    if found["trouble"]:
        lines += [f"  {found['trouble']}", f"    next: {found['next_action']}"]
    if found["transfers"].get("approval"):
        lines.append("    next: plimsoll transfers list --state proposed, then approve or reject")
    if found["transfers"].get("stuck"):
        lines.append("    next: plimsoll transfers list --state stuck, then resolve")
    for one in found["waiting"]:
        lines.append(f"  {one['call_id']} of {one['netting_set_id']}: {one['reason']}")
        lines.append(f"    next: {one['next_action']}")
    return lines


def status_line(told: Mapping[str, Any]) -> str:
    """Return what a loop says of itself in one line."""
    if told.get("role") == "standby":
        return f"standing by: {told['leader']} leads with epoch {told['epoch']}"
    levels = told["levels"]
    high = ", ".join(
        f"{levels[name]:,} {name}" for name in levels if name != "none" and levels[name]
    )
    durable = told["seconds"]["frame_to_durable"]["p99"]
    worst = [f"{row['scope']} {row['name']} {row['state']}" for row in told["health"]]
    parts = [
        f"{told['run_id']} (epoch {told['epoch']})",
        f"{told['netting_sets']:,} netting sets" + (f": {high}" if high else ""),
        f"{told['open_calls']:,} open calls",
        f"{told['changes']:,} changes",
        "p99 to durable " + ("-" if durable is None else f"{durable * 1e3:.1f} ms"),
        "; ".join(worst[:3]) + (f" and {len(worst) - 3} more" if len(worst) > 3 else "")
        if worst
        else "all live",
    ]
    if told["waiting"]:
        parts.append(f"{told['waiting']:,} decisions wait for the database")
    return " | ".join(parts)


def decisions_of(run_id: str | None) -> list[dict[str, Any]]:
    """Return the decisions of a run of the loop, the last one without a name, as JSON values."""
    database = workplace().database
    return [
        {
            "run_id": name,
            "number": one.number,
            "decided_at": one.decided_at.isoformat(),
            "epoch": one.epoch,
            "calls": one.n_calls,
            "withdrawn": one.n_withdrawn,
            "distrusted": one.facts.get("distrusted", []),
        }
        for name in [_chosen(run_id)]
        for one in database.intraday_journal.decisions(name)
    ]


def verify_decisions(run_id: str | None, number: int | None) -> list[DecisionVerdict]:
    """Return how recorded amounts compare with what their inputs give; all of a run by default."""
    from infra.intraday.recomputing import recompute

    place = workplace()
    name = _chosen(run_id)
    run = place.database.runs.get(name)
    base = StoredBases(place).load(str(run.inputs["close"]))
    journal = place.database.intraday_journal
    numbers = [number] if number is not None else [one.number for one in journal.decisions(name)]
    return [recompute(place.database, base, name, each) for each in numbers]


def _chosen(run_id: str | None) -> str:
    from infra.intraday.restarting import KIND as LOOP

    database = workplace().database
    database.check_schema()
    if run_id is not None:
        return str(database.runs.get(run_id).run_id)
    runs = database.runs.list(limit=1, kind=LOOP)
    if not runs:
        raise MissingDataError("no loop has run here: start one with `plimsoll intraday`")
    return str(runs[0].run_id)
