"""Where a run keeps what validation found, and the facts that its pages name it by."""

from __future__ import annotations

from datetime import datetime

from infra.db import RunHandle
from infra.report import RunFacts
from tasks.records import run_folder


def checks_path(run_id: str) -> str:
    """Return where the outcome of every rule is kept."""
    return f"{run_folder(run_id)}/quality/checks.parquet"


def counts_path(run_id: str) -> str:
    """Return where the rows accepted and quarantined by dataset are kept."""
    return f"{run_folder(run_id)}/quality/counts.parquet"


def faults_path(run_id: str) -> str:
    """Return where the rows that leave an identifier without data are kept."""
    return f"{run_folder(run_id)}/quality/faults.parquet"


def run_facts(run: RunHandle, as_of: datetime, status: str) -> RunFacts:
    """Return the facts of a run at a step; snapshot and rule book are dashes until frozen."""
    return RunFacts(
        run_id=run.run_id,
        business_date=run.business_date,
        sequence=run.sequence,
        snapshot_id=run.snapshot_id or "-",
        rule_book_hash=run.rule_book_hash or "-",
        code_version=run.code_version,
        status=status,
        as_of=as_of,
    )
