"""Instruments as the venues' models see them: marks, indices and rates of one close, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.margin.scenario_pnl import INSTRUMENT_TYPES, ScenarioInstruments
from engine.rules import HouseParameters
from engine.scenarios.instruments import priced_instruments
from engine.scenarios.revaluation import FUTURE, OPTION, SPOT
from engine.snapshot import Snapshot

USD: Final = "USD"


@dataclass(frozen=True, slots=True, eq=False)
class VenueInstruments:
    """Instruments of a snapshot, sorted by identifier; arrays of shape (n_instruments,).

    Attributes
    ----------
    instrument_id, venue, venue_symbol, kind, underlying, settlement_asset : ObjectArray1D of str
    is_inverse, is_call : BoolArray1D
    contract_multiplier, mark_price, forward_price, volatility, strike, years : Float64Array1D
        As in ``engine.scenarios.revaluation.PricedInstruments``; NaN where absent.
    index_price : Float64Array1D
        Price of the underlying in the quote currency; NaN where unknown.
    settlement_rate, quote_rate : Float64Array1D
        USD per unit of the settlement asset, and of the quote currency; NaN where unknown.
    tick_size : Float64Array1D
    expiry : ObjectArray1D of str
        Instant of expiry as people read it, in UTC; empty where there is none.
    expiry_month : Int64Array1D
        Months since year 0; -1 where there is no expiry.
    open_interest : Float64Array1D
        Of the whole market; NaN where nobody says. [contracts]
    settles : BoolArray1D
        Expires inside the business date: carries no margin any more.
    fault : ObjectArray1D of str
        Why it cannot be margined (no mark, stale mark, expired before), or empty text.
    """

    instrument_id: ObjectArray1D
    venue: ObjectArray1D
    venue_symbol: ObjectArray1D
    kind: ObjectArray1D
    underlying: ObjectArray1D
    settlement_asset: ObjectArray1D
    is_inverse: BoolArray1D
    is_call: BoolArray1D
    contract_multiplier: Float64Array1D
    mark_price: Float64Array1D
    forward_price: Float64Array1D
    volatility: Float64Array1D
    strike: Float64Array1D
    years: Float64Array1D
    index_price: Float64Array1D
    settlement_rate: Float64Array1D
    quote_rate: Float64Array1D
    tick_size: Float64Array1D
    expiry: ObjectArray1D
    expiry_month: Int64Array1D
    open_interest: Float64Array1D
    settles: BoolArray1D
    fault: ObjectArray1D

    def __len__(self) -> int:
        return len(self.instrument_id)

    @property
    def is_option(self) -> BoolArray1D:
        """Whether each instrument is an option."""
        return np.asarray(self.kind == OPTION)

    @property
    def is_spot(self) -> BoolArray1D:
        """Whether each instrument is spot."""
        return np.asarray(self.kind == SPOT)

    def notional(self) -> Float64Array1D:
        """Return the exposure of one contract at its mark, of an option at its index.

        [settlement currency]
        """
        linear = np.where(self.is_option, self.index_price, self.mark_price)
        inverse = np.where(self.is_option, 1.0, 1.0 / self.mark_price)
        notional: Float64Array1D = self.contract_multiplier * np.where(
            self.is_inverse, inverse, linear
        )
        return notional


def usd_rates(snapshot: Snapshot) -> dict[str, float]:
    """Return USD per unit of each asset: its FX rate, else its index price."""
    known = {USD: 1.0}
    for frame, column in ((snapshot.index_prices, "index_price"), (snapshot.fx_rates, "usd_rate")):
        known.update(zip(frame["asset"].astype(str), frame[column].astype(float), strict=True))
    return known


def venue_instruments(snapshot: Snapshot, house: HouseParameters) -> VenueInstruments:
    """Return the instruments of the snapshot with the prices of its close."""
    rates = usd_rates(snapshot)
    listed = snapshot.instruments.sort_values("instrument_id", ignore_index=True)
    settled_in = {str(name) for name in listed["settlement_asset"].unique()}
    table = priced_instruments(
        snapshot, {**dict.fromkeys(settled_in, float("nan")), **rates}, house
    )
    priced = table.instruments
    quote_rate = _rates_of(priced.quote_asset, rates)
    is_dated = np.isin(priced.kind, [FUTURE, OPTION])
    fault = np.array(priced.fault, dtype=object)
    fault[table.settles] = ""
    return VenueInstruments(
        instrument_id=priced.instrument_id,
        venue=_texts(listed["venue"]),
        venue_symbol=_texts(listed["venue_symbol"]),
        kind=priced.kind,
        underlying=priced.underlying,
        settlement_asset=priced.settlement_asset,
        is_inverse=np.asarray(priced.payoff == "inverse"),
        is_call=priced.is_call,
        contract_multiplier=priced.contract_multiplier,
        mark_price=priced.mark_price,
        forward_price=priced.forward_price,
        volatility=priced.volatility,
        strike=priced.strike,
        # From the close, not from each mark: what expires together has to net.
        years=np.where(is_dated, priced.tenor_years, np.nan),
        index_price=_rates_of(priced.underlying, rates) / quote_rate,
        settlement_rate=priced.settlement_rate,
        quote_rate=quote_rate,
        tick_size=listed["tick_size"].to_numpy(dtype=np.float64),
        expiry=_texts(listed["expiry_utc"].dt.strftime("%Y-%m-%d %H:%M").fillna("")),
        expiry_month=_expiry_month(listed["expiry_utc"]),
        open_interest=_open_interest(snapshot.marks, listed["instrument_id"]),
        settles=table.settles,
        fault=fault,
    )


def in_settlement_asset(instruments: VenueInstruments) -> ScenarioInstruments:
    """Return the instruments with gains in the asset that each settles in."""
    return _scenario_instruments(
        instruments, instruments.contract_multiplier, instruments.is_inverse
    )


def in_usd(instruments: VenueInstruments) -> ScenarioInstruments:
    """Return the instruments with gains in USD, for models that margin all currencies together.

    In USD at the moved price an inverse future is a linear position of as many coins as its
    notional is worth now, exactly; an inverse option counts as the linear one on its coins, for
    the coin that its premium is paid in moves with the account's equity.
    """
    coins = instruments.contract_multiplier / np.where(
        instruments.is_option, 1.0, instruments.mark_price
    )
    multiplier = np.where(instruments.is_inverse, coins, instruments.contract_multiplier)
    # A quanto pays its settlement asset per unit of price, a linear contract its quote currency.
    rate = np.where(instruments.is_inverse, instruments.quote_rate, instruments.settlement_rate)
    return _scenario_instruments(
        instruments, multiplier * rate, np.zeros(len(instruments), dtype=np.bool_)
    )


def _scenario_instruments(
    instruments: VenueInstruments, multiplier: Float64Array1D, is_inverse: BoolArray1D
) -> ScenarioInstruments:
    codes = {name: code for code, name in enumerate(INSTRUMENT_TYPES)}
    return ScenarioInstruments(
        symbol=instruments.instrument_id,
        kind=np.array([codes[str(kind)] for kind in instruments.kind], dtype=np.int8),
        is_inverse=is_inverse,
        contract_multiplier=multiplier,
        mark_price=instruments.mark_price,
        years=instruments.years,
        is_call=instruments.is_call,
        strike_price=instruments.strike,
        forward_price=instruments.forward_price,
        volatility=instruments.volatility,
        risk_free_rate=np.zeros(len(instruments)),
    )


def _rates_of(assets: ObjectArray1D, rates: dict[str, float]) -> Float64Array1D:
    return np.array([rates.get(str(asset), np.nan) for asset in assets], dtype=np.float64)


def _expiry_month(expiry: pd.Series) -> Int64Array1D:
    month = (expiry.dt.year * 12.0 + expiry.dt.month).fillna(-1.0)
    found: Int64Array1D = month.to_numpy(dtype=np.int64)
    return found


def _open_interest(marks: pd.DataFrame, names: pd.Series) -> Float64Array1D:
    if "open_interest" not in marks:
        return np.full(len(names), np.nan)
    known = marks.set_index("instrument_id")["open_interest"].reindex(names)
    found: Float64Array1D = known.to_numpy(dtype=np.float64)
    return found


def _texts(column: pd.Series) -> ObjectArray1D:
    return column.astype(str).to_numpy(dtype=object)
