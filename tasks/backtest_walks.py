"""Walks through history spread over Dask workers in blocks of dates.

Workers import this module, so it imports no orchestrator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, TypeVar

import pandas as pd

from engine.backtest.findings import TAIL_COLUMNS
from engine.backtest.tuning import scores
from engine.backtest.verdict import Forecasts, Verdict, verdict
from engine.backtest.walk_forward import WALK_COLUMNS, WalkStudy, walk
from engine.errors import MissingDataError
from tasks.cluster import ClusterOptions
from tasks.fan_out import FanOut, LostBlock, fan_out

# A second of work or so: far above what handing it out costs.
DATES_PER_BLOCK: Final = 90
DATES_PER_WIDE_BLOCK: Final = 30

OnProgress = Callable[[int, int], None]
BlockT = TypeVar("BlockT")
SharedT = TypeVar("SharedT")
AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class Spread:
    """Where blocks are computed, and who is told how many are done."""

    options: ClusterOptions
    on_progress: OnProgress


def walked(study: WalkStudy, dates: Sequence[date], spread: Spread) -> pd.DataFrame:
    """Return the walk's rows with their tails beside them, by variant, book and date.

    Raises
    ------
    MissingDataError
        If no date has a price of a held asset at both ends of its horizon.
    """
    wide = len(study.variants) * len(study.books) > 200
    blocks = _blocks(dates, DATES_PER_WIDE_BLOCK if wide else DATES_PER_BLOCK)
    parts = [part for part in _answers("walk", walk_block, study, blocks, spread) if len(part)]
    if not parts:
        raise MissingDataError(
            "no date to test: none has a close of a held asset on its own and on the next day"
        )
    rows = pd.concat(parts, ignore_index=True)
    return rows.sort_values(["variant", "book", "date"], ignore_index=True)


def walk_block(study: WalkStudy, dates: Sequence[date]) -> pd.DataFrame:
    """Return the rows and tails of one block of dates."""
    found = walk(study, dates)
    if not any(variant.keeps_tail for variant in study.variants):
        return found.days[list(WALK_COLUMNS)]
    tails = pd.DataFrame(found.tails, columns=list(TAIL_COLUMNS))
    return pd.concat([found.days, tails], axis=1)


def scored(study: WalkStudy, dates: Sequence[date], spread: Spread) -> pd.DataFrame:
    """Return the mean score of each variant on each date."""
    blocks = _blocks(dates, DATES_PER_WIDE_BLOCK)
    parts = [part for part in _answers("score", scores, study, blocks, spread) if len(part)]
    if not parts:
        raise MissingDataError("no date to tune on: none has a forecast and a loss")
    rows = pd.concat(parts, ignore_index=True)
    return rows.sort_values(["variant", "date"], ignore_index=True)


def judged(forecasts: Sequence[Forecasts], confidence: float, spread: Spread) -> list[Verdict]:
    """Return the verdict on each book, in their order."""
    return _answers("judge", verdict_of, confidence, forecasts, spread)


def verdict_of(confidence: float, forecasts: Forecasts) -> Verdict:
    """Return the verdict on one book."""
    return verdict(forecasts, confidence=confidence)


def _blocks(dates: Sequence[date], n: int) -> list[Sequence[date]]:
    return [dates[first : first + n] for first in range(0, len(dates), n)]


def _answers(
    name: str,
    function: Callable[[SharedT, BlockT], AnswerT],
    shared: SharedT,
    blocks: Sequence[BlockT],
    spread: Spread,
) -> list[AnswerT]:
    work = FanOut(name, function, shared, blocks)
    found: list[AnswerT] = []
    answers = fan_out(work, spread.options, lambda n: spread.on_progress(n, len(blocks)))
    for answer in answers:
        if isinstance(answer, LostBlock):
            raise MissingDataError(f"{name}: {answer.reason}")
        found.append(answer)
    return found
