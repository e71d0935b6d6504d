"""Margin every netting set on the Dask cluster and keep the whole assessment."""

from __future__ import annotations

from engine.assess import combine
from engine.assessment import Assessment
from engine.portfolio import portfolio
from engine.requirements import FAILED, HELD
from infra.report.markdown import component_chart_data_url, requirement_table
from infra.report.venues import drift_table, venue_table
from infra.telemetry import Step, progress
from tasks import artifacts
from tasks.assessments import joint_hash, read_assessment, write_assessment
from tasks.closes import load_basis, usd_rates_of
from tasks.margin_blocks import margin_portfolio
from tasks.revalue import forget_market, prepared_market
from tasks.steps import Achievement, achieve, step
from tasks.workplace import Workplace, workplace


@step("require")
def require_margin(run_id: str) -> None:
    """Compute requirement, collateral value, decision and explanation of every netting set.

    Blocks of netting sets are spread over the Dask workers and joined in the order of the blocks;
    what the figures are does not depend on how many workers there are.
    """
    facts = achieve(run_id, "require", lambda place: _require(place, run_id))
    place = workplace()
    assessment = read_assessment(place.store, run_id, facts["hashes"])
    artifacts.show_table(
        "requirements",
        requirement_table(assessment, rows_max=artifacts.ROWS_MAX),
        f"Requirement of each netting set: {facts['netting_sets']:,} netting sets, "
        f"{facts['held']:,} held, {facts['failed']:,} failed.",
        facts["netting_sets"],
    )
    _show_venues(assessment)
    artifacts.show_picture(
        "components",
        component_chart_data_url(
            assessment, usd_rates_of(load_basis(place, run_id).close.snapshot)
        ),
        "Requirement by client and component",
    )


def _show_venues(assessment: Assessment) -> None:
    """Show what each venue demands and how far that is from what it reports."""
    if not assessment.has_venues:
        artifacts.show_markdown(
            "venue-margins",
            "The book has no `accounts`: the house's margin stands alone.",
            "What the venues demand is not known",
        )
        return
    margins, drift = assessment.venue_margins, assessment.venue_drift
    artifacts.show_table(
        "venue-margins",
        venue_table(assessment, rows_max=artifacts.ROWS_MAX),
        f"What each venue demands of {len(margins):,} accounts, largest first; USD.",
        len(margins),
    )
    artifacts.show_table(
        "venue-drift",
        drift_table(drift, rows_max=artifacts.ROWS_MAX),
        "The venues' own reports against the replica, furthest first.",
        len(drift),
    )


def _require(place: Workplace, run_id: str) -> Achievement:
    bar = artifacts.ProgressBar("blocks", "Blocks of netting sets margined")

    def on_progress(n_done: int, n_total: int) -> None:
        bar.update(n_done, n_total)
        if n_done < n_total:
            progress().report(Step("require", n_done, n_total, f"{n_done} of {n_total} blocks"))

    basis, market = prepared_market(run_id)
    close = basis.close
    book = portfolio(market, close.positions, close.collateral, close.rules)
    margined = margin_portfolio(market, book, close.rules.house, place.cluster_options, on_progress)
    assessment = combine(
        market,
        margined.book,
        margined.blocks,
        close.snapshot,
        close.positions,
        close.rules,
        basis.last_fresh,
    )
    hashes = write_assessment(place.store, run_id, assessment)
    place.database.requirements.save(run_id, assessment.requirements)
    place.database.venue_margins.save(run_id, assessment.venue_margins, assessment.venue_drift)
    forget_market(run_id)
    status = assessment.requirements["status"]
    return Achievement(
        {
            "netting_sets": len(assessment.requirements),
            "held": int((status == HELD).sum()),
            "failed": int((status == FAILED).sum()),
            "venue_accounts": len(assessment.venue_margins),
            "blocks": margined.n_blocks,
            "hashes": hashes,
        },
        joint_hash(hashes),
    )
