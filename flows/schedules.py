"""When the close runs by itself: one schedule per region's cut-off, each in its own time zone.

Every schedule closes the last UTC date that has ended at its instant. The first to run does the
work; a later one of the same date finds it finished, or finishes what an outage left undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class CutOff:
    """A region's cut-off as cron in its own time zone."""

    name: str
    cron: str
    timezone: str
    meaning: str


CUT_OFFS: Final = (
    CutOff("utc-close", "5 0 * * *", "UTC", "every day, five minutes after the UTC day ends"),
    CutOff("singapore", "30 9 * * 1-5", "Asia/Singapore", "before the desk in Singapore opens"),
    CutOff("london", "30 7 * * 1-5", "Europe/London", "before the desk in London opens"),
    CutOff("new-york", "30 17 * * 1-5", "America/New_York", "the cut-off of New York"),
)
ON_DEMAND: Final = "on-demand"


@dataclass(frozen=True, slots=True)
class Round:
    """A piece of work that comes round all day, as cron in UTC."""

    name: str
    cron: str
    meaning: str
    silence_seconds_max: int
    """A round that was not done to its end for so long is a miss that people are told of."""


CALLS_ROUND: Final = Round("calls", "*/10 * * * *", "ages open calls: past due, escalated", 1_500)
EVENTS: Final = "events"
"""Deployment that events of the day start."""
VENUE_ROUNDS: Final = (
    Round("settle", "* * * * *", "sends approved transfers and resolves open ones", 600),
    Round(
        "reduce", "* * * * *", "sends slices of approved reductions and resolves open orders", 600
    ),
    Round("reconcile", "*/5 * * * *", "compares ledger, order management and venues", 900),
)
"""Only where venues are connected."""
