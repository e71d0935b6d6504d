"""The loop as a process: it leads or stands by, and begins anew on each new close."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import StateError
from infra.connections import Connections
from infra.db.loop_lease import Fenced, Lead, LeadSeen
from infra.intraday.base import Bases
from infra.intraday.clock import LoopClock
from infra.intraday.leading import LEASE_SECONDS, take_lead, this_process
from infra.intraday.metrics import LoopMetrics
from infra.intraday.status import write_status

if TYPE_CHECKING:
    from infra.db import Database
    from infra.intraday.core import Decision, LoopCore


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopOptions:
    """How a loop runs, in seconds.

    Attributes
    ----------
    home : Path
        Where it tells of itself.
    grace : float
        Longest wait for first snapshots before decisions begin.
    round : float
        Longest pause between two rounds.
    board, checkpoint, rebuild, advance : float
        Intervals of publication, of checkpoints, of exact rebuilds, and of the book's own clock.
    lease : float
        Silence of the leader after which a standby takes over.
    rates : float
        Interval at which venues are asked what currencies are worth in dollars.
    relays : tuple of str
        Addresses of one's own feed handlers, see ``infra/intraday/relay.py``.
    desk : tuple of str
        Command that starts the payment desk beside the loop; nothing is paid by itself without it.
    """

    home: Path
    code_version: str
    grace: float = 3.0
    round: float = 0.1
    board: float = 1.0
    checkpoint: float = 10.0
    rebuild: float = 300.0
    advance: float = 60.0
    lease: float = LEASE_SECONDS
    rates: float = 5.0
    relays: tuple[str, ...] = ()
    desk: tuple[str, ...] = ()


@dataclass(slots=True)
class LoopProcess:
    """One life of the loop; ``run`` until stopped, or until another process leads."""

    database: Database
    bases: Bases
    connections: Connections
    options: LoopOptions
    clock: LoopClock = field(default_factory=LoopClock)
    metrics: LoopMetrics = field(default_factory=LoopMetrics)
    holder: str = field(default_factory=this_process)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    on_told: Callable[[Mapping[str, Any]], None] | None = None
    """Hears what the loop tells of itself, each second."""

    on_decided: Callable[[LoopCore, Decision, int], None] | None = None
    """Hears the core, each decision, and how many are not durable yet."""

    def stop(self) -> None:
        """Let the loop end after what it has decided is durable."""
        self.stopping.set()

    async def run(self) -> None:
        """Lead, decide, and begin anew on each new close; ends when stopped.

        Raises
        ------
        Fenced
            If another process has taken the lead: nothing is decided any more.
        MissingDataError
            If there is no close to build upon.
        """
        from infra.intraday.session import Session

        lead = await self._lead()
        if lead is None:
            return
        self.metrics.epoch.set(lead.epoch)
        while not self.stopping.is_set():
            base = await asyncio.to_thread(self.bases.latest)
            await Session(self, lead, base).run()
        with contextlib.suppress(StateError):
            await asyncio.to_thread(self.database.loop_leases.give_up, lead)

    async def _lead(self) -> Lead | None:
        waiting = asyncio.create_task(
            take_lead(
                self.database,
                self.holder,
                lease_seconds=self.options.lease,
                on_waiting=self._stand_by,
            )
        )
        stopping = asyncio.create_task(self.stopping.wait())
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if waiting.done():
            return waiting.result()
        waiting.cancel()
        return None

    def _stand_by(self, seen: LeadSeen) -> None:
        content = {
            "at": self.clock.now().wall.isoformat(),
            "role": "standby",
            "holder": self.holder,
            "leader": seen.holder,
            "epoch": seen.epoch,
        }
        write_status(self.options.home, content, b"", name="standby")
        if self.on_told is not None:
            self.on_told(content)


__all__ = ["Fenced", "LoopOptions", "LoopProcess"]
