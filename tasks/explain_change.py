"""Say why requirements changed since the previous close: market, positions, parameters."""

from __future__ import annotations

import pandas as pd

from engine.attribution import attribute_change
from infra.report.amounts import signed
from tasks import artifacts
from tasks.assessments import read_assessment
from tasks.closes import load_basis
from tasks.kinds import KIND
from tasks.records import facts_of, run_folder
from tasks.steps import Achievement, achieve, step
from tasks.workplace import Workplace, workplace

_PARTS = ("market", "position", "parameter", "other")


@step("explain")
def explain_change(run_id: str) -> None:
    """Split each change of requirement by what changed; nothing to do for the first close."""
    facts = achieve(run_id, "explain", lambda place: _explain(place, run_id))
    if facts["previous"] == "":
        return
    frame = workplace().store.read_frame(attribution_path(run_id))
    totals = frame.groupby("currency", sort=True)[["previous", *_PARTS, "current"]].sum()
    artifacts.show_table(
        "change",
        [
            {"Currency": str(currency)}
            | {name.capitalize(): signed(float(row[name])) for name in row.index}
            for currency, row in totals.iterrows()
        ],
        f"Change of the total requirement since {facts['previous']}, by cause",
    )


def attribution_path(run_id: str) -> str:
    """Return where the explanation of the change is kept."""
    return f"{run_folder(run_id)}/attribution.parquet"


def _explain(place: Workplace, run_id: str) -> Achievement:
    run = place.database.runs.get(run_id)
    previous = place.database.runs.previous(KIND, run.business_date)
    if previous is None:
        return Achievement({"previous": "", "netting_sets": 0}, "")
    before, after = load_basis(place, previous.run_id), load_basis(place, run_id)
    frame = attribute_change(
        before.close,
        after.close,
        _requirements(place, previous.run_id),
        _requirements(place, run_id),
    )
    written = place.store.write_frame(attribution_path(run_id), frame)
    return Achievement({"previous": previous.run_id, "netting_sets": len(frame)}, written)


def _requirements(place: Workplace, run_id: str) -> pd.DataFrame:
    hashes = facts_of(run_id, "require")["hashes"]
    return read_assessment(place.store, run_id, hashes).requirements
