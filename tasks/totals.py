"""Total requirement by currency, of a run and of the closes before it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pandas as pd

from engine.money import MONEY_CONTEXT
from infra.db import RunHandle
from tasks.kinds import KIND
from tasks.workplace import Workplace

# Enough for a quarter on the report's chart.
_RUNS_MAX = 120


def totals_of(requirements: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Return exact totals by agreement currency; failed netting sets have none to add."""
    totals: dict[str, dict[str, str]] = {}
    for currency, rows in requirements.groupby("currency", sort=True):
        totals[str(currency)] = {
            "requirement": str(_sum(rows["requirement_amount"])),
            "collateral_value": str(_sum(rows["collateral_amount"])),
        }
    return totals


def total_history(
    place: Workplace, run: RunHandle, requirements: pd.DataFrame
) -> pd.DataFrame | None:
    """Return the totals of earlier closes and of this one, oldest first; None without earlier.

    Columns business_date, currency, requirement, collateral_value. [currency]
    """
    rows = []
    for earlier in _closes_before(place, run):
        rows += _rows(earlier.business_date, _mapping((earlier.summary or {}).get("totals")))
    if not rows:
        return None
    rows += _rows(run.business_date, totals_of(requirements))
    frame = pd.DataFrame(rows, columns=list(rows[0]))
    frame["business_date"] = pd.to_datetime(frame["business_date"]).astype("datetime64[ms]")
    return frame.astype({"currency": "str"}).sort_values(
        ["business_date", "currency"], ignore_index=True
    )


def _closes_before(place: Workplace, run: RunHandle) -> list[RunHandle]:
    closes: list[RunHandle] = []
    found = place.database.runs.previous(KIND, run.business_date)
    while found is not None and len(closes) < _RUNS_MAX:
        closes.append(found)
        found = place.database.runs.previous(KIND, found.business_date)
    return closes


def _rows(business_date: object, totals: Mapping[str, object]) -> list[dict[str, object]]:
    return [
        {
            "business_date": business_date,
            "currency": currency,
            "requirement": float(str(_mapping(amounts)["requirement"])),
            "collateral_value": float(str(_mapping(amounts)["collateral_value"])),
        }
        for currency, amounts in totals.items()
    ]


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _sum(amounts: pd.Series) -> Decimal:
    total = Decimal(0)
    for amount in amounts:
        if isinstance(amount, Decimal):
            total = MONEY_CONTEXT.add(total, amount)
    return total
