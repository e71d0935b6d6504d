"""A small sample world, built, validated and closed on two dates: the real parts, end to end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pandas as pd

from data_contracts.registry import contract
from data_contracts.validation import Judge, Validation, faults, validate
from engine.assess import assess
from engine.assessment import Assessment
from engine.attribution import Close, attribute_change
from engine.ids import SnapshotId
from engine.snapshot import CollateralSet, LastFresh, PositionSet, Snapshot
from engine.times import close_of
from infra.rules import DEFAULT_PARAMETERS, agreements_from, read_house_parameters, rule_book
from infra.simulator.world import WorldParameters, build_world
from infra.simulator.world.venue_rules import shipped_rules

_MARKET = (
    "instruments", "marks", "index_prices", "fx_rates", "funding", "liquidity",
    "price_history", "volatility_history", "basis_history",
)  # fmt: skip
_BOOK = (
    "positions", "collateral", "open_orders", "agreements", "accounts", "venue_margin",
)  # fmt: skip


@dataclass(frozen=True)
class SampleClose:
    """One close of the sample world: what went in, what validation said, what came out."""

    close: Close
    validations: tuple[Validation, ...]
    assessment: Assessment

    @property
    def checks(self) -> pd.DataFrame:
        """One row per rule of every contract."""
        return pd.DataFrame([asdict(check) for v in self.validations for check in v.checks])

    @property
    def dataset_counts(self) -> pd.DataFrame:
        """Rows by dataset."""
        return pd.DataFrame(
            {
                "dataset": [v.dataset for v in self.validations],
                "n_rows": [v.n_rows for v in self.validations],
                "n_accepted": [len(v.accepted) for v in self.validations],
                "n_quarantined": [len(v.quarantined) for v in self.validations],
                "refusal": [v.refusal for v in self.validations],
            }
        )


@dataclass(frozen=True)
class SampleWorld:
    """Two closes of one world and why requirements changed between them."""

    before: SampleClose
    after: SampleClose
    attribution: pd.DataFrame


def sample_world(folder: Path, *, n_netting_sets: int = 40, dirty_marks: int = 2) -> SampleWorld:
    """Return both closes of a seeded world; some marks of the last date are spoilt."""
    parameters = WorldParameters(n_netting_sets=n_netting_sets, dirty_marks=dirty_marks)
    build_world(parameters, folder, lambda *_: None)
    first, second = parameters.business_dates
    before = closed(folder, first)
    after = closed(folder, second, before)
    attribution = attribute_change(
        before.close, after.close, before.assessment.requirements, after.assessment.requirements
    )
    return SampleWorld(before, after, attribution)


def closed(folder: Path, business_date: date, before: SampleClose | None = None) -> SampleClose:
    """Return the close of one date; the masks alone judge the rows, which saves seconds."""
    found = {
        name: validate(
            contract(name),
            pd.read_parquet(folder / f"{name}.parquet"),
            business_date,
            Judge.MASKS,
        )
        for name in (*_MARKET, *_BOOK)
    }
    frames = {name: found[name].accepted for name in _MARKET}
    snapshot = Snapshot(
        snapshot_id=SnapshotId(f"sample-{business_date}"),
        business_date=business_date,
        as_of=close_of(business_date),
        faults=pd.concat(
            [faults(contract(name), found[name], business_date) for name in _MARKET],
            ignore_index=True,
        ),
        **frames,
    )
    house, text = read_house_parameters(DEFAULT_PARAMETERS, business_date)
    close = Close(
        snapshot,
        PositionSet(
            found["positions"].accepted,
            found["open_orders"].accepted,
            found["accounts"].accepted,
            found["venue_margin"].accepted,
        ),
        CollateralSet(found["collateral"].accepted),
        rule_book(
            house,
            text,
            agreements_from(found["agreements"].accepted),
            shipped_rules(business_date),
        ),
    )
    result = assess(
        close.snapshot, close.positions, close.collateral, close.rules, _last_fresh(before)
    )
    return SampleClose(close, tuple(found.values()), result)


def _last_fresh(before: SampleClose | None) -> LastFresh:
    if before is None:
        return LastFresh()
    rows = before.assessment.requirements
    fresh = rows.loc[rows["status"] == "assessed", ["netting_set_id", "requirement"]]
    day = pd.Timestamp(before.close.snapshot.business_date)
    return LastFresh(fresh.assign(business_date=day).reset_index(drop=True))
