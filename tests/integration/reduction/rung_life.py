"""A loop with its journal, a venue that holds what it thinks, and the duty of its last rung."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd

from engine.intraday import PositionReport
from engine.reduction import ReductionPolicy
from infra.dated_policies import InForce
from infra.db import Database
from infra.db.reduction_records import ReductionRecord
from infra.intraday.answering_desk import CoreBooks
from infra.intraday.base import Base
from infra.intraday.boarding import BoardRows
from infra.intraday.core import Decision, LoopCore
from infra.outbound import KillSwitch
from infra.reduction import Wiring
from infra.reduction.rung import ReduceRung, RungParts
from tests.integration.intraday.life import Life
from tests.integration.reduction.fake_venue import Markets
from tests.worlds import loop as world
from tests.worlds.loop import WALL
from tests.worlds.reductions import policy

HELD, ACCOUNT, PLACE = "binance:BTCUSDT", "A-a", "binance/1"
COINS = 10
CALM, FALLEN, LOWER = 60_000.0, 56_000.0, 55_500.0
"""At which nothing is due; at which the last rung is passed; and further down."""


def close(reduction: str = "approval", ladder: str = "") -> Base:
    """Return a close of which netting set A is long of ten bitcoins."""
    made = world.base({"A": 120_000.0, "B": 1e7}, quantity=float(COINS))
    terms = {
        name: replace(one, reduction=reduction if name == "A" else "", ladder=ladder)
        for name, one in made.rules.agreements.items()
    }
    return replace(made, rules=replace(made.rules, agreements=terms))


def rules(**caps: object) -> ReductionPolicy:
    """Return limits under which slices are a coin."""
    return policy(
        caps={
            "slice_notional_max": Decimal(60_000), "slice_volume_share_max": 0.01,
            "slice_seconds_min": 1.0, "orders_per_minute_max": 600, **caps,
        },
        automatic_notional_max=Decimal(10_000_000),
    )  # fmt: skip


@dataclass
class Clock:
    """The one clock of database, venue and loop."""

    seconds: float = 0.0

    def __call__(self) -> datetime:
        """Return the time; it never stands still."""
        self.seconds += 0.000001
        return WALL + timedelta(seconds=self.seconds)


@dataclass
class RungLife:
    """Everything that a test of the rung needs."""

    database: Database
    home: Path
    base: Base
    clock: Clock = field(default_factory=Clock)
    n_reports: int = 0

    def __post_init__(self) -> None:
        self.database.clock = self.clock
        self.life = Life(self.database, close=self.base)
        self.board = BoardRows(self.core)
        self.venue = Markets(
            self.clock, positions={HELD: Decimal(COINS)}, marks={HELD: Decimal(CALM)}
        )
        self.kill_switch = KillSwitch(self.home, self.clock)
        self.rung = self.new_rung()

    @property
    def core(self) -> LoopCore:
        """Return the loop."""
        return self.life.core

    def new_rung(self) -> ReduceRung:
        """Return the duty as a process has it that has just begun."""
        return ReduceRung(
            RungParts(
                database=self.database,
                lead=self.life.lead,
                loop=CoreBooks(self.core, self.clock),
                policy_of=lambda: InForce(rules(), "policy", "tests"),
                kill_switch=self.kill_switch,
                wiring=Wiring({ACCOUNT: PLACE}, {"binance": self.venue}),  # type: ignore[dict-item]
                base_of=lambda _: self.base,
            ),
            pause=0.0,
        )

    def falls(self, price: float = FALLEN, seconds: float = 1.0, n: int = 1) -> list[Decision]:
        """Let prices stand somewhere for a while, on all venues and at the one that is traded."""
        self.venue.marks[HELD] = Decimal(price)
        made = []
        for _ in range(n):
            self.clock.seconds += seconds
            made.append(self.life.tick(price, self.clock.seconds))
        self.publish()
        return made

    def breached(self) -> None:
        """Let prices fall and stay down until the last rung is entered."""
        self.falls(CALM)
        self.falls(seconds=16.0, n=6)
        assert self.core.level_names(self.row)[0] == "reduce"

    @property
    def row(self) -> np.ndarray:
        """Return the row of netting set A."""
        return np.array([self.core.row_of["A"]], dtype=np.int64)

    def publish(self) -> None:
        """Let the board show where netting sets stand."""
        health = pd.DataFrame(columns=["scope", "name", "state", "since", "reason", "next_action"])
        self.board.note(self.row)
        self.database.board.publish(self.board.take(self.clock()), health)

    def round(self, rung: ReduceRung | None = None) -> None:
        """Do one round of the duty."""
        asyncio.run((rung or self.rung).round())

    def rounds(self, n: int = 40, price: float = FALLEN) -> None:
        """Let time pass and the loop hear of what is held, until nothing is open."""
        for _ in range(n):
            self.heard()
            self.falls(price, 4.0)
            self.round()
            if all(not one.is_open for one in self.plans()):
                return

    def heard(self) -> None:
        """Let the loop hear from the venue what is held there."""
        held = float(self.venue.positions[HELD])
        self.report(PositionReport(ACCOUNT, HELD, held))

    def report(self, report: object) -> None:
        """Let the loop hear of something."""
        self.n_reports += 1
        self.life.report(self.n_reports, report)
        self.life.commit(self.core.decide(world.instant(self.clock.seconds)))

    def plans(self) -> list[ReductionRecord]:
        """Return the plans on record."""
        return self.database.reductions.list()

    def told(self) -> list[Mapping[str, str]]:
        """Return what people were told of the rung."""
        events = self.database.intraday_events.after(0)
        return [one.payload for one in events if one.name == "plimsoll.reduction"]
