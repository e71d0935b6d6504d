"""Rows of the market's instruments and marks, as the live market keeps them."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Int64Array1D
from engine.market import PreparedMarket
from engine.scenarios.revaluation import PricedInstruments
from engine.snapshot import Snapshot

_FIGURES = ("mark_price", "mark_iv", "forward_price")


def one_mark_each(snapshot: Snapshot) -> pd.DataFrame:
    """Return marks in the order of the instruments; empty rows where there is none yet."""
    names = snapshot.instruments["instrument_id"].sort_values(ignore_index=True)
    marks = snapshot.marks.set_index("instrument_id").reindex(names)
    marks.index.name = "instrument_id"
    day = pd.Timestamp(snapshot.business_date)
    return marks.reset_index().assign(business_date=day)[list(snapshot.marks.columns)]


def is_empty(marks: pd.DataFrame) -> BoolArray1D:
    """Return which instruments have no mark at all."""
    empty: BoolArray1D = marks[[*_FIGURES, "observed_utc"]].isna().all(axis=1).to_numpy()
    return empty


def writable(instruments: PricedInstruments) -> PricedInstruments:
    """Return the instruments with arrays that may be written to."""
    copies = {
        each.name: getattr(instruments, each.name).copy()
        for each in fields(instruments)
        if each.name != "fault"
    }
    return PricedInstruments(**copies, fault=instruments.fault)


def rows_of(instruments: PricedInstruments, rows: Int64Array1D) -> PricedInstruments:
    """Return chosen instruments."""
    parts = {
        each.name: getattr(instruments, each.name)[rows]
        for each in fields(instruments)
        if each.name != "fault"
    }
    return PricedInstruments(**parts, fault=tuple(instruments.fault[row] for row in rows.tolist()))


def rows_in(market: PreparedMarket, settlement_asset: np.ndarray) -> list[Int64Array1D]:
    """Return, for each asset of the market, the instruments whose ``settlement_asset`` it is."""
    return [np.flatnonzero(settlement_asset == asset).astype(np.int64) for asset in market.assets]


def usability(fault: tuple[str, ...], settles: BoolArray1D) -> np.ndarray:
    """Return what decides whether each instrument can be priced, as one text."""
    return np.array(
        [f"{text}|{over}" for text, over in zip(fault, settles.tolist(), strict=True)], dtype=object
    )


def nanoseconds(instants: pd.Series) -> Int64Array1D:
    """Return nanoseconds since the Unix epoch; 0 where there is no instant."""
    as_ns = instants.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[ns]")
    filled: Int64Array1D = as_ns.fillna(pd.Timestamp(0)).to_numpy(copy=True).astype(np.int64)
    return filled
