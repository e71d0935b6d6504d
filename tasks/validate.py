"""Check every dataset against its contract: accepted and quarantined rows, each with reasons."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date

import pandas as pd

from data_contracts.registry import contract
from data_contracts.results import CheckResult, Validation
from data_contracts.validation import faults, validate
from engine.errors import ContractViolation
from engine.times import close_of
from infra.market.daily import DATASETS
from infra.market.readings import reading_faults
from infra.report.markdown import dataset_table, quality_table
from infra.report.readings import BY_VENUE, venue_rows
from infra.telemetry import Step, progress
from tasks import artifacts
from tasks.assessments import joint_hash
from tasks.ingest import raw_path
from tasks.quality import checks_path, counts_path, faults_path, run_facts
from tasks.records import facts_of, run_folder
from tasks.steps import Achievement, achieve, step
from tasks.workplace import Workplace, workplace


@step("validate")
def validate_rows(run_id: str) -> None:
    """Validate all datasets; the batch goes on without the quarantined rows.

    Raises
    ------
    ContractViolation
        If a required dataset as a whole is refused; the quality page is written before.
    """
    facts = achieve(run_id, "validate", lambda place: _validate(place, run_id))
    store = workplace().store
    artifacts.show_table(
        "datasets",
        dataset_table(store.read_frame(counts_path(run_id))),
        f"{facts['accepted']:,} rows accepted, {facts['quarantined']:,} quarantined.",
    )
    checks = store.read_frame(checks_path(run_id))
    artifacts.show_table(
        "data-quality",
        quality_table(checks, rows_max=artifacts.ROWS_MAX),
        "Every rule of the data contracts, broken ones first.",
        len(checks),
    )
    _show_by_venue(run_id)
    _refuse(facts["refusals"])


def _show_by_venue(run_id: str) -> None:
    """Show by venue what was accepted and quarantined, where the close was read from venues."""
    store = workplace().store
    readings = store.read_frame(accepted_path(run_id, "readings"))
    if readings.empty:
        return
    frames = {
        name: (
            store.read_frame(accepted_path(run_id, name)),
            store.read_frame(f"{run_folder(run_id)}/quarantine/{name}.parquet"),
        )
        for name in BY_VENUE
    }
    artifacts.show_table(
        "venues-read",
        venue_rows(readings, frames),
        "By venue or custodian: what was read, kept out and quarantined.",
    )


def accepted_path(run_id: str, dataset: str) -> str:
    """Return where the accepted rows of a dataset are kept."""
    return f"{run_folder(run_id)}/accepted/{dataset}.parquet"


def _validate(place: Workplace, run_id: str) -> Achievement:
    run = place.database.runs.get(run_id)
    kept: dict[str, Validation] = {}
    hashes: dict[str, str] = {}
    parts = []
    for position, dataset in enumerate(DATASETS):
        name = dataset.name
        progress().report(Step("validate", position, len(DATASETS), name))
        raw = place.store.read_frame(raw_path(run_id, name))
        found = validate(contract(name), raw, run.business_date)
        kept[name] = found
        parts.append(faults(contract(name), found, run.business_date))
        if name == "readings":
            parts.append(reading_faults(found.accepted))
        quarantine = f"{run_folder(run_id)}/quarantine/{name}.parquet"
        hashes[quarantine] = place.store.write_frame(quarantine, found.quarantined)
        accepted = accepted_path(run_id, name)
        # Nothing of a dataset that is refused as a whole is used: its rows are not believed.
        usable = found.accepted if found.refusal is None else found.accepted.iloc[:0]
        hashes[accepted] = place.store.write_frame(accepted, usable)
    checks = [check for found in kept.values() for check in found.checks]
    counts = _counts(run_id, kept)
    frames = {
        checks_path(run_id): _frame(checks),
        counts_path(run_id): counts,
        faults_path(run_id): pd.concat(parts, ignore_index=True),
    }
    for path, frame in frames.items():
        hashes[path] = place.store.write_frame(path, frame)
    kept_out = _kept_out(kept)
    hashes["quality.html"] = _write_page(place, run_id, run.business_date, frames, kept_out)
    return Achievement(
        {
            "accepted": int(counts["n_accepted"].sum()),
            "quarantined": int(counts["n_quarantined"].sum()),
            "refusals": {
                dataset.name: str(kept[dataset.name].refusal)
                for dataset in DATASETS
                if dataset.stops_when_refused and kept[dataset.name].refusal is not None
            },
        },
        joint_hash(hashes),
    )


def _kept_out(kept: dict[str, Validation]) -> pd.DataFrame:
    """Return every quarantined row with its reason: dataset, row, reason."""
    rows = [
        (name, int(row), str(reason))
        for name, found in kept.items()
        for row, reason in zip(found.quarantined["_row"], found.quarantined["_reason"], strict=True)
    ]
    return pd.DataFrame(rows, columns=["dataset", "row", "reason"])


def _write_page(
    place: Workplace,
    run_id: str,
    business_date: date,
    frames: dict[str, pd.DataFrame],
    kept_out: pd.DataFrame,
) -> str:
    from infra.report.quality_page import publish_quality_page

    run = place.database.runs.get(run_id)
    return publish_quality_page(
        run_facts(run, close_of(business_date), "running"),
        frames[checks_path(run_id)],
        frames[counts_path(run_id)],
        place.store,
        run_folder(run_id),
        kept_out,
    )


def _counts(run_id: str, kept: dict[str, Validation]) -> pd.DataFrame:
    origins = facts_of(run_id, "ingest")["datasets"]
    rows = [
        {
            "dataset": name,
            "n_rows": found.n_rows,
            "n_accepted": len(found.accepted),
            "n_quarantined": len(found.quarantined),
            "origin": origins[name]["origin"],
            "refusal": found.refusal or "",
        }
        for name, found in kept.items()
    ]
    return pd.DataFrame(rows).astype({"dataset": "str", "origin": "str", "refusal": "str"})


def _frame(checks: list[CheckResult]) -> pd.DataFrame:
    texts = dict.fromkeys(("dataset", "rule", "column", "kind", "detail"), "str")
    return pd.DataFrame([asdict(check) for check in checks]).astype(texts)


def _refuse(refusals: dict[str, str]) -> None:
    if refusals:
        first = next(iter(refusals))
        raise ContractViolation("; ".join(refusals.values()), identifier=first, value=len(refusals))
