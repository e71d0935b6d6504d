"""What a report is made from: everything that the page shows comes in here, the clock included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from engine.assessment import Assessment
from engine.errors import ModelInputError
from engine.rules import RuleBook
from engine.times import require_utc

ATTRIBUTION_COLUMNS = ("netting_set_id", "market", "position", "parameter", "other")
CALL_COLUMNS = ("netting_set_id", "currency", "direction", "amount")
BREAK_COLUMNS = (
    "break_id", "kind", "netting_set_id", "account_id", "item", "oms_quantity",
    "venue_quantity", "clearing_quantity", "difference", "tolerance", "owner", "age_days",
)  # fmt: skip
CHECK_COLUMNS = ("dataset", "rule", "column", "n_evaluated", "n_failed", "passed", "detail")
COUNT_COLUMNS = ("dataset", "n_accepted", "n_quarantined")
COVERAGE_COLUMNS = ("date", "loss", "value_at_risk", "requirement", "exception")
HISTORY_COLUMNS = ("business_date", "currency", "requirement")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Which run the report is about. ``as_of`` is the instant of the close, in UTC."""

    run_id: str
    business_date: date
    sequence: int
    snapshot_id: str
    rule_book_hash: str
    code_version: str
    status: str
    as_of: datetime

    def __post_init__(self) -> None:
        require_utc(self.as_of, "as_of")


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """A back-test of the requirement against what then happened.

    Attributes
    ----------
    subject : str
        The book tested, in words.
    currency : str
        Currency of losses and requirements.
    days : pandas.DataFrame
        date, loss (> 0 is a loss), value_at_risk, requirement, exception (bool: a loss beyond the
        value at risk): one row per tested day.
    confidence : float
        Share of days that the value at risk should cover. [-]
    likelihood_ratio, p_value : float
        Kupiec's proportion-of-failures test. [-]
    zone : str
        ``green``, ``yellow`` or ``red`` of the traffic light.
    """

    subject: str
    currency: str
    days: pd.DataFrame
    confidence: float
    likelihood_ratio: float
    p_value: float
    zone: str

    def __post_init__(self) -> None:
        require_columns(self.days, COVERAGE_COLUMNS, "coverage")
        if not 0.0 < self.confidence < 1.0:
            raise ModelInputError(
                f"coverage confidence {self.confidence} is not between 0 and 1",
                identifier="coverage.confidence",
                value=self.confidence,
                limit="0 < confidence < 1",
            )


@dataclass(frozen=True, slots=True, eq=False)
class ReportInputs:
    """Everything a report shows; what is ``None`` is said to be absent, never guessed.

    Attributes
    ----------
    run : RunFacts
        The run.
    assessment : Assessment
        Its result.
    rules : RuleBook
        Parameters and agreements in force.
    previous : pandas.DataFrame or None
        ``Assessment.requirements`` of the previous business date.
    previous_date : date or None
        That date.
    attribution : pandas.DataFrame or None
        ATTRIBUTION_COLUMNS in the agreement's currency; rows sum to the change of requirement.
    calls : pandas.DataFrame or None
        CALL_COLUMNS, one row per call or return of the day, ``amount`` an exact Decimal > 0; shown
        too when there: call_id, margin_type, state, due_at. ``None``: the assessment's decisions.
    breaks : pandas.DataFrame or None
        BREAK_COLUMNS: reconciliation breaks with the days since each was first seen; shown too
        when there: status (``closed`` ones are left out). ``None``: the assessment's, age unknown.
    checks : pandas.DataFrame or None
        CHECK_COLUMNS, one row per rule of a data contract.
    dataset_counts : pandas.DataFrame or None
        COUNT_COLUMNS, one row per dataset; shown too when there: n_rows, origin, refusal.
    coverage : Coverage or None
        Back-test to show.
    history : pandas.DataFrame or None
        HISTORY_COLUMNS: total requirement by business date; ``collateral_value`` if known.
    usd_rates : Mapping[str, float]
        USD per unit of each agreement currency; needed when agreements differ in currency.
    """

    run: RunFacts
    assessment: Assessment
    rules: RuleBook
    previous: pd.DataFrame | None = None
    previous_date: date | None = None
    attribution: pd.DataFrame | None = None
    calls: pd.DataFrame | None = None
    breaks: pd.DataFrame | None = None
    checks: pd.DataFrame | None = None
    dataset_counts: pd.DataFrame | None = None
    coverage: Coverage | None = None
    history: pd.DataFrame | None = None
    usd_rates: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for frame, columns, name in (
            (self.attribution, ATTRIBUTION_COLUMNS, "attribution"),
            (self.calls, CALL_COLUMNS, "calls"),
            (self.breaks, BREAK_COLUMNS, "breaks"),
            (self.checks, CHECK_COLUMNS, "checks"),
            (self.dataset_counts, COUNT_COLUMNS, "dataset_counts"),
            (self.history, HISTORY_COLUMNS, "history"),
        ):
            if frame is not None:
                require_columns(frame, columns, name)


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Files of a written report."""

    html: Path
    json: Path
    tables: tuple[Path, ...]


def require_columns(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    """Raise ModelInputError if ``frame`` lacks one of ``columns``."""
    absent = [column for column in columns if column not in frame.columns]
    if absent:
        raise ModelInputError(
            f"report input {name} lacks the columns {', '.join(absent)}; "
            f"it needs {', '.join(columns)}",
            identifier=name,
            value=", ".join(str(column) for column in frame.columns),
            limit=", ".join(columns),
        )
