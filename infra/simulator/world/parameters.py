"""What a sample world is asked to be, and what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta

from engine.errors import ParameterError

N_UNDERLYINGS_MAX = 12
HISTORY_DAYS_MIN = 260
"""The engine filters its scenarios from at least 250 returns."""


@dataclass(frozen=True, slots=True)
class WorldParameters:
    """Size, seed and dates of a sample world; equal parameters give equal bytes.

    Raises
    ------
    ParameterError
        If a value is out of range; the message names it and its limit.
    """

    seed: int = 20261120
    n_netting_sets: int = 1000
    n_underlyings: int = 12
    """The first so many assets of ``infra/simulator/world/assets.py``."""
    history_days: int = 1461
    last_business_date: date = date(2026, 11, 20)
    n_business_dates: int = 2
    """Dates with marks and books: the last one and those just before it."""
    n_positions_mean: int = 25
    """Positions of a netting set on average."""
    funding_days: int = 365
    break_share: float = 0.015
    """Share of netting sets in which the three books are made to disagree."""
    dirty_marks: int = 0
    """Held instruments whose mark of the last date is spoilt (NaN, zero, negative in turn)."""

    def __post_init__(self) -> None:
        _require("seed", self.seed, 0, 2**63 - 1)
        _require("n_netting_sets", self.n_netting_sets, 1, 1_000_000)
        _require("n_underlyings", self.n_underlyings, 2, N_UNDERLYINGS_MAX)
        _require("history_days", self.history_days, HISTORY_DAYS_MIN, 5000)
        _require("n_business_dates", self.n_business_dates, 1, 5)
        _require("n_positions_mean", self.n_positions_mean, 2, 500)
        _require("funding_days", self.funding_days, 1, 5000)
        _require("break_share", self.break_share, 0.0, 0.5)
        _require("dirty_marks", self.dirty_marks, 0, 1000)

    @property
    def business_dates(self) -> tuple[date, ...]:
        """Dates with marks and books, ascending."""
        last = self.last_business_date
        return tuple(last - timedelta(days=k) for k in reversed(range(self.n_business_dates)))

    def as_json(self) -> dict[str, str | int | float]:
        """Return the parameters with dates as text."""
        fields = asdict(self)
        return {key: _plain(value) for key, value in fields.items()}


@dataclass(frozen=True, slots=True)
class WorldSummary:
    """What a built world holds. Counts of breaks and dirt are those that were planted."""

    parameters: WorldParameters
    rows: Mapping[str, int]
    """Rows by dataset."""
    instruments: Mapping[str, int]
    """Instruments by kind."""
    n_clients: int
    styles: Mapping[str, int]
    """Netting sets by style."""
    gross_notional_usd: float
    """Sum of absolute notionals of the last date, order management's book. [USD]"""
    breaks: Mapping[str, int]
    """Planted differences between the books of the last date by kind, balances included."""
    netting_sets_with_breaks: int
    dirty_rows: Mapping[str, int]
    """Planted rows that a contract has to refuse, by dataset."""
    crash_dates: tuple[str, ...]
    """Days of the crash regime, ISO dates."""
    hashes: Mapping[str, str]
    """SHA-256 of every file."""


def _require(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ParameterError(
            f"sample world: {name} is {value}, limit {low} to {high}",
            identifier=name,
            value=value,
            limit=f"{low} to {high}",
        )


def _plain(value: object) -> str | int | float:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (int, float)):
        return value
    return str(value)
