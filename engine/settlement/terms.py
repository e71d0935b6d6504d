"""What settles each instrument on one business date: price, asset, multiplier, funding rate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, ObjectArray1D
from engine.rules import HouseParameters
from engine.settlement.variation import is_quoted_in_reciprocal
from engine.snapshot import Snapshot
from engine.times import close_of


@dataclass(frozen=True, slots=True, eq=False)
class SettlementTerms:
    """Instruments with the prices that settle them.

    All arrays have shape (n_instruments + 1,). The last element stands for any unknown
    instrument, so that an index of -1 finds it.

    Attributes
    ----------
    instrument_id, asset : ObjectArray1D
        Identifier and settlement asset.
    is_perpetual, is_reciprocal, is_expired : BoolArray1D
        Kind, payoff in the reciprocal of the price, and expiry inside the date or before.
    multiplier, price : Float64Array1D
        Contract multiplier; settlement price of what expires inside the date, else mark.
    fault : ObjectArray1D
        Why nothing can settle, or empty text.
    funding_rate : Float64Array1D
        Sum of the date's funding rates; NaN where there is none. [-]
    """

    instrument_id: ObjectArray1D
    asset: ObjectArray1D
    is_perpetual: BoolArray1D
    is_reciprocal: BoolArray1D
    is_expired: BoolArray1D
    multiplier: Float64Array1D
    price: Float64Array1D
    fault: ObjectArray1D
    funding_rate: Float64Array1D


@dataclass(frozen=True, slots=True, eq=False)
class ExpiryPhase:
    """Where dated instruments stand on a business date; False for all others.

    ``inside`` expires between the previous close (exclusive) and the close: it settles once and
    carries no further risk. ``before`` had expired by the previous close: nobody may hold it.
    """

    inside: BoolArray1D
    before: BoolArray1D


def expiry_phase(instruments: pd.DataFrame, business_date: date) -> ExpiryPhase:
    """Return which instruments expire on ``business_date``, and which already had.

    Parameters
    ----------
    instruments : pandas.DataFrame
        Columns kind and expiry_utc of contract ``instruments``.
    business_date : date
        Date being closed.
    """
    closes = pd.Timestamp(close_of(business_date))
    is_dated = instruments["kind"].isin(["future", "option"])
    is_over = (is_dated & (instruments["expiry_utc"] <= closes)).to_numpy(dtype=np.bool_)
    was_over = (instruments["expiry_utc"] <= closes - timedelta(days=1)).to_numpy(dtype=np.bool_)
    return ExpiryPhase(inside=is_over & ~was_over, before=is_over & was_over)


def settlement_terms(snapshot: Snapshot, house: HouseParameters) -> SettlementTerms:
    """Return what settles each instrument of the snapshot on its business date."""
    marks = snapshot.marks[["instrument_id", "mark_price", "settlement_price", "observed_utc"]]
    table = snapshot.instruments.merge(marks, on="instrument_id", how="left")
    # One empty row more, for instruments that nobody knows.
    table = table.reindex(range(len(table) + 1))
    phase = expiry_phase(table, snapshot.business_date)
    kind: ObjectArray1D = table["kind"].to_numpy(dtype=object)
    price: Float64Array1D = np.where(
        phase.inside,
        table["settlement_price"].to_numpy(dtype=np.float64),
        table["mark_price"].to_numpy(dtype=np.float64),
    )
    return SettlementTerms(
        instrument_id=table["instrument_id"].to_numpy(dtype=object)[:-1],
        asset=table["settlement_asset"].to_numpy(dtype=object),
        is_perpetual=kind == "perpetual",
        is_reciprocal=is_quoted_in_reciprocal(kind, table["payoff"].to_numpy(dtype=object)),
        is_expired=phase.inside | phase.before,
        multiplier=table["contract_multiplier"].to_numpy(dtype=np.float64),
        price=np.where(_is_usable(table, price), price, 1.0),
        fault=_faults(table, phase, price, house.hold.mark_age_hours_max, snapshot),
        funding_rate=_funding_rates(snapshot, table),
    )


def _is_usable(table: pd.DataFrame, price: Float64Array1D) -> BoolArray1D:
    # A worthless option settles at 0; nothing else has a price of 0.
    is_option = (table["kind"] == "option").to_numpy(dtype=np.bool_)
    usable: BoolArray1D = np.isfinite(price) & ((price > 0.0) | ((price == 0.0) & is_option))
    return usable


def _faults(
    table: pd.DataFrame,
    phase: ExpiryPhase,
    price: Float64Array1D,
    age_hours_max: float,
    snapshot: Snapshot,
) -> ObjectArray1D:
    age_hours = (
        (pd.Timestamp(snapshot.as_of) - table["observed_utc"]).dt.total_seconds() / 3600.0
    ).to_numpy()
    fault: ObjectArray1D = np.full(len(table), "", dtype=object)
    for row in np.flatnonzero((age_hours > age_hours_max) & ~phase.inside):
        fault[row] = f"mark is {age_hours[row]:.1f} h old, limit {age_hours_max:g} h"
    for row in np.flatnonzero(~_is_usable(table, price)):
        name = "settlement price" if phase.inside[row] else "mark"
        found = "" if np.isnan(price[row]) else f": found {price[row]}, limit > 0"
        fault[row] = f"no usable {name}{found}"
    for row in np.flatnonzero(phase.before):
        fault[row] = f"expired at {table['expiry_utc'].iloc[row].isoformat()}, before the date"
    fault[-1] = "unknown instrument"
    return fault


def _funding_rates(snapshot: Snapshot, table: pd.DataFrame) -> Float64Array1D:
    funding = snapshot.funding
    closes = pd.Timestamp(close_of(snapshot.business_date))
    within = (funding["ts_utc"] > closes - timedelta(days=1)) & (funding["ts_utc"] <= closes)
    # Sorted by time within each contract: the sum is the same in every run.
    rates = funding[within].sort_values(["venue", "symbol", "ts_utc"], kind="stable")
    sums = rates.groupby(["venue", "symbol"], sort=True)["funding_rate"].sum(min_count=1)
    contracts = pd.MultiIndex.from_frame(table[["venue", "venue_symbol"]])
    found: Float64Array1D = sums.reindex(contracts).to_numpy(dtype=np.float64)
    return found
