"""Choose a filter on the past, by a rule that was fixed beforehand, and look at it afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D
from engine.backtest.findings import mean_score_by_day
from engine.backtest.scores import ScoreComparison, compare_scores, joint_score
from engine.backtest.variants import SHIPPED
from engine.backtest.walk_forward import WalkStudy, as_float, walk

SIGNIFICANCE: Final = 0.05
# Rises of margin that a better score may cost, against those of the shipped parameters.
RISE_RATIO_MAX: Final = 1.10
N_LAGS: Final = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """Best filter of the grid on tuning data, and whether it replaces the shipped one.

    It does when its scores are better by more than chance at 5 % in each third of the tuning data,
    and its largest 20-day rise of margin, in the mean over books, is at most a tenth above that of
    the shipped parameters. ``steady`` names the filters of the grid that are better in each third.
    ``later`` compares the two on data that had no part in the choice; None without such data.
    """

    variant: str
    is_shipped: bool
    replaces: bool
    rise_ratio: float
    tuning: ScoreComparison
    steady: tuple[str, ...]
    later: ScoreComparison | None


def scores(study: WalkStudy, dates: Sequence[date]) -> pd.DataFrame:
    """Return date, variant, mean joint score of all books, and exceptions among ``n`` forecasts.

    Days on which a variant forecasts no shortfall for a book leave the book out.
    """
    confidence = {variant.name: variant.confidence for variant in study.variants}
    variants = tuple(replace(variant, forecasts_only=True) for variant in study.variants)
    parts = []
    walked = walk(replace(study, variants=variants), dates)
    for name, rows in walked.days.groupby("variant", sort=True):
        known = rows[rows["expected_shortfall"] > 0.0]
        score = joint_score(
            as_float(known, "loss"),
            as_float(known, "value_at_risk"),
            as_float(known, "expected_shortfall"),
            confidence=confidence[str(name)],
        )
        scored = known.assign(score=score, exceptions=known["loss"] > known["value_at_risk"], n=1)
        wanted = {"score": "mean", "exceptions": "sum", "n": "sum"}
        by_day = scored.groupby("date", sort=True).agg(wanted).reset_index()
        parts.append(by_day.assign(variant=str(name)))
    columns = ["date", "variant", "score", "exceptions", "n"]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)


def grid_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return each variant's mean score, its gap to the shipped one with t and p, best first.

    ``worst_third_p_value`` is the largest p-value of the thirds of the days, 1 where the variant is
    not better in one of them.
    """
    shipped = mean_score_by_day(found, SHIPPED)
    rows = []
    for name in sorted(found["variant"].unique()):
        own = mean_score_by_day(found, str(name))
        gap = compare_scores(own - shipped, n_lags=N_LAGS)
        part = found[found["variant"] == name]
        rows.append(
            {
                "variant": str(name),
                "score": float(own.mean()),
                "gap": gap.mean_difference,
                "t_statistic": gap.t_statistic,
                "p_value": gap.p_value,
                "worst_third_p_value": _worst_third(own - shipped),
                "exception_rate": float(part["exceptions"].sum() / part["n"].sum()),
            }
        )
    return pd.DataFrame(rows).sort_values(["score", "variant"], ignore_index=True)


def choose(
    table: pd.DataFrame, rises: pd.DataFrame, tuned: pd.DataFrame, later: pd.DataFrame
) -> Choice:
    """Return the choice.

    Parameters
    ----------
    table : pandas.DataFrame
        ``grid_table`` of the tuning data.
    rises : pandas.DataFrame
        variant, book, rise_20 on the tuning data, of the best and the shipped filter.
    tuned, later : pandas.DataFrame
        ``scores`` on the tuning data and afterwards; the latter may be empty.
    """
    best = str(table["variant"].iloc[0])
    mean_rise = rises.groupby("variant", sort=True)["rise_20"].mean()
    ratio = float(mean_rise[best] / mean_rise[SHIPPED])
    steady = table[table["worst_third_p_value"] < SIGNIFICANCE]["variant"]
    return Choice(
        variant=best,
        is_shipped=best == SHIPPED,
        replaces=best in set(steady) and ratio <= RISE_RATIO_MAX,
        rise_ratio=ratio,
        tuning=_gap(tuned, best),
        steady=tuple(str(name) for name in steady),
        later=_gap(later, best) if len(later) else None,
    )


def _gap(found: pd.DataFrame, best: str) -> ScoreComparison:
    difference = mean_score_by_day(found, best) - mean_score_by_day(found, SHIPPED)
    return compare_scores(difference, n_lags=min(N_LAGS, difference.size - 1))


def _worst_third(difference: Float64Array1D) -> float:
    thirds = np.array_split(difference, 3)
    if thirds[-1].size <= N_LAGS:
        return 1.0
    gaps = [compare_scores(third, n_lags=N_LAGS) for third in thirds]
    return max(gap.p_value if gap.mean_difference < 0.0 else 1.0 for gap in gaps)
