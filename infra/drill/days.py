"""Days that are played: their window, which venue is gone when, and which coin loses its peg."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from engine.errors import ParameterError

STEP_SECONDS_MAX: Final = 25.0
"""Beyond half a minute without a price a mark is stale: a longer step would make it so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A venue that neither answers nor sends: connections are cut and refused."""

    venue: str
    begins_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Depeg:
    """A stablecoin that falls to ``low`` at one venue, or at all of them, and comes back.

    Attributes
    ----------
    venue : str
        Empty for all venues.
    low : float
        Price at the bottom. [USD]
    falls_at, bottom_at, rises_at, back_at : datetime
        It falls between the first two, and rises between the last two.
    says : str
        What it rests on, for people.
    """

    asset: str
    venue: str
    low: float
    falls_at: datetime
    bottom_at: datetime
    rises_at: datetime
    back_at: datetime
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillDay:
    """What is played.

    Attributes
    ----------
    name, title : str
    business_date : datetime.date
        The close that the loop builds upon: it ends at ``opened_at``.
    begins_at, ends_at : datetime
        From when to when the loop runs.
    """

    name: str
    title: str
    business_date: date
    begins_at: datetime
    ends_at: datetime
    outage: Outage | None
    depegs: tuple[Depeg, ...]

    @property
    def opened_at(self) -> datetime:
        """Return the end of the close's date."""
        day = self.business_date + timedelta(days=1)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)

    @property
    def seconds(self) -> float:
        """Return how long the loop runs, in seconds of the day."""
        return (self.ends_at - self.begins_at).total_seconds()


_REAL: Final = ("2020-03-12", "2025-10-10")


def real_days() -> tuple[str, ...]:
    """Return the names of the days that are known."""
    return _REAL


def real_day(name: str) -> DrillDay:
    """Return a day by its name.

    Raises
    ------
    ParameterError
        If it is none of those that are known.
    """
    if name == "2025-10-10":
        return _tariff_day()
    if name == "2020-03-12":
        return _liquidity_day()
    raise ParameterError(
        f"no drill {name!r}, limit: {', '.join(_REAL)}, or none for a generated crash",
        identifier="day",
        value=name,
        limit=", ".join(_REAL),
    )


def generated_day(minutes: int = 90) -> DrillDay:
    """Return a crash that is made up, a third of it calm, around a venue that is gone."""
    day = date(2026, 3, 10)
    begins = datetime(2026, 3, 11, 0, 10, tzinfo=UTC)

    def at(share: float) -> datetime:
        return begins + timedelta(minutes=minutes * share)

    return DrillDay(
        name="generated",
        title="A crash that is made up",
        business_date=day,
        begins_at=begins,
        ends_at=at(1.0),
        outage=Outage(venue="binance", begins_at=at(0.52), ends_at=at(0.66)),
        depegs=(
            Depeg(
                asset="USDT", venue="", low=0.97, falls_at=at(0.40), bottom_at=at(0.55),
                rises_at=at(0.75), back_at=at(0.90), says="planted: USDT falls to 0.97 everywhere",
            ),
        ),
    )  # fmt: skip


def _tariff_day() -> DrillDay:
    def at(hour: int, minute: int) -> datetime:
        return datetime(2025, 10, 10, hour, minute, tzinfo=UTC)

    return DrillDay(
        name="2025-10-10",
        title="10 October 2025: the tariff liquidations",
        business_date=date(2025, 10, 9),
        begins_at=at(20, 0),
        ends_at=at(22, 30),
        outage=Outage(venue="binance", begins_at=at(21, 18), ends_at=at(21, 51)),
        depegs=(
            Depeg(
                asset="USDC", venue="binance", low=0.65, falls_at=at(21, 10), bottom_at=at(21, 17),
                rises_at=at(22, 16), back_at=at(22, 30),
                says="planted: USDC falls at Binance alone as USDe did there, to 0.65",
            ),
            Depeg(
                asset="USDT", venue="", low=0.985, falls_at=at(20, 50), bottom_at=at(21, 20),
                rises_at=at(21, 50), back_at=at(22, 30),
                says="planted: USDT falls to 0.985 everywhere",
            ),
        ),
    )  # fmt: skip


def _liquidity_day() -> DrillDay:
    def at(day: int, hour: int, minute: int) -> datetime:
        return datetime(2020, 3, day, hour, minute, tzinfo=UTC)

    return DrillDay(
        name="2020-03-12",
        title="12 March 2020: the first hours of the liquidity crash",
        business_date=date(2020, 3, 11),
        begins_at=at(12, 9, 30),
        ends_at=at(12, 13, 30),
        outage=Outage(venue="deribit", begins_at=at(12, 10, 35), ends_at=at(12, 11, 0)),
        depegs=(
            Depeg(
                asset="USDT", venue="", low=0.96, falls_at=at(12, 10, 20),
                bottom_at=at(12, 10, 50), rises_at=at(12, 12, 0), back_at=at(12, 13, 0),
                says="planted: USDT falls to 0.96 everywhere",
            ),
        ),
    )  # fmt: skip


def steps(day: DrillDay, step_seconds: float) -> Sequence[float]:
    """Return the lengths of the steps that make up the window. [s]

    Raises
    ------
    ParameterError
        If a step is too long for marks to stay fresh, or none.
    """
    if not 1.0 <= step_seconds <= STEP_SECONDS_MAX:
        raise ParameterError(
            f"--step {step_seconds:g}, limit: 1 to {STEP_SECONDS_MAX:g} seconds of the day",
            identifier="step",
            value=step_seconds,
            limit=f"1 to {STEP_SECONDS_MAX:g}",
        )
    n_whole = int(day.seconds // step_seconds)
    rest = day.seconds - n_whole * step_seconds
    return [step_seconds] * n_whole + ([rest] if rest > 1e-9 else [])
