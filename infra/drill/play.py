"""A drill from the close to its end: the day with the platform at work, then without it."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.errors import StateError
from infra.clock import Clock
from infra.drill.bars import Bars, write_history
from infra.drill.clients import DrillClient, clients_of
from infra.drill.days import DrillDay, steps
from infra.drill.opening import Opened, read_close
from infra.drill.pacing import PATIENCE, DayClock, Watcher
from infra.drill.policy import write_policy
from infra.drill.stage import Stage, staged, town_of
from infra.drill.story import Cushion, Doubt, Played, Sample
from infra.drill.taking import called_in, cushions, moved_in, pegs_of, prices_of
from infra.drill.telling import Teller
from infra.drill.treasury import Treasury, cover_of
from infra.venues.pace import Pace, paced

if TYPE_CHECKING:
    from infra.db import Database
    from infra.intraday.base import Base
    from infra.intraday.core import Decision, LoopCore
    from infra.intraday.process import LoopProcess
    from infra.simulator.venues.core.liquidation import Liquidated

CLOSE_AFTER: Final = 90.0
"""Seconds after its date's end at which a close reads the venues."""
_SLOW_STEP: Final = 1.0
_PAUSE: Final = 0.05
_BEGIN_PATIENCE: Final = 300.0
"""Real seconds for the loop to begin, compiling its kernels where they are not yet."""
_STEP_PATIENCE: Final = 20.0
_SEEN_SECONDS: Final = 1.1
_PACE: Final = Pace(times=1_000.0, slack=60.0)
_AT_ONCE: Final = 600.0
"""Seconds of the day that pass in one step before the loop runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is played, and how.

    Attributes
    ----------
    home : Path
        Folder of the drill's own database, store and connections; what is there is removed.
    step_seconds : float
        Seconds of the day between two looks of everybody at everything.
    approval_minutes : float
        Minutes of the day until people have approved a transfer.
    confirmation_seconds : float
        How long the chain takes.
    """

    day: DrillDay
    bars: Bars
    home: Path
    step_seconds: float = 20.0
    approval_minutes: float = 2.0
    confirmation_seconds: float = 300.0
    seed: int = 10


Progress = Callable[[str, float], None]
"""Hears what is being done, and which part of the day has passed."""


Telling = Callable[[datetime, str, str], None]
"""Hears when something happens, who does it, and what."""


def play(
    plan: Plan,
    on_progress: Progress = lambda *_: None,
    on_told: Telling = lambda *_: None,
) -> Played:
    """Return what happens on a day with the platform and without it.

    ``on_told`` hears who does what as it happens: prices, calls, transfers.

    Raises
    ------
    StateError
        If the loop ends or decides nothing any more.
    """
    began = time.monotonic()
    clients = clients_of(list(plan.bars.prices))
    shutil.rmtree(plan.home, ignore_errors=True)
    plan.home.mkdir(parents=True)
    lengths = steps(plan.day, plan.step_seconds)
    with_it = _with_platform(plan, clients, lengths, on_progress, on_told)
    on_progress("without", 0.0)
    unaided, liquidated = _without(plan, clients, with_it.instants, on_progress)
    samples = [
        Sample(
            at=one.at, prices=one.prices, pegs=one.pegs, utilisation=one.utilisation,
            aided=one.aided, unaided=other,
        )
        for one, other in zip(with_it.samples, unaided, strict=True)
    ]  # fmt: skip
    return Played(
        day=plan.day,
        source=plan.bars.source,
        clients=clients,
        samples=samples,
        calls=with_it.calls,
        moves=with_it.moves,
        doubts=with_it.doubts,
        liquidated=with_it.liquidated,
        liquidated_unaided=liquidated,
        n_open_breaks=len(with_it.breaks),
        breaks=with_it.breaks,
        troubles=with_it.troubles,
        n_steps=len(with_it.instants),
        step_seconds=plan.step_seconds,
        approval_minutes=plan.approval_minutes,
        confirmation_seconds=plan.confirmation_seconds,
        real_seconds=time.monotonic() - began,
    )


@dataclass(slots=True)
class _WithIt:
    """What is noted while the platform is at work."""

    clients: Sequence[DrillClient]
    samples: list[Sample] = field(default_factory=list)
    instants: list[float] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    calls: Sequence[Any] = ()
    moves: Sequence[Any] = ()
    breaks: Sequence[str] = ()
    liquidated: Sequence[Liquidated] = ()
    troubles: Mapping[str, str] = field(default_factory=dict)
    _doubted: dict[tuple[str, str], Doubt] = field(default_factory=dict)

    def hear(self, core: LoopCore, decision: Decision) -> None:
        """Take note of what the loop distrusts from now on, and of what it trusts again."""
        at = decision.instant.wall
        now = {(one.scope, one.name): one for one in core.trust.current()}
        for key, known in list(self._doubted.items()):
            if key not in now or now[key].state != known.state:
                self.doubts.append(_ended(known, at))
                del self._doubted[key]
        for key, one in now.items():
            if key not in self._doubted:
                self._doubted[key] = Doubt(
                    scope=one.scope, name=one.name, state=one.state, reason=one.reason,
                    begins_at=at, ends_at=None,
                )  # fmt: skip

    def end(self) -> None:
        """Keep what is still doubted."""
        self.doubts += self._doubted.values()
        self.doubts.sort(key=lambda one: (one.begins_at, one.scope, one.name))


def _ended(doubt: Doubt, at: datetime) -> Doubt:
    return Doubt(
        scope=doubt.scope, name=doubt.name, state=doubt.state, reason=doubt.reason,
        begins_at=doubt.begins_at, ends_at=at,
    )  # fmt: skip


def _with_platform(
    plan: Plan,
    clients: Sequence[DrillClient],
    lengths: Sequence[float],
    on_progress: Progress,
    on_told: Telling,
) -> _WithIt:
    noted = _WithIt(clients)
    town = town_of(
        plan.day, plan.bars, clients, seed=plan.seed, confirmation=plan.confirmation_seconds
    )
    with staged(town) as stage, _connected(plan.home, stage, clients):
        on_progress("close", 0.0)
        stage.step(CLOSE_AFTER)
        history = plan.bars.history or str(write_history(plan.bars, plan.day, plan.home / "market"))
        write_policy(plan.home / "parameters")
        with paced(_PACE):
            base = read_close(plan.day, clients, plan.home, history, stage.clock)
        database = _database(plan.home, stage.clock)
        by_name = {one.netting_set_id: one for one in clients}
        approval = timedelta(minutes=plan.approval_minutes)
        try:
            with Treasury(database, plan.home, by_name, stage.clock, approval) as treasury:
                treasury.list_destinations(stage.told["fireblocks"]["destinations"])
                _reconciled(database, treasury, plan.day)
                for seconds in _before(plan.day):
                    stage.step(seconds)
                _reconciled(database, treasury, plan.day)
                told = Teller(database, on_told)
                run = _Run(plan, stage, database, base, treasury, noted, told, on_progress)
                asyncio.run(run.play(lengths))
                on_progress("books", 1.0)
                noted.breaks = _reconciled(database, treasury, plan.day)
                noted.troubles = dict(treasury.troubles)
            database.ledger.verify()
            noted.calls = called_in(database)
            noted.moves = moved_in(database, town)
            noted.liquidated = [
                act for one in town.venues.values() for act in one.book.liquidations
            ]
            noted.end()
        finally:
            database.close()
    return noted


@dataclass(slots=True)
class _Run:
    """The loop and everybody around it, step by step."""

    plan: Plan
    stage: Stage
    database: Database
    base: Base
    treasury: Treasury
    noted: _WithIt
    told: Teller
    on_progress: Progress

    async def play(self, lengths: Sequence[float]) -> None:
        from infra.connections import open_connections
        from infra.intraday.process import LoopOptions, LoopProcess
        from infra.intraday.wanting import wanted_rates
        from infra.settings import Settings

        settings = Settings(home=self.plan.home)
        watcher = Watcher(self.stage, self.noted.hear, wanted_rates(self.base))
        with paced(_PACE):
            async with open_connections(settings, self.stage.clock) as connections:
                options = LoopOptions(
                    home=self.plan.home, code_version="drill", grace=300.0, board=15.0,
                    checkpoint=600.0, rates=self.plan.step_seconds / 2,
                )  # fmt: skip
                process = LoopProcess(
                    self.database, Opened(self.base), connections, options,
                    clock=DayClock(self.stage), on_decided=watcher.hear,
                )  # fmt: skip
                task = asyncio.create_task(process.run())
                try:
                    await self._begun(process, task, watcher)
                    await self._days(lengths, task, watcher)
                finally:
                    process.stop()
                    await asyncio.wait({task}, timeout=PATIENCE)
                    task.cancel()
                _require_running(task, is_over=True)

    async def _begun(
        self, process: LoopProcess, task: asyncio.Task[None], watcher: Watcher
    ) -> None:
        """Let the day creep until the loop has its first snapshots."""
        deadline = time.monotonic() + _BEGIN_PATIENCE
        said: dict[str, Any] = {}
        process.on_told = said.update
        while not said.get("is_deciding"):
            _require_running(task)
            if time.monotonic() > deadline:
                raise StateError(
                    f"the loop of the drill has not begun to decide after {_BEGIN_PATIENCE:g} s: "
                    f"{said.get('health', 'it has said nothing')}",
                    identifier="loop",
                    value=_BEGIN_PATIENCE,
                )
            await self._stepped(_SLOW_STEP)
            await asyncio.sleep(_PAUSE)
        await watcher.through(PATIENCE)

    async def _days(
        self, lengths: Sequence[float], task: asyncio.Task[None], watcher: Watcher
    ) -> None:
        for seconds in lengths:
            left = self._left()
            if left <= 0.0:
                break
            _require_running(task)
            is_turned = self._turn_outage(watcher)
            await self._stepped(min(seconds, left, self._to_turn()))
            if is_turned:
                await self._turned(watcher)
            await watcher.through(_STEP_PATIENCE)
            await self._answered(watcher)
            await self._note(watcher)

    async def _stepped(self, seconds: float) -> None:
        await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(self.stage.town.step(seconds), self.stage.loop)
        )

    async def _answered(self, watcher: Watcher) -> None:
        """Let calls be paid and transfers go on; the loop hears of what was written."""
        if watcher.core is None or self.treasury.is_idle():
            return
        n_settled = await asyncio.wrap_future(self.treasury.round(cover_of(watcher.core)))
        if n_settled:
            # The writer looks at what others have written once a real second.
            await asyncio.sleep(_SEEN_SECONDS)

    def _turn_outage(self, watcher: Watcher) -> bool:
        outage, now = self.plan.day.outage, self.stage.clock()
        if outage is None:
            return False
        is_gone = outage.begins_at <= now < outage.ends_at
        if is_gone == (outage.venue in watcher.gone):
            return False
        if is_gone:
            self.stage.vanish(outage)
            watcher.gone.add(outage.venue)
        else:
            self.stage.come_back(outage)
        return True

    async def _turned(self, watcher: Watcher) -> None:
        """Let the day creep until the loop has seen a venue go, or come back."""
        outage = self.plan.day.outage
        assert outage is not None
        is_gone = outage.begins_at <= self.stage.clock() < outage.ends_at
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            core = watcher.core
            doubted = core is not None and any(
                one.scope in ("venue", "account") and outage.venue in (one.name, _venue(one.name))
                for one in core.trust.current()
            )
            if doubted == is_gone:
                break
            await self._stepped(_SLOW_STEP)
            await asyncio.sleep(_PAUSE)
        if not is_gone:
            watcher.gone.discard(outage.venue)

    def _to_turn(self) -> float:
        """Return the seconds until the outage begins or ends next; many if neither will."""
        outage, now = self.plan.day.outage, self.stage.clock()
        ahead = [] if outage is None else [outage.begins_at, outage.ends_at]
        return min(((at - now).total_seconds() for at in ahead if at > now), default=1e9)

    def _left(self) -> float:
        return (self.plan.day.ends_at - self.stage.clock()).total_seconds()

    async def _note(self, watcher: Watcher) -> None:
        town, core = self.stage.town, watcher.core
        if core is None:
            return
        figures = core.book.figures()
        ratios = core.ratios(figures.row, figures)
        self.noted.samples.append(
            Sample(
                at=self.stage.clock(),
                prices=prices_of(town),
                pegs=pegs_of(town, self.plan.day),
                utilisation=dict(zip(core.names, ratios.tolist(), strict=True)),
                aided=cushions(town, self.noted.clients),
                unaided={},
            )
        )
        self.noted.instants.append(town.clock.elapsed())
        self.told.tell(self.noted.samples[-1])
        self.on_progress("day", 1.0 - self._left() / self.plan.day.seconds)


def _without(
    plan: Plan, clients: Sequence[DrillClient], instants: Sequence[float], on_progress: Progress
) -> tuple[list[Mapping[str, Cushion]], list[Liquidated]]:
    """Return the same accounts on the same path, where nobody calls and nobody pays."""
    town = town_of(
        plan.day, plan.bars, clients, seed=plan.seed, confirmation=plan.confirmation_seconds
    )

    async def run() -> list[Mapping[str, Cushion]]:
        found = []
        await town.step(CLOSE_AFTER)
        for seconds in _before(plan.day):
            await town.step(seconds)
        for number, elapsed in enumerate(instants):
            await town.step(max(elapsed - town.clock.elapsed(), 0.0))
            found.append(cushions(town, clients))
            on_progress("without", (number + 1) / len(instants))
        return found

    found = asyncio.run(run())
    return found, [act for one in town.venues.values() for act in one.book.liquidations]


def _before(day: DrillDay) -> Iterator[float]:
    """Yield the steps from the close to the beginning of the loop."""
    left = (day.begins_at - day.opened_at).total_seconds() - CLOSE_AFTER
    while left > 0.0:
        yield min(left, _AT_ONCE)
        left -= _AT_ONCE


def _venue(account_id: str) -> str:
    return account_id.rpartition("-")[2]


def _require_running(task: asyncio.Task[None], *, is_over: bool = False) -> None:
    if not task.done():
        if is_over:
            raise StateError("the loop of the drill did not stop", identifier="loop")
        return
    task.result()
    if not is_over:
        raise StateError("the loop of the drill has ended", identifier="loop")


def _database(home: Path, clock: Clock) -> Database:
    from infra.db import open_database

    database = open_database(f"sqlite:///{home / 'plimsoll.sqlite'}", actor="drill", clock=clock)
    database.prepare()
    return database


def _reconciled(database: Database, treasury: Treasury, day: DrillDay) -> list[str]:
    """Book what the venues tell, compare, and return the breaks as sentences."""
    from infra.reconciling import look_at
    from infra.reconciling.attesting import attest_round
    from infra.transfers import policy_in_force

    policy = policy_in_force(day.business_date).policy.assets
    scales = {asset: rule.scale for asset, rule in policy.items()}
    started_at = database.clock()

    async def work(connections: Any) -> Any:
        return await look_at(database, connections, scales)

    look = treasury.do(work)
    attest_round(database, look.places, started_at, f"drill {day.name}")
    return [
        f"{one.item[0]} {one.item[1]}: {one.kind}, ours {one.ours}, theirs {one.theirs} "
        f"({one.detail})"
        for one in look.breaks
    ]


@contextmanager
def _connected(home: Path, stage: Stage, clients: Sequence[DrillClient]) -> Iterator[None]:
    """Connect a home to the venues; names of secrets leave the environment again."""
    from infra.simulator.venues.connecting import connect_home, disconnect_home

    accounts = [account for one in clients for account in one.accounts]
    environment = connect_home(home, stage.told, accounts)
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        disconnect_home(home)
