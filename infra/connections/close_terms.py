"""How a close reads the connections: what it is layered on, how long and how late it may read."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class CloseTerms(BaseModel):
    """The table ``[close]`` of the connections file.

    Attributes
    ----------
    market, book : str, optional
        Where is kept what venues do not say: histories, liquidity, agreements; other books. The
        book's is the market's where it is absent.
    deadline_seconds : float
        How long one venue or custodian may take. [s]
    lag_minutes_max : float
        How far from the close a reading may be. [min]
    index_band : float
        How far a venue's index may stand from the median of all. [-]
    last_known_days_max : int
        How old what stands in for an account that was not read may be. [days]
    last_known_cut, last_known_cut_per_day : float
        What last known collateral loses, and last reported margin gains, at once and for every
        further day. [-]
    carried_days_max : int
        How old liquidity may be. [days]
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    market: str | None = None
    book: str | None = None
    deadline_seconds: Annotated[float, Field(gt=0.0, le=900.0)] = 60.0
    lag_minutes_max: Annotated[float, Field(gt=0.0, le=60.0)] = 30.0
    index_band: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.02
    last_known_days_max: Annotated[int, Field(ge=0, le=30)] = 3
    last_known_cut: Annotated[float, Field(ge=0.0, le=1.0)] = 0.10
    last_known_cut_per_day: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    carried_days_max: Annotated[int, Field(ge=0, le=60)] = 7

    def cut(self, age_days: int) -> float:
        """Return the share of what is last known that is not counted after so many days. [-]"""
        further = self.last_known_cut_per_day * max(age_days - 1, 0)
        return min(self.last_known_cut + further, 1.0)
