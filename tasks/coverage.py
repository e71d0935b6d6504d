"""Count the model's exceptions over the last year of history, for the report of the close."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import pandas as pd

from engine.backtest.books import CoverageBook
from engine.backtest.coverage import first_testable_date
from engine.rules import Agreement
from engine.snapshot import Snapshot
from infra.telemetry import Step, progress
from tasks import artifacts
from tasks.assessments import read_assessment
from tasks.closes import load_basis, usd_rates_of
from tasks.coverage_days import (
    CONFIDENCE,
    CoverageStudy,
    closes_of,
    exception_counts,
    measure_coverage,
)
from tasks.records import facts_of, run_folder
from tasks.steps import Achievement, achieve, step
from tasks.workplace import Workplace

DAYS_TESTED: Final = 250
# Ten underlyings hold nearly all of a crypto house's exposure; each more makes every day slower.
UNDERLYINGS_MAX: Final = 10
REFERENCE_BOOK: Final = "reference book"
SUBJECT: Final = (
    f"Reference book: gross exposure of all netting sets to their {UNDERLYINGS_MAX} largest "
    "underlyings, held long"
)


@step("coverage")
def count_exceptions(run_id: str) -> None:
    """Margin a reference book on each of the last 250 days and count the days that lost more."""
    facts = achieve(run_id, "coverage", lambda place: _count(place, run_id))
    artifacts.show_table(
        "coverage",
        [{key.replace("_", " "): str(value) for key, value in facts.items() if key != "hash"}],
        f"{SUBJECT}: losses of the next day against margin, over up to {DAYS_TESTED} days.",
    )


def coverage_path(run_id: str) -> str:
    """Return where the coverage of a run is kept."""
    return f"{run_folder(run_id)}/coverage.parquet"


def _count(place: Workplace, run_id: str) -> Achievement:
    bar = artifacts.ProgressBar("coverage-days", "Days of history margined")

    def on_progress(n_done: int, n_total: int) -> None:
        bar.update(n_done, n_total)
        if n_done < n_total:
            progress().report(Step("coverage", n_done, n_total, f"{n_done} of {n_total} blocks"))

    close = load_basis(place, run_id).close
    hashes = facts_of(run_id, "require")["hashes"]
    contributions = read_assessment(place.store, run_id, hashes).contributions
    exposure = _gross_exposure(contributions, close.snapshot, close.rules.agreements)
    house = close.rules.house
    study = CoverageStudy(
        closes=closes_of(close.snapshot.price_history, {*exposure}, house),
        books=(CoverageBook(REFERENCE_BOOK, exposure),),
        house=house,
        confidence=CONFIDENCE,
    )
    last = close.snapshot.business_date - timedelta(days=1)
    first = max(
        last - timedelta(days=DAYS_TESTED - 1), first_testable_date(study.closes, study.house)
    )
    days = measure_coverage(study, _dates(first, last), place.cluster_options, on_progress)
    written = place.store.write_frame(coverage_path(run_id), days)
    return Achievement({**exception_counts(days), "hash": written}, written)


def _dates(first: date, last: date) -> list[date]:
    return [first + timedelta(days=k) for k in range((last - first).days + 1)]


def _gross_exposure(
    contributions: pd.DataFrame, snapshot: Snapshot, agreements: Mapping[str, Agreement]
) -> dict[str, float]:
    """Return the absolute delta exposure of all netting sets by underlying. [USD]"""
    rates = usd_rates_of(snapshot)
    currency = contributions["netting_set_id"].map(
        {name: terms.currency for name, terms in agreements.items()}
    )
    in_usd = contributions["delta_notional"].abs() * currency.map(rates).astype("float64")
    by_underlying = in_usd.groupby(contributions["underlying"], sort=True).sum()
    largest = by_underlying[by_underlying > 0.0].sort_values(ascending=False, kind="stable")
    return {str(asset): float(value) for asset, value in largest[:UNDERLYINGS_MAX].items()}
