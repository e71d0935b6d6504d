"""What a scorecard shows: every table and series, worked out before anything is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from infra.report.inputs import RunFacts

ONE_DAY, HOUSE = "one day", "house"
# A p-value below it speaks against the model.
SIGNIFICANCE = 0.05


@dataclass(frozen=True, slots=True)
class HistoryFacts:
    """How much was tested, and how closely the walk met whole assessments."""

    n_days: int
    n_compared: int
    largest_difference: float


@dataclass(frozen=True, slots=True, eq=False)
class ScorecardContent:
    """The content of one scorecard.

    Attributes
    ----------
    run : RunFacts
        Which run; the snapshot is the hash of the walk, the rule book that of the parameters.
    confidence : float
        Of the forecasts. [-]
    facts : HistoryFacts
    families : mapping of str to str
        Group of each book.
    notional : mapping of str to float
        Gross exposure of each book. [USD]
    verdicts : pandas.DataFrame
        A row per variant and book: the fields of ``engine.backtest.verdict.Verdict``.
    regimes, tools, sensitivity, replays, misses : pandas.DataFrame
        Tables of ``engine.backtest.findings`` and ``engine.backtest.replays``.
    drawn : mapping of str to pandas.DataFrame
        date, loss, value_at_risk, requirement, exception of the books that are drawn.
    tool_days : pandas.DataFrame
        date, variant, share: requirement over exposure of one book under each tool.
    tool_book : str
        Which book that is.
    grid : pandas.DataFrame
        Filters that the tuning chose from; empty without tuning.
    choice : mapping of str to object
        What it chose; empty without tuning.
    """

    run: RunFacts
    confidence: float
    facts: HistoryFacts
    families: Mapping[str, str]
    notional: Mapping[str, float]
    verdicts: pd.DataFrame
    regimes: pd.DataFrame
    tools: pd.DataFrame
    sensitivity: pd.DataFrame
    replays: pd.DataFrame
    misses: pd.DataFrame
    drawn: Mapping[str, pd.DataFrame]
    tool_days: pd.DataFrame
    tool_book: str
    grid: pd.DataFrame
    choice: Mapping[str, object]

    def of(self, variant: str) -> pd.DataFrame:
        """Return the verdicts of one variant, with words for what the tests say."""
        rows = self.verdicts[self.verdicts["variant"] == variant].reset_index(drop=True)
        rows["family"] = rows["book"].map(self.families)
        rows["coverage"] = [
            _coverage(row["coverage_p_value"], row["exceptions"], row["expected"])
            for row in rows.to_dict(orient="records")
        ]
        rows["clustering"] = [_word(p, "clustered") for p in rows["independence_p_value"]]
        rows["shortfall"] = [_word(p, "too low") for p in rows["shortfall_p_value"]]
        rows["requirement_share"] = [
            value / self.notional[book]
            for value, book in zip(rows["mean_requirement"], rows["book"], strict=True)
        ]
        order = {name: i for i, name in enumerate(self.families)}
        return rows.sort_values("book", key=lambda names: names.map(order), ignore_index=True)


def _coverage(p_value: float, exceptions: int, expected: float) -> str:
    if p_value != p_value or p_value >= SIGNIFICANCE:
        return "accepted" if p_value == p_value else "untested"
    return "too little" if exceptions > expected else "too much"


def _word(p_value: float, rejected: str) -> str:
    if p_value != p_value:
        return "untested"
    return rejected if p_value < SIGNIFICANCE else "accepted"
