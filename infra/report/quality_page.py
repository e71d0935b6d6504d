"""The data quality of a run as a page of its own, written before there is any margin to report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from infra.report.amounts import count
from infra.report.headline import quality_headline
from infra.report.inputs import CHECK_COLUMNS, COUNT_COLUMNS, RunFacts, require_columns
from infra.report.write import folder_store
from infra.store.store import Store

PAGE = "quality.html"
QUARANTINE_COLUMNS = ("dataset", "row", "reason")


def write_quality_page(
    run: RunFacts,
    checks: pd.DataFrame,
    dataset_counts: pd.DataFrame,
    folder: Path,
    *,
    quarantined: pd.DataFrame | None = None,
) -> Path:
    """Write ``quality.html`` below ``folder`` and return its path.

    Parameters
    ----------
    run : RunFacts
        The run; its status is shown as it stands at this step.
    checks : pandas.DataFrame
        CHECK_COLUMNS, one row per rule of a data contract.
    dataset_counts : pandas.DataFrame
        COUNT_COLUMNS, one row per dataset; n_rows, origin and refusal are shown when there.
    folder : Path
        The run's folder.
    quarantined : pandas.DataFrame, optional
        QUARANTINE_COLUMNS, one row per quarantined row; the page shows the first 500.
    """
    with folder_store(folder) as store:
        page = quality_html(run, checks, dataset_counts, quarantined)
        store.write_text(PAGE, page)
    return folder / PAGE


def publish_quality_page(
    run: RunFacts,
    checks: pd.DataFrame,
    dataset_counts: pd.DataFrame,
    store: Store,
    folder: str = "",
    quarantined: pd.DataFrame | None = None,
) -> str:
    """Write the page below ``folder`` of a store and return its SHA-256."""
    prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
    return store.write_text(prefix + PAGE, quality_html(run, checks, dataset_counts, quarantined))


def quality_html(
    run: RunFacts,
    checks: pd.DataFrame,
    dataset_counts: pd.DataFrame,
    quarantined: pd.DataFrame | None = None,
) -> str:
    """Return the page as HTML text."""
    from infra.report.page.cells import Section
    from infra.report.page.control_sections import check_table, dataset_table, quarantine_table
    from infra.report.page.render import render_sections

    require_columns(checks, CHECK_COLUMNS, "checks")
    require_columns(dataset_counts, COUNT_COLUMNS, "dataset_counts")
    headline = quality_headline(checks, dataset_counts)
    n_rows = int(dataset_counts["n_accepted"].sum() + dataset_counts["n_quarantined"].sum())
    lead = (
        f"{count(n_rows)} rows of {count(len(dataset_counts))} datasets were checked. A row that "
        "breaks a rule is quarantined with its reason; the rest goes on."
    )
    shown = [
        Section("datasets", "Datasets", lead, tables=(dataset_table(dataset_counts),)),
        Section(
            "rules", "Rules", "What was checked, broken rules first.", (), (check_table(checks),)
        ),
    ]
    if quarantined is not None and len(quarantined):
        require_columns(quarantined, QUARANTINE_COLUMNS, "quarantined")
        rows = f"{count(len(quarantined))} rows were kept out."
        tables = (quarantine_table(quarantined),)
        shown.insert(1, Section("quarantine", "Quarantine", rows, tables=tables))
    return render_sections(run, shown, title="Data quality", headlines=(headline,))
