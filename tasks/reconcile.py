"""Keep the differences between order management, venues and clearing, with their age and owner."""

from __future__ import annotations

import pandas as pd

from engine.reconciliation.margin_model import margin_breaks
from infra.report.markdown import breaks_table
from tasks import artifacts
from tasks.assessments import read_assessment
from tasks.records import facts_of, run_folder
from tasks.steps import Achievement, achieve, step
from tasks.workplace import Workplace, workplace


@step("reconcile")
def reconcile_books(run_id: str) -> None:
    """Record the breaks that the requirement was computed under: new, persisting and closed."""
    facts = achieve(run_id, "reconcile", lambda place: _reconcile(place, run_id))
    breaks = workplace().store.read_frame(breaks_path(run_id))
    artifacts.show_table(
        "breaks",
        breaks_table(breaks, rows_max=artifacts.ROWS_MAX),
        "Differences between the three books, and between the margin that venues report and our "
        f"models of them, oldest first: {facts['new']} new, "
        f"{facts['persisting']} persisting, {facts['closed']} closed.",
        len(breaks),
    )


def breaks_path(run_id: str) -> str:
    """Return where the breaks of a run are kept."""
    return f"{run_folder(run_id)}/breaks.parquet"


def _reconcile(place: Workplace, run_id: str) -> Achievement:
    hashes = facts_of(run_id, "require")["hashes"]
    assessment = read_assessment(place.store, run_id, hashes)
    models = margin_breaks(assessment.venue_drift)
    seen = pd.concat([assessment.breaks, models], ignore_index=True) if len(models) else None
    breaks = place.database.breaks.update(run_id, assessment.breaks if seen is None else seen)
    # Without any break the record has no facts to make columns of.
    absent = [name for name in assessment.breaks.columns if name not in breaks.columns]
    breaks = breaks.assign(**{name: assessment.breaks[name].iloc[:0] for name in absent})
    written = place.store.write_frame(breaks_path(run_id), breaks)
    counts = {
        status: int((breaks["status"] == status).sum())
        for status in ("new", "persisting", "closed")
    }
    return Achievement(counts, written)
