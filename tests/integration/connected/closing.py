"""A close in one process, without an orchestrator: read, validated, frozen, assessed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date
from functools import cache

import pandas as pd

from data_contracts.registry import contract
from data_contracts.validation import Judge, faults, validate
from engine.assess import assess
from engine.assessment import Assessment
from engine.rules import HouseParameters, RuleBook
from engine.snapshot import CollateralSet, LastFresh, PositionSet
from engine.times import close_of
from infra.market.daily import DATASETS
from infra.market.raw import MarketSource
from infra.market.readings import reading_faults
from infra.rules import (
    DEFAULT_PARAMETERS,
    agreements_from,
    read_house_parameters,
    rule_book,
)
from infra.store import SnapshotParts, Store, freeze, load_snapshot


@dataclass(frozen=True)
class Closed:
    """What a close rests on and what it says."""

    snapshot_id: str
    faults: pd.DataFrame
    assessment: Assessment

    def row(self, netting_set: str) -> pd.Series:
        found = self.assessment.requirements.set_index("netting_set_id")
        return found.loc[netting_set]


def closed(
    source: MarketSource, store: Store, day: date, last_fresh: LastFresh | None = None
) -> Closed:
    accepted, lost = {}, []
    for dataset in DATASETS:
        definition = contract(dataset.name)
        rows = source.read(dataset.name, day)
        found = validate(definition, rows.frame, day, Judge.MASKS)
        assert found.refusal is None, found.refusal
        accepted[dataset.name] = found.accepted
        lost.append(faults(definition, found, day))
    lost.append(reading_faults(accepted["readings"]))
    kept_out = pd.concat(lost, ignore_index=True)
    names = [f.name for f in fields(SnapshotParts)]
    parts = SnapshotParts(
        business_date=day, as_of=close_of(day), faults=kept_out,
        **{name: accepted[name] for name in names if name in accepted},
    )  # fmt: skip
    held = PositionSet(
        accepted["positions"],
        accepted["open_orders"],
        accepted["accounts"],
        accepted["venue_margin"],
    )
    frozen = freeze(store, parts, held, CollateralSet(accepted["collateral"]))
    loaded = load_snapshot(store, frozen.snapshot_id)
    assessment = assess(
        loaded.snapshot, loaded.positions, loaded.collateral, _rules(accepted, day), last_fresh
    )
    return Closed(str(frozen.snapshot_id), kept_out, assessment)


def _rules(accepted: dict[str, pd.DataFrame], day: date) -> RuleBook:
    house, text = _house(day)
    return rule_book(house, text, agreements_from(accepted["agreements"]))


@cache
def _house(day: date) -> tuple[HouseParameters, str]:
    return read_house_parameters(DEFAULT_PARAMETERS, day)


def last_fresh_of(before: Closed, day: date) -> LastFresh:
    """Return what a close leaves to hold others at."""
    rows = before.assessment.requirements
    rows = rows[rows["status"] == "assessed"]
    return LastFresh(
        pd.DataFrame(
            {
                "netting_set_id": rows["netting_set_id"].astype("str"),
                "business_date": pd.Timestamp(day),
                "requirement": rows["requirement"],
            }
        )
    )
