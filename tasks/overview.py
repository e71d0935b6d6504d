"""A finished run for people: who owes what, and where everything is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.assessment import Assessment
from engine.errors import MissingDataError
from infra.report import explain_json, explain_view, owes_table
from infra.report.venues import venue_lines
from tasks.assessments import read_assessment
from tasks.closes import RunBasis, load_basis, usd_rates_of
from tasks.lookup import chosen_run
from tasks.records import run_folder
from tasks.session import served_at
from tasks.workplace import workplace

if TYPE_CHECKING:
    from rich.console import RenderableType


def owes(run_id: str) -> RenderableType:
    """Return the table of what each client owes and why."""
    basis, assessment = _results(run_id)
    return owes_table(assessment, usd_rates=usd_rates_of(basis.close.snapshot))


def explained(netting_set_id: str, run_id: str | None) -> RenderableType:
    """Return one netting set's requirement down to scenarios, positions and parameters."""
    basis, assessment = _results(chosen_run(run_id).run_id)
    return explain_view(assessment, basis.close.snapshot, basis.close.rules, netting_set_id)


def explained_as_json(netting_set_id: str, run_id: str | None) -> dict[str, Any]:
    """Return ``explained`` as JSON values."""
    run = chosen_run(run_id)
    basis, assessment = _results(run.run_id)
    found = explain_json(assessment, basis.close.snapshot, basis.close.rules, netting_set_id)
    return {"run_id": run.run_id, **found}


def overview(run_id: str) -> dict[str, Any]:
    """Return a run's outcome and the places of its results, as JSON values."""
    place = workplace()
    run = place.database.runs.get(run_id)
    return {
        "run_id": run.run_id,
        "business_date": run.business_date.isoformat(),
        "sequence": run.sequence,
        "status": run.status,
        "snapshot_id": run.snapshot_id,
        "rule_book_hash": run.rule_book_hash,
        "code_version": run.code_version,
        "inputs": dict(run.inputs),
        "summary": dict(run.summary or {}),
        "report": place.store.url_of(f"{run_folder(run_id)}/report.html"),
        "quality": place.store.url_of(f"{run_folder(run_id)}/quality.html"),
        "database": place.database.label,
    }


def whereabouts(run_id: str) -> str:
    """Return, in a few lines, where report, quality page, database and pages are."""
    found = overview(run_id)
    served = served_at(workplace().settings)
    pages = served.ui_url if served else "start `plimsoll serve`"
    failed = found["summary"].get("failed", [])
    outcome = f"{found['status']}, {len(failed)} failed" if failed else found["status"]
    _, assessment = _results(run_id)
    return "\n".join(
        (
            f"run       {run_id} ({outcome})",
            *venue_lines(assessment),
            f"report    {found['report']}",
            f"quality   {found['quality']}",
            f"database  {found['database']}",
            f"pages     {pages}",
            f"why       plimsoll explain {_first_netting_set(run_id)} --run {run_id}",
        )
    )


def _first_netting_set(run_id: str) -> str:
    """Return the netting set with the largest requirement: the one people ask about."""
    _, assessment = _results(run_id)
    ordered = assessment.requirements.sort_values(
        ["requirement", "netting_set_id"], ascending=[False, True]
    )
    return str(ordered["netting_set_id"].iloc[0])


def _results(run_id: str) -> tuple[RunBasis, Assessment]:
    place = workplace()
    found = place.database.runs.step_result(run_id, "require")
    if found is None:
        run = place.database.runs.get(run_id)
        raise MissingDataError(
            f"{run_id} is {run.status} and has no requirements yet; resume it with "
            f"`plimsoll eod --date {run.business_date}`",
            identifier=run_id,
        )
    return load_basis(place, run_id), read_assessment(
        place.store, run_id, dict(found.result["hashes"])
    )
