"""What the loop tells of itself: the board, its own states, and the file that needs no database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from engine.policies.ladder_parameters import LEVEL_NAMES
from infra.db.intraday_events import IntradayEvent
from infra.intraday.boarding import BoardRows, health_frame
from infra.intraday.clock import LoopClock
from infra.intraday.core import LoopCore
from infra.intraday.metrics import LoopMetrics
from infra.intraday.own_states import OwnStates
from infra.intraday.sources import SourceStates
from infra.intraday.status import write_in_place, write_status


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """What only the session knows at the moment of telling.

    Attributes
    ----------
    facts : mapping
        Joins the status file as it is.
    n_waiting : int
        Batches that are not durable yet.
    waiting_seconds : float
        Age of the oldest of them. [s]
    """

    facts: Mapping[str, object]
    n_waiting: int
    waiting_seconds: float


class Teller:
    """Tells of one loop."""

    def __init__(self, core: LoopCore, clock: LoopClock, metrics: LoopMetrics, home: Path) -> None:
        self._core, self._clock, self._metrics, self._home = core, clock, metrics, home
        self.board = BoardRows(core)
        self._own = OwnStates()
        self._sources = SourceStates(core.market.acceptance)
        self._shown: set[tuple[str, str]] = set()

    def say(self, name: str, state: str, reason: str = "", next_action: str = "") -> None:
        """Say how a part of the loop itself is."""
        self._own.say(name, state, self._clock.now().wall, reason, next_action)

    def events(self) -> list[IntradayEvent]:
        """Return what of the loop's own states has turned since the last call."""
        return self._own.events(self._core.run_id)

    def follow(self, scopes: Iterable[tuple[str, str]]) -> None:
        """Name what is shown as live while nothing is held against it."""
        self._shown |= set(scopes)

    def health(self) -> pd.DataFrame:
        """Return all states as the board shows them."""
        now, distrusted = self._clock.now(), self._core.trust.current()
        self._metrics.degraded.set(len(distrusted))
        self._shown |= {(one.scope, one.name) for one in distrusted}
        own = [*self._own.rows(), *self._sources.rows(now)]
        known = {(one.scope, one.name) for one in distrusted}
        trusted = []
        for scope, name in sorted(self._shown):
            is_venue = scope == "venue" and (scope, name) not in known
            quiet = self._sources.quiet(name, now) if is_venue else None
            if quiet is not None:
                own.append(quiet)
                continue
            last = self._sources.last_price(name, now) if is_venue else None
            trusted.append((scope, name, last or now.wall))
        return health_frame(now, distrusted, trusted, own)

    def write(self, health: pd.DataFrame, present: Present) -> Mapping[str, Any]:
        """Write the status file and return it; what the disk does not take is a state too."""
        self._metrics.waiting.set(present.n_waiting)
        self._metrics.outbox_age.set(present.waiting_seconds)
        core = self._core
        content: dict[str, Any] = {
            "at": self._clock.now().wall.isoformat(),
            "role": "leader",
            "run_id": core.run_id,
            "close": core.base.close_id,
            "decisions": core.number,
            "changes": core.book.n_changes,
            "netting_sets": len(core.names),
            "open_calls": len(core.open_amounts),
            "levels": _counts(core),
            "waiting": present.n_waiting,
            "waiting_seconds": round(present.waiting_seconds, 3),
            "seconds": self._timings(),
            "health": _not_live(health),
            **present.facts,
        }
        if write_status(self._home, content, self._metrics.text()):
            if self._own.knows("disk"):
                self.say("disk", "live")
            return content
        self.say("disk", "down", "the home's disk takes no new file", "free space below the home")
        content["health"] = _not_live(self.health())
        write_in_place(self._home, content)
        return content

    def _timings(self) -> dict[str, dict[str, float | None]]:
        timings = {
            "frame_to_decision": self._metrics.to_decision,
            "frame_to_durable": self._metrics.to_durable,
            "commit": self._metrics.commit,
        }
        shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
        return {
            name: {label: timing.quantile(share) for label, share in shares.items()}
            for name, timing in timings.items()
        }


def _not_live(health: pd.DataFrame) -> list[dict[Any, Any]]:
    return [
        {**row, "since": pd.Timestamp(row["since"]).isoformat()}
        for row in health.to_dict(orient="records")
        if row["state"] != "live"
    ]


def _counts(core: LoopCore) -> dict[str, int]:
    counts = np.bincount(core.ladder.level, minlength=len(LEVEL_NAMES))
    return {name: int(counts[level]) for level, name in enumerate(LEVEL_NAMES)}
