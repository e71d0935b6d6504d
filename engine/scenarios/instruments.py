"""Instruments joined with their marks, and the reason where one cannot be priced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D
from engine.rules import HouseParameters
from engine.scenarios.revaluation import FUTURE, OPTION, SPOT, PricedInstruments, years_to
from engine.snapshot import Snapshot
from engine.times import close_of, to_nanoseconds

_DAY_NS = 24 * 3600 * 1_000_000_000
_HOUR_NS = 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class InstrumentTable:
    """Priced instruments and where each stands relative to its expiry."""

    instruments: PricedInstruments
    settles: BoolArray1D
    has_expired: BoolArray1D


def priced_instruments(
    snapshot: Snapshot, usd_rates: dict[str, float], house: HouseParameters
) -> InstrumentTable:
    """Return all instruments of the snapshot with their marks, sorted by identifier.

    An instrument without a usable mark keeps its row and gets a fault that names what is missing,
    what was found and the limit; whoever holds it is held, not priced at a guess.
    """
    table = snapshot.instruments.merge(
        snapshot.marks.drop(columns="business_date"), on="instrument_id", how="left"
    ).sort_values("instrument_id", ignore_index=True)
    as_of_ns = to_nanoseconds(snapshot.as_of)
    opened_ns = to_nanoseconds(close_of(snapshot.business_date)) - _DAY_NS
    expiry_ns = _nanoseconds(table["expiry_utc"])
    dated = table["kind"].isin([FUTURE, OPTION]).to_numpy()
    has_expired = dated & (expiry_ns <= opened_ns)
    settles = dated & ~has_expired & (expiry_ns <= as_of_ns)
    tenor_years = years_to(expiry_ns, as_of_ns)
    tenor_years[~dated] = np.nan
    marked_ns = _nanoseconds(table["observed_utc"])
    settlement_rate = np.array([usd_rates[name] for name in table["settlement_asset"]])
    instruments = PricedInstruments(
        instrument_id=table["instrument_id"].to_numpy(dtype=object),
        kind=table["kind"].to_numpy(dtype=object),
        payoff=table["payoff"].to_numpy(dtype=object),
        underlying=table["underlying"].to_numpy(dtype=object),
        quote_asset=table["quote_asset"].to_numpy(dtype=object),
        settlement_asset=table["settlement_asset"].to_numpy(dtype=object),
        contract_multiplier=table["contract_multiplier"].to_numpy(dtype=np.float64),
        mark_price=table["mark_price"].to_numpy(dtype=np.float64),
        forward_price=table["forward_price"].to_numpy(dtype=np.float64),
        volatility=table["mark_iv"].to_numpy(dtype=np.float64),
        years=years_to(expiry_ns, np.minimum(marked_ns, as_of_ns)),
        tenor_years=tenor_years,
        strike=table["strike"].to_numpy(dtype=np.float64),
        is_call=(table["option_type"] == "call").to_numpy(dtype=np.bool_),
        settlement_rate=settlement_rate,
        fault=_faults(table, settlement_rate, as_of_ns, settles | has_expired, snapshot, house),
    )
    return InstrumentTable(instruments=instruments, settles=settles, has_expired=has_expired)


def _nanoseconds(instants: pd.Series) -> np.ndarray:
    as_ns = instants.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[ns]")
    filled: np.ndarray = as_ns.fillna(pd.Timestamp(0)).to_numpy().astype(np.int64)
    return filled


def _faults(
    table: pd.DataFrame,
    settlement_rate: Float64Array1D,
    as_of_ns: int,
    is_over: BoolArray1D,
    snapshot: Snapshot,
    house: HouseParameters,
) -> tuple[str, ...]:
    """Return the reason why each instrument has no usable price, or empty text."""
    quarantined = snapshot.faults[snapshot.faults["dataset"] == "marks"]
    reasons = dict(
        zip(quarantined["identifier"].astype(str), quarantined["reason"].astype(str), strict=True)
    )
    indexed = set(snapshot.index_prices["asset"].astype(str))
    age_hours = (as_of_ns - _nanoseconds(table["observed_utc"])) / _HOUR_NS
    limit = house.hold.mark_age_hours_max
    is_option = (table["kind"] == OPTION).to_numpy()
    lacks_volatility = is_option & ~(
        np.isfinite(table["mark_iv"].to_numpy()) & np.isfinite(table["forward_price"].to_numpy())
    )
    lacks_mark = ~np.isfinite(table["mark_price"].to_numpy())
    faults: list[str] = []
    for row, (instrument_id, kind, underlying, settlement) in enumerate(
        zip(
            table["instrument_id"].astype(str),
            table["kind"].astype(str),
            table["underlying"].astype(str),
            table["settlement_asset"].astype(str),
            strict=True,
        )
    ):
        fault = ""
        if is_over[row]:
            fault = f"{instrument_id} has expired"
        elif lacks_mark[row]:
            fault = f"no mark of {instrument_id}" + _because(reasons.get(instrument_id))
        elif age_hours[row] > limit:
            fault = f"mark of {instrument_id} is {age_hours[row]:.1f} h old, limit {limit:g} h"
        elif lacks_volatility[row]:
            fault = f"no implied volatility or forward of {instrument_id}"
        elif not np.isfinite(settlement_rate[row]):
            fault = f"no USD rate of {settlement}, settlement asset of {instrument_id}"
        elif kind != SPOT and underlying not in indexed:
            fault = f"no index price of {underlying}, underlying of {instrument_id}"
        faults.append(fault)
    return tuple(faults)


def _because(reason: str | None) -> str:
    return f" ({reason})" if reason else ""
