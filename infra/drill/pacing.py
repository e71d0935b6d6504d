"""Time that waits for the loop: a step of the day, and then until all of it is decided and durable.

Nothing here depends on how fast the machine is: the day goes on when prices of the last step have
become decisions, and the calls among them are in the database. Only what takes real time, such as
coming back to a venue that was gone, lets the day go on meanwhile, in short steps.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from infra.intraday.clock import LoopClock

if TYPE_CHECKING:
    from infra.drill.stage import Stage
    from infra.intraday.core import Decision, LoopCore

PATIENCE: Final = 60.0
"""Real seconds after which the loop counts as stuck."""
_PAUSE: Final = 0.002
_SLEEP_PAUSE: Final = 0.01
_SECOND: Final = 1_000_000_000


class DayClock(LoopClock):
    """The loop's clock of a drill: both its times are those of the day."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.clock, stage.monotonic_ns)
        self._stage = stage

    async def sleep(self, seconds: float) -> None:
        """Return once the day has gone on by ``seconds``."""
        until = self._stage.monotonic_ns() + round(seconds * _SECOND)
        while self._stage.monotonic_ns() < until:
            await asyncio.sleep(_SLEEP_PAUSE)


@dataclass(slots=True)
class Watcher:
    """Hears what the loop decides and knows whether it is through with an instant."""

    stage: Stage
    on_decided: Callable[[LoopCore, Decision], None]
    currencies: Collection[str] = ()
    core: LoopCore | None = None
    decided_ns: int = -1
    gone: set[str] = field(default_factory=set)

    def hear(self, core: LoopCore, decision: Decision, _: int) -> None:
        """Take note of one decision of the loop."""
        self.core = core
        self.decided_ns = decision.instant.monotonic_ns
        self.on_decided(core, decision)

    async def through(self, patience: float) -> bool:
        """Return whether the present instant is decided, its calls durable, within real seconds."""
        deadline = time.monotonic() + patience
        while not self._is_through():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(_PAUSE)
        return True

    def _is_through(self) -> bool:
        core, now_ns = self.core, self.stage.monotonic_ns()
        if core is None or self.decided_ns < now_ns or core.in_flight:
            return False
        acceptance = core.market.acceptance
        if acceptance.is_dirty:
            return False
        rows = self._awaited(core)
        return bool((acceptance.state.received_ns[rows] >= now_ns).all())

    def _awaited(self, core: LoopCore) -> np.ndarray:
        table = core.market.acceptance.table
        there = np.array([name not in self.gone for name in table.sources])
        held = np.flatnonzero(core.watched & there[table.source[: table.n_instruments]])
        rates = [
            row
            for (venue, asset), row in table.index_rows.items()
            if asset in self.currencies and venue not in self.gone
        ]
        return np.concatenate([held, np.array(rates, dtype=np.int64)]).astype(np.int64)
