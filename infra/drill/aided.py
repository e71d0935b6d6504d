"""The day with the platform at work, step by step: the loop, and everybody around it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.errors import StateError
from infra.drill.clients import DrillClient
from infra.drill.days import DrillDay
from infra.drill.opening import Opened
from infra.drill.pacing import PATIENCE, DayClock, Watcher
from infra.drill.stage import Stage
from infra.drill.story import Doubt, Sample
from infra.drill.taking import cushions, pegs_of, prices_of
from infra.drill.telling import Teller
from infra.drill.treasury import Treasury, cover_of
from infra.venues.pace import Pace, paced

if TYPE_CHECKING:
    from infra.db import Database
    from infra.intraday.base import Base
    from infra.intraday.core import Decision, LoopCore
    from infra.intraday.process import LoopProcess
    from infra.simulator.venues.core.liquidation import Liquidated

_SLOW_STEP: Final = 1.0
_PAUSE: Final = 0.05
_BEGIN_PATIENCE: Final = 300.0
"""Real seconds for the loop to begin, compiling its kernels where they are not yet."""
_STEP_PATIENCE: Final = 20.0
SEEN_SECONDS: Final = 1.1
_PACE: Final = Pace(times=1_000.0, slack=60.0)


@dataclass(slots=True)
class Noted:
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


@dataclass(slots=True)
class AidedDay:
    """The loop and everybody around it, step by step."""

    day: DrillDay
    home: Path
    step_seconds: float
    stage: Stage
    database: Database
    base: Base
    treasury: Treasury
    noted: Noted
    told: Teller
    on_progress: Callable[[float], None]

    async def play(self, lengths: Sequence[float]) -> None:
        """Begin the loop, walk the day in steps of these lengths, and stop it.

        Raises
        ------
        StateError
            If the loop ends or decides nothing any more.
        """
        from infra.connections import open_connections
        from infra.intraday.process import LoopOptions, LoopProcess
        from infra.intraday.wanting import wanted_rates
        from infra.settings import Settings

        settings = Settings(home=self.home)
        watcher = Watcher(self.stage, self.noted.hear, wanted_rates(self.base))
        with paced(_PACE):
            async with open_connections(settings, self.stage.clock) as connections:
                options = LoopOptions(
                    home=self.home, code_version="drill", grace=300.0, board=15.0,
                    checkpoint=600.0, rates=_SLOW_STEP / 2,
                )  # fmt: skip
                process = LoopProcess(
                    self.database, Opened(self.base), connections, options,
                    clock=DayClock(self.stage), on_decided=watcher.hear,
                )  # fmt: skip
                task = asyncio.create_task(process.run())
                try:
                    await self._begun(process, task, watcher)
                    await self._walked(lengths, task, watcher)
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
        # Rates are asked for as the day goes on: while it stands still, none would come.
        await self._stepped(_SLOW_STEP)
        await watcher.through(_STEP_PATIENCE)

    async def _walked(
        self, lengths: Sequence[float], task: asyncio.Task[None], watcher: Watcher
    ) -> None:
        for seconds in lengths:
            left = self._left()
            if left < _SLOW_STEP:
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
            await asyncio.sleep(SEEN_SECONDS)

    def _turn_outage(self, watcher: Watcher) -> bool:
        outage, now = self.day.outage, self.stage.clock()
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
        outage = self.day.outage
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
        outage, now = self.day.outage, self.stage.clock()
        ahead = [] if outage is None else [outage.begins_at, outage.ends_at]
        return min(((at - now).total_seconds() for at in ahead if at > now), default=1e9)

    def _left(self) -> float:
        return (self.day.ends_at - self.stage.clock()).total_seconds()

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
                pegs=pegs_of(town, self.day),
                utilisation=dict(zip(core.names, ratios.tolist(), strict=True)),
                aided=cushions(town, self.noted.clients),
                unaided={},
            )
        )
        self.noted.instants.append(town.clock.elapsed())
        self.told.tell(self.noted.samples[-1])
        self.on_progress(1.0 - self._left() / self.day.seconds)


def _ended(doubt: Doubt, at: datetime) -> Doubt:
    return Doubt(
        scope=doubt.scope, name=doubt.name, state=doubt.state, reason=doubt.reason,
        begins_at=doubt.begins_at, ends_at=at,
    )  # fmt: skip


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
