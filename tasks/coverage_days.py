"""Coverage of the house model over many dates, spread over Dask workers in blocks of dates.

Workers import this module, so it imports no orchestrator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import pandas as pd

from engine.backtest.books import CoverageBook
from engine.backtest.coverage import COVERAGE_COLUMNS, coverage
from engine.backtest.kupiec import kupiec_test
from engine.errors import MissingDataError
from engine.rules import HouseParameters
from tasks.cluster import ClusterOptions
from tasks.fan_out import FanOut, LostBlock, fan_out

# A few tenths of a second of work: above what handing it out costs.
DATES_PER_BLOCK = 60
CONFIDENCE: Final = 0.99


@dataclass(frozen=True, slots=True, eq=False)
class CoverageStudy:
    """What is measured: closes, books, parameters and confidence; the dates are the blocks."""

    closes: pd.DataFrame
    books: tuple[CoverageBook, ...]
    house: HouseParameters
    confidence: float


def coverage_block(study: CoverageStudy, dates: Sequence[date]) -> pd.DataFrame:
    """Return the coverage rows of one block of dates."""
    return coverage(study.closes, study.books, study.house, dates, confidence=study.confidence)


def measure_coverage(
    study: CoverageStudy,
    dates: Sequence[date],
    options: ClusterOptions,
    on_progress: Callable[[int, int], None],
) -> pd.DataFrame:
    """Return coverage rows of all dates, sorted by book and date.

    Raises
    ------
    MissingDataError
        If no date has both its own and the next day's close, or a block of dates was lost.
    """
    blocks = [
        dates[first : first + DATES_PER_BLOCK] for first in range(0, len(dates), DATES_PER_BLOCK)
    ]
    work = FanOut("coverage", coverage_block, study, blocks)
    answers = fan_out(work, options, lambda n_done: on_progress(n_done, len(blocks)))
    found: list[pd.DataFrame] = []
    for block, answer in zip(blocks, answers, strict=True):
        if isinstance(answer, LostBlock):
            raise MissingDataError(f"coverage of {block[0]} to {block[-1]}: {answer.reason}")
        if len(answer):
            found.append(answer)
    if not found:
        raise MissingDataError(
            "no date to test: none has a close of a held asset on its own and on the next day"
        )
    rows = pd.concat(found, ignore_index=True)
    return rows.sort_values(["book", "date"], ignore_index=True)[list(COVERAGE_COLUMNS)]


def exception_counts(days: pd.DataFrame) -> dict[str, object]:
    """Return what a close's report says of one book's coverage rows."""
    n_days, beyond = len(days), int((days["loss"] > days["value_at_risk"]).sum())
    test = kupiec_test(n_days, beyond, confidence=CONFIDENCE)
    return {
        "days": n_days,
        "losses_beyond_value_at_risk": beyond,
        "expected": round((1.0 - CONFIDENCE) * n_days, 1),
        "kupiec_p_value": round(float(test.p_value), 4),
        "kupiec_accepted": bool(test.accepted),
        "losses_beyond_core_margin": int((days["loss"] > days["core_margin"]).sum()),
        "losses_beyond_requirement": int((days["loss"] > days["requirement"]).sum()),
    }


def closes_of(
    price_history: pd.DataFrame,
    assets: set[str],
    house: HouseParameters,
    *,
    extremes: bool = False,
) -> pd.DataFrame:
    """Return the closes that margining ``assets`` needs: theirs, the proxy's and the pegs'.

    With ``extremes`` the day's high and low come along.
    """
    wanted = price_history["asset"].isin({*assets, house.proxy.asset, *house.pegged_assets})
    columns = ["date", "asset", "close", "quote", *(("high", "low") if extremes else ())]
    return price_history.loc[wanted, columns].reset_index(drop=True)
