"""Which faults come when: drawn by a seed, so that a violation can be played again.

Each kind comes once before any comes a second time. Kinds that end the leading process keep to the
first part of a run: memory has to be watched on one life that is long enough.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass

from tests.soak.market import VENUES


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault: how long it lasts, and what it is about.

    ``shown`` says what the board has to show within ``within`` seconds of the beginning: nothing,
    the ``venue``, any ``underlying``, or something of the ``system``.
    """

    name: str
    group: str
    least: float
    most: float
    shown: str = ""
    within: float = 5.0
    ends_leader: bool = False
    needs: str = ""

    def applies(self, able: Collection[str]) -> bool:
        """Return whether it can be done here."""
        return not self.needs or self.needs in able


# What is detected by its absence is shown five seconds after the time that has to pass first: a
# socket without a frame for 5 s, a price without a successor for 30 s, a lock without an end.
KINDS = (
    Kind("zero", "ticks", 2.0, 8.0),
    Kind("negative", "ticks", 2.0, 8.0),
    Kind("infinite", "ticks", 2.0, 8.0),
    Kind("nan", "ticks", 2.0, 6.0, "venue"),
    Kind("spike", "ticks", 2.0, 10.0),
    Kind("frozen", "ticks", 5.0, 15.0),
    Kind("stale", "ticks", 42.0, 46.0, "underlying", 36.0),
    Kind("late", "ticks", 2.0, 8.0),
    Kind("duplicate", "ticks", 2.0, 8.0),
    Kind("disorder", "ticks", 2.0, 6.0, "venue"),
    Kind("gap", "ticks", 2.0, 6.0, "venue"),
    Kind("ahead", "ticks", 4.0, 12.0),
    Kind("behind", "ticks", 4.0, 12.0),
    Kind("unknown", "ticks", 2.0, 6.0),
    Kind("flood", "ticks", 3.0, 6.0),
    Kind("nonsense", "venue", 3.0, 8.0, "venue"),
    Kind("silent", "venue", 12.0, 18.0, "venue", 10.5),
    Kind("reset", "venue", 1.0, 1.0, "venue"),
    Kind("vanish", "venue", 6.0, 20.0, "venue"),
    Kind("crash", "market", 40.0, 50.0),
    Kind("database held", "database", 6.0, 12.0, "system", 6.0),
    Kind("database down", "database", 5.0, 12.0, "system", 6.0, needs="stop"),
    Kind("disk full", "database", 5.0, 10.0, "system", 6.0, needs="fill"),
    Kind("leader killed", "process", 6.0, 6.0, "system", 6.0, ends_leader=True),
    Kind("leader stands still", "process", 7.0, 12.0, "system", 6.0, ends_leader=True),
    Kind("standby killed", "process", 3.0, 3.0),
    Kind("web killed", "process", 4.0, 4.0),
    Kind("alerts killed", "process", 4.0, 4.0),
    Kind("flood of requests", "requests", 4.0, 8.0),
    Kind("garbage requests", "requests", 4.0, 8.0),
)
BY_NAME = {kind.name: kind for kind in KINDS}
DEPTH_LEAST, DEPTH_MOST = 0.06, 0.12
FACTORS = (0.1, 0.5, 0.9, 1.1, 3.0, 1000.0)
GRACE_SECONDS = 8.0
"""Before the first fault, and after the last one."""
CALM_SHARE = 0.4
"""Part of a run, its end, in which the leading process is not ended."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault of a schedule. Seconds since decisions began."""

    number: int
    at: float
    seconds: float
    kind: Kind
    venue: str
    factor: float


def schedule(
    seed: int,
    seconds: float,
    every: float,
    able: Collection[str] = (),
    only: Collection[str] = (),
) -> list[Planned]:
    """Return the faults of a run, in order of their beginning.

    ``able`` names what can be done here (``stop``, ``fill``); ``only`` restricts the kinds.
    """
    chance = random.Random(f"schedule {seed}")
    usable = [one for one in KINDS if one.applies(able) and (not only or one.name in only)]
    found: list[Planned] = []
    left: list[Kind] = []
    at = GRACE_SECONDS
    last = seconds - GRACE_SECONDS
    busy_until = 0.0
    while at < last:
        calm = at >= seconds * (1.0 - CALM_SHARE)
        left = left or chance.sample(usable, len(usable))
        fitting = [
            one
            for one in left
            if at + one.least <= last
            and not (calm and one.ends_leader)
            # One fault of database or processes at a time: what follows from which stays clear.
            and not (one.group in ("database", "process") and at < busy_until)
        ]
        if fitting:
            kind = fitting[0]
            left.remove(kind)
            length = min(chance.uniform(kind.least, kind.most), last - at)
            found.append(
                Planned(
                    len(found) + 1, at, length, kind, chance.choice(VENUES), chance.choice(FACTORS)
                )
            )
            if kind.group in ("database", "process"):
                busy_until = at + length + 12.0
        elif all(one.ends_leader for one in left):
            left = []
        at += every * chance.uniform(0.6, 1.4)
    return found
