"""Write the committee report of the run and show where it is."""

from __future__ import annotations

import pandas as pd

from engine.requirements import FAILED
from infra.db import RunHandle
from infra.report import ReportInputs, coverage_of
from infra.report.markdown import (
    change_chart_data_url,
    summary_markdown,
    utilisation_chart_data_url,
)
from tasks import artifacts
from tasks.assessments import joint_hash, read_assessment
from tasks.call import calls_path
from tasks.closes import load_basis, usd_rates_of
from tasks.coverage import SUBJECT, coverage_path
from tasks.coverage_days import CONFIDENCE
from tasks.differences import difference_frame, difference_path
from tasks.explain_change import attribution_path
from tasks.quality import checks_path, counts_path, run_facts
from tasks.reconcile import breaks_path
from tasks.records import facts_of, run_folder
from tasks.steps import Achievement, achieve, step
from tasks.totals import total_history
from tasks.workplace import Workplace, workplace


@step("publish")
def publish_report(run_id: str) -> None:
    """Write ``report.html``, its JSON and Parquet twins and, on a rerun, the differences."""
    from infra.report.document import document

    achieve(run_id, "publish", lambda place: _publish(place, run_id))
    place = workplace()
    inputs = report_inputs(place, run_id)
    url = place.store.url_of(f"{run_folder(run_id)}/report.html")
    artifacts.show_markdown(
        "summary", summary_markdown(inputs, report_url=url), "The run at a glance"
    )
    artifacts.show_link("report", url, "The committee report", "Self-contained HTML")
    artifacts.show_picture(
        "utilisation",
        utilisation_chart_data_url(inputs.assessment, inputs.usd_rates),
        "Requirement against collateral",
    )
    artifacts.show_picture(
        "change-chart",
        change_chart_data_url(document(inputs)),
        "From the previous total to this one",
    )


def report_inputs(place: Workplace, run_id: str) -> ReportInputs:
    """Return everything that the report of a run shows, from what its steps have kept."""
    run = place.database.runs.get(run_id)
    basis = load_basis(place, run_id)
    assessment = read_assessment(place.store, run_id, facts_of(run_id, "require")["hashes"])
    calls = place.store.read_frame(calls_path(run_id))
    breaks = place.store.read_frame(breaks_path(run_id))
    previous_id = facts_of(run_id, "explain")["previous"]
    previous = place.database.runs.get(previous_id) if previous_id else None
    return ReportInputs(
        run=run_facts(run, basis.close.snapshot.as_of, outcome_status(assessment.requirements)),
        assessment=assessment,
        rules=basis.close.rules,
        previous=_requirements(place, previous),
        previous_date=previous.business_date if previous else None,
        attribution=place.store.read_frame(attribution_path(run_id)) if previous else None,
        calls=calls,
        breaks=breaks,
        checks=place.store.read_frame(checks_path(run_id)),
        dataset_counts=place.store.read_frame(counts_path(run_id)),
        coverage=coverage_of(
            SUBJECT, "USD", place.store.read_frame(coverage_path(run_id)), CONFIDENCE
        ),
        history=total_history(place, run, assessment.requirements),
        usd_rates=usd_rates_of(basis.close.snapshot),
    )


def outcome_status(requirements: pd.DataFrame) -> str:
    """Return how a run with these requirements ends: a failed netting set makes it incomplete."""
    return "incomplete" if bool((requirements["status"] == FAILED).any()) else "completed"


def _publish(place: Workplace, run_id: str) -> Achievement:
    from infra.report.write import publish_report as write

    run = place.database.runs.get(run_id)
    hashes = write(report_inputs(place, run_id), place.store, run_folder(run_id))
    if run.supersedes is not None:
        before = place.database.runs.get(run.supersedes)
        found = difference_frame(_requirements(place, before), _requirements(place, run))
        if found is not None:
            path = difference_path(run_id)
            hashes = {**hashes, path: place.store.write_frame(path, found)}
    return Achievement({"files": len(hashes)}, joint_hash(hashes))


def _requirements(place: Workplace, run: RunHandle | None) -> pd.DataFrame | None:
    """Return the requirements that a run has kept; None if it never came so far."""
    if run is None or place.database.runs.step_result(run.run_id, "require") is None:
        return None
    hashes = facts_of(run.run_id, "require")["hashes"]
    return read_assessment(place.store, run.run_id, hashes).requirements
