"""Book what the day has settled: variation, funding and expiry, double entry."""

from __future__ import annotations

import pandas as pd

from engine.settlement.day import SCALE_DEFAULT
from infra.report.amounts import exact
from tasks import artifacts
from tasks.assessments import read_assessment
from tasks.closes import load_basis
from tasks.records import facts_of
from tasks.steps import Achievement, achieve, step
from tasks.workplace import Workplace, workplace


@step("settle")
def settle_day(run_id: str) -> None:
    """Post the settlements of the business date; a later sequence reverses and posts anew."""
    achieve(run_id, "settle", lambda place: _settle(place, run_id))
    place = workplace()
    settlements = read_assessment(
        place.store, run_id, facts_of(run_id, "require")["hashes"]
    ).settlements
    artifacts.show_table(
        "settlements",
        _rows(settlements),
        "Settlements of the date by kind and asset; gains of the clients are above zero.",
    )


def ledger_scales(place: Workplace, run_id: str, assets: pd.Series) -> dict[str, int]:
    """Return the decimals of every collateral asset and of ``assets``."""
    terms = load_basis(place, run_id).close.rules.house.collateral
    scales = {asset: terms[asset].scale for asset in terms}
    for asset in sorted({str(name) for name in assets}):
        scales.setdefault(asset, SCALE_DEFAULT)
    return scales


def _settle(place: Workplace, run_id: str) -> Achievement:
    hashes = facts_of(run_id, "require")["hashes"]
    settlements = read_assessment(place.store, run_id, hashes).settlements
    ledger = place.database.ledger
    ledger.register_assets(ledger_scales(place, run_id, settlements["asset"]))
    ledger.post_settlements(run_id, settlements)
    return Achievement({"settlements": len(settlements)}, hashes["settlements"])


def _rows(settlements: pd.DataFrame) -> list[dict[str, str]]:
    grouped = settlements.groupby(["kind", "asset"], sort=True)
    return [
        {
            "Kind": str(kind),
            "Asset": str(asset),
            "Positions": f"{len(rows):,}",
            "Net amount": exact(sum(rows["amount_exact"])),
            "Gains": exact(sum(value for value in rows["amount_exact"] if value > 0)),
            "Losses": exact(sum(value for value in rows["amount_exact"] if value < 0)),
        }
        for (kind, asset), rows in grouped
    ]
