"""The report of a sample world: everything in it comes from the real parts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from infra.report.coverage import coverage_of
from infra.report.inputs import Coverage, ReportInputs, RunFacts
from tests.worlds.sample import SampleWorld


def report_inputs(world: SampleWorld) -> ReportInputs:
    """Return report inputs of the second close with the change since the first."""
    close, assessment = world.after.close, world.after.assessment
    snapshot = close.snapshot
    has_failed = (assessment.requirements["status"] == "failed").any()
    run = RunFacts(
        run_id=f"eod-{snapshot.business_date}-1",
        business_date=snapshot.business_date,
        sequence=1,
        snapshot_id=snapshot.snapshot_id,
        rule_book_hash=close.rules.rule_book_hash,
        code_version="0.1.0",
        status="failed" if has_failed else "completed",
        as_of=snapshot.as_of,
    )
    return ReportInputs(
        run=run,
        assessment=assessment,
        rules=close.rules,
        previous=world.before.assessment.requirements,
        previous_date=world.before.close.snapshot.business_date,
        attribution=world.attribution,
        breaks=_aged(world),
        checks=world.after.checks,
        dataset_counts=world.after.dataset_counts,
        coverage=_coverage(snapshot.price_history),
        history=_history(world),
        usd_rates=dict(zip(snapshot.fx_rates["asset"], snapshot.fx_rates["usd_rate"], strict=True)),
    )


def _aged(world: SampleWorld) -> pd.DataFrame:
    known = set(world.before.assessment.breaks["break_id"])
    breaks = world.after.assessment.breaks
    return breaks.assign(age_days=[int(name in known) for name in breaks["break_id"]])


def _history(world: SampleWorld) -> pd.DataFrame:
    rows = []
    for close in (world.before, world.after):
        sums = close.assessment.requirements.groupby("currency")[
            ["requirement", "collateral_value"]
        ].sum()
        rows.append(sums.reset_index().assign(business_date=close.close.snapshot.business_date))
    history = pd.concat(rows, ignore_index=True)
    return history.assign(business_date=pd.to_datetime(history["business_date"]))


def _coverage(price_history: pd.DataFrame) -> Coverage:
    """A rolling quantile of bitcoin's own losses: quick, and out of sample like the real one."""
    closes = price_history[price_history["asset"] == "BTC"].set_index("date")["close"]
    loss = -1_000_000.0 * np.log(closes).diff().dropna()
    quantile = loss.rolling(250).quantile(0.99).shift(1)
    days = pd.DataFrame({"loss": loss, "value_at_risk": quantile}).dropna()
    days["requirement"] = 1.4 * days["value_at_risk"]
    return coverage_of("One million dollars of BTC", "USD", days.reset_index(), 0.99)
