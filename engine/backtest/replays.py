"""Days that a margin model is remembered by: what was held the evening before, what was lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import pandas as pd


@dataclass(frozen=True, slots=True)
class StressEvent:
    """A stretch of days on which losses fell, both ends included."""

    name: str
    first: date
    last: date


STRESS_LIBRARY: Final = (
    StressEvent("2020-03-12 liquidity crash", date(2020, 3, 12), date(2020, 3, 13)),
    StressEvent("2021-05-19 leverage flush", date(2021, 5, 19), date(2021, 5, 19)),
    StressEvent("2022-05 LUNA", date(2022, 5, 7), date(2022, 5, 13)),
    StressEvent("2022-06 lenders fail", date(2022, 6, 11), date(2022, 6, 18)),
    StressEvent("2022-11 FTX", date(2022, 11, 6), date(2022, 11, 10)),
    StressEvent("2023-03 USDC depeg", date(2023, 3, 10), date(2023, 3, 13)),
    StressEvent("2024-08-05 yen carry unwind", date(2024, 8, 2), date(2024, 8, 5)),
    StressEvent("2025-10-10 tariff liquidation", date(2025, 10, 10), date(2025, 10, 10)),
    StressEvent("2026-02-05 sell-off", date(2026, 2, 5), date(2026, 2, 5)),
)


def evenings(event: StressEvent) -> list[date]:
    """Return the closes before each day of the event."""
    n_days = (event.last - event.first).days + 1
    return [event.first + timedelta(days=k - 1) for k in range(n_days)]


def replays(days: pd.DataFrame) -> pd.DataFrame:
    """Return the worst evening of each book in each event of the library.

    Parameters
    ----------
    days : pandas.DataFrame
        date, book, requirement, core_margin, loss and any others, of one variant.

    Returns
    -------
    pandas.DataFrame
        The rows of ``days`` with the largest loss per requirement of each event and book, with
        ``event`` and ``shortfall``, the loss beyond the requirement. [USD]
    """
    parts = []
    for event in STRESS_LIBRARY:
        wanted = [pd.Timestamp(evening) for evening in evenings(event)]
        rows = days[days["date"].isin(wanted)].assign(event=event.name)
        severity = (rows["loss"] / rows["requirement"].clip(lower=1e-9)).rename("severity")
        rows = rows.assign(severity=severity).sort_values(
            ["book", "severity", "date"], ascending=[True, False, True], kind="stable"
        )
        parts.append(rows.drop_duplicates("book"))
    found = pd.concat(parts, ignore_index=True)
    found["shortfall"] = (found["loss"] - found["requirement"]).clip(lower=0.0)
    return found.drop(columns="severity")
