"""Whole closes of the sample world's market: any number of netting sets of 30 positions."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import pandas as pd

from data_contracts.registry import contract
from data_contracts.validation import Judge, faults, validate
from engine.assess import assess
from engine.assessment import Assessment
from engine.ids import SnapshotId
from engine.rules import Agreement, RuleBook
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from engine.times import close_of
from infra.rules import DEFAULT_PARAMETERS, read_house_parameters
from infra.simulator.world import (
    BookMarket,
    BookShape,
    WorldParameters,
    build_world,
    generate_book,
)

MARKET = (
    "instruments", "marks", "index_prices", "fx_rates", "funding", "liquidity", "price_history",
    "volatility_history", "basis_history",
)  # fmt: skip
SEED = 20261120
# The generator draws sizes by style; this mean gives 30 positions a netting set at one source.
N_POSITIONS_MEAN = 38


@dataclass(frozen=True, slots=True, eq=False)
class Close:
    """What one assessment looks at."""

    snapshot: Snapshot
    positions: PositionSet
    collateral: CollateralSet
    rules: RuleBook

    def assess(self) -> Assessment:
        """Return the whole assessment, in this process."""
        return assess(self.snapshot, self.positions, self.collateral, self.rules)


@cache
def _market() -> tuple[Snapshot, BookMarket]:
    """Return the sample world's last close, its rows judged by their contracts."""
    parameters = WorldParameters(n_netting_sets=10, n_business_dates=1, seed=SEED)
    day = parameters.last_business_date
    with tempfile.TemporaryDirectory() as folder:
        build_world(parameters, Path(folder) / "world", lambda *_: None)
        raw = {name: pd.read_parquet(Path(folder) / "world" / f"{name}.parquet") for name in MARKET}
    judged = {name: validate(contract(name), raw[name], day, Judge.MASKS) for name in MARKET}
    frames = {name: found.accepted for name, found in judged.items()}
    snapshot = Snapshot(
        snapshot_id=SnapshotId(f"benchmark-{day}"),
        business_date=day,
        as_of=close_of(day),
        faults=pd.concat(
            [faults(contract(name), judged[name], day) for name in MARKET], ignore_index=True
        ),
        **frames,
    )
    names = ("instruments", "marks", "index_prices", "fx_rates", "liquidity", "price_history")
    return snapshot, BookMarket(**{name: frames[name] for name in names})


def make_close(n_netting_sets: int) -> Close:
    """Return a close of so many netting sets: three sources, collateral, orders, agreements."""
    snapshot, market = _market()
    day: date = snapshot.business_date
    book = generate_book(market, n_netting_sets, SEED, [day], BookShape(N_POSITIONS_MEAN))
    house, _ = read_house_parameters(DEFAULT_PARAMETERS, day)
    agreements = {}
    for row in book.agreements.to_dict(orient="records"):
        terms = {str(key): value for key, value in row.items()}
        terms["effective_date"] = row["effective_date"].date()
        agreements[str(row["netting_set_id"])] = Agreement(**terms)
    return Close(
        snapshot,
        PositionSet(book.positions, book.open_orders),
        CollateralSet(book.collateral),
        RuleBook(rule_book_hash="benchmark", house=house, agreements=agreements),
    )
