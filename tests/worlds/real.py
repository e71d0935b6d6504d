"""Closes of real history: read from the sources, checked by contract, with a generated book."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import pandas as pd

from data_contracts.registry import contract
from data_contracts.validation import Judge, validate
from engine.attribution import Close
from engine.ids import SnapshotId
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from engine.times import close_of
from infra.market.daily import DATASETS
from infra.market.source import open_source
from infra.rules import DEFAULT_PARAMETERS, agreements_from, read_house_parameters, rule_book
from infra.simulator.world.books import BookMarket, generate_book

MARKET = tuple(dataset.name for dataset in DATASETS if dataset.origin == "market")


def market_frames(folder: Path, business_date: date) -> dict[str, pd.DataFrame]:
    """Return the accepted rows of every market dataset; the contract refuses none of them."""
    source = open_source(str(folder))
    frames = {}
    for name in MARKET:
        raw = source.read(name, business_date)
        found = validate(contract(name), raw.frame, business_date, Judge.MASKS)
        assert found.refusal is None, found.refusal
        frames[name] = found.accepted
    return frames


@cache
def real_close(folder: Path, business_date: date, n_netting_sets: int, seed: int = 1) -> Close:
    """Return the close of a real date with a generated book."""
    frames = market_frames(folder, business_date)
    book = generate_book(
        BookMarket(
            instruments=frames["instruments"],
            marks=frames["marks"],
            index_prices=frames["index_prices"],
            fx_rates=frames["fx_rates"],
            liquidity=frames["liquidity"],
            price_history=frames["price_history"],
        ),
        n_netting_sets,
        seed,
        (business_date,),
    )
    of_day = {
        name: validate(contract(name), frame, business_date, Judge.MASKS).accepted
        for name, frame in (
            ("positions", book.positions),
            ("collateral", book.collateral),
            ("open_orders", book.open_orders),
            ("agreements", book.agreements),
        )
    }
    house, text = read_house_parameters(DEFAULT_PARAMETERS, business_date)
    parts = {name: frames[name] for name in MARKET if name != "option_chains"}
    snapshot = Snapshot(
        snapshot_id=SnapshotId(f"real-{business_date}"),
        business_date=business_date,
        as_of=close_of(business_date),
        **parts,
    )
    return Close(
        snapshot,
        PositionSet(of_day["positions"], of_day["open_orders"]),
        CollateralSet(of_day["collateral"]),
        rule_book(house, text, agreements_from(of_day["agreements"])),
    )
