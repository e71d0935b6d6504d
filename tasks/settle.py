"""Book what the day has settled: variation, funding and expiry, double entry."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from engine.errors import UnbackedCredit
from engine.settlement.day import SCALE_DEFAULT
from infra.reconciling.history import register_scales
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
    facts = achieve(run_id, "settle", lambda place: _settle(place, run_id))
    place = workplace()
    settlements = read_assessment(
        place.store, run_id, facts_of(run_id, "require")["hashes"]
    ).settlements
    artifacts.show_table(
        "settlements",
        _rows(settlements),
        "Settlements of the date by kind and asset; gains of the clients are above zero.",
    )
    refused = facts.get("refused_credits", {})
    if refused:
        artifacts.show_table(
            "refused-credits",
            [{"Asset": asset, "Because": reason} for asset, reason in refused.items()],
            "Credits to clients that nobody vouches for: not booked, and no netting set that they "
            "belong to is settled.",
        )


def ledger_scales(place: Workplace, run_id: str, assets: Iterable[object]) -> dict[str, int]:
    """Return the decimals of every collateral asset and of ``assets``."""
    terms = load_basis(place, run_id).close.rules.house.collateral
    scales = {asset: terms[asset].scale for asset in terms}
    for asset in sorted({str(name) for name in assets}):
        scales.setdefault(asset, SCALE_DEFAULT)
    return scales


def register_in_ledger(place: Workplace, run_id: str, assets: Iterable[object]) -> None:
    """Register collateral assets and ``assets`` that the ledger does not know yet."""
    scales = ledger_scales(place, run_id, assets)
    register_scales(place.database, scales, scales)


def _settle(place: Workplace, run_id: str) -> Achievement:
    hashes = facts_of(run_id, "require")["hashes"]
    settlements = read_assessment(place.store, run_id, hashes).settlements
    register_in_ledger(place, run_id, settlements["asset"])
    refused = _post_backed(place, run_id, settlements)
    facts = {"settlements": len(settlements), "refused_credits": refused}
    return Achievement(facts, hashes["settlements"])


def _post_backed(place: Workplace, run_id: str, settlements: pd.DataFrame) -> dict[str, str]:
    """Book settlements, without the credits of an asset that nobody vouches for, by asset.

    A netting set that such a credit belongs to is not settled at all; the others are, because a
    wrong figure of one asset must not keep the day's losses from being paid and called for.
    """
    refused: dict[str, str] = {}
    left = settlements
    while True:
        try:
            place.database.ledger.post_settlements(run_id, left)
        except UnbackedCredit as error:
            asset = str(error.identifier)
            if asset in refused:
                raise
            refused[asset] = str(error)
            net = left[left["asset"] == asset].groupby("netting_set_id")["amount_exact"].sum()
            left = left[~left["netting_set_id"].isin(set(net[net > 0].index))]
        else:
            return refused


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
