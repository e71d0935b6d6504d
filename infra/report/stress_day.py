"""A stress day as JSON values: the whole book in a few figures, and each netting set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import pandas as pd

from engine.attribution import Close
from engine.rules import StressScenario
from infra.report.json_twin import plain

SCHEMA: Final = "plimsoll.stress-day/1"
_MOVES_SHOWN: Final = 6


def stress_day_json(
    run_id: str,
    close: Close,
    scenario: StressScenario,
    found: pd.DataFrame,
    before: pd.DataFrame,
    usd_rates: Mapping[str, float],
) -> dict[str, Any]:
    """Return the answer of ``engine.whatif.stress_day``, the largest call first.

    Exact amounts are texts; totals are floats in USD at the close's rates, for the eye.
    """
    rate = found["currency"].map(lambda name: usd_rates.get(str(name), math.nan))
    pnl = found["pnl"] * rate
    called = found["call_amount"].astype(float) * rate
    after = found["collateral_after"].astype(float) * rate
    under = found["collateral_after"].astype(float) < 0.0
    ordered = found.assign(called=called, pnl_usd=pnl).sort_values(
        ["called", "pnl_usd", "netting_set_id"], ascending=[False, True, True], kind="stable"
    )
    names = [str(name) for name in found.columns]
    return {
        "schema": SCHEMA,
        "run_id": run_id,
        "snapshot_id": str(close.snapshot.snapshot_id),
        "business_date": close.snapshot.business_date.isoformat(),
        "name": scenario.name,
        "source": scenario.source,
        "moves": moves_of(scenario),
        "n_calls": int((found["call_action"] == "call").sum()),
        "n_calls_before": int((before["call_action"] == "call").sum()),
        "called_usd": _total(called),
        "loss_usd": 0.0 - _total(pnl[pnl < 0.0]),
        "gain_usd": _total(pnl[pnl > 0.0]),
        "collateral_before_usd": _total(found["collateral_before"].map(_number) * rate),
        "collateral_after_usd": _total(after),
        "n_under": int(under.sum()),
        "under_usd": 0.0 - _total(after[under]),
        "rows": [
            {name: _value(name, value) for name, value in zip(names, row, strict=True)}
            for row in ordered[names].itertuples(index=False)
        ],
    }


def moves_of(scenario: StressScenario) -> list[tuple[str, float]]:
    """Return the moves that people look for first: relative, pegs last."""
    named = [(name, move) for name, move in scenario.index.items() if name != "default"]
    shown = sorted(named, key=lambda pair: (pair[0] not in ("BTC", "ETH"), -abs(pair[1]), pair[0]))
    rest = scenario.index.get("default", 0.0)
    pegs = [(name, move) for name, move in scenario.peg.items() if name not in scenario.index]
    found = [*shown[:_MOVES_SHOWN], *([("others", rest)] if rest else []), *pegs]
    moves = [(name, math.expm1(move)) for name, move in found]
    if scenario.volatility:
        moves.append(("volatility", math.expm1(scenario.volatility)))
    return moves


def _value(name: str, value: object) -> Any:
    # An endless ratio, that of what is owed without collateral, is kept for the page.
    return value if name == "margin_ratio" and isinstance(value, float) else plain(value)


def _number(value: object) -> float:
    return float(value) if isinstance(value, Decimal) else math.nan


def _total(values: pd.Series) -> float:
    return math.fsum(float(value) for value in values if math.isfinite(value))
