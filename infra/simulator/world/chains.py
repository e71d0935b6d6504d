"""Deribit's coin-settled option chains as contract ``option_chains``: quotes around the marks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtr

from engine.arrays import Float64Array1D
from infra.simulator.world.day_market import DayMarket

# Below this price the tick is a fifth; Deribit's tick steps for coin options. [coin]
TICK_STEP_PRICE = 0.005
TICK_ABOVE = 0.0005
HALF_SPREAD = 0.02
"""Half the quoted spread at the money, in units of the option's value. [-]"""


def option_chains(
    instruments: pd.DataFrame, marks: pd.DataFrame, market: DayMarket, rng: np.random.Generator
) -> pd.DataFrame:
    """Return the quotes of all inverse options that are alive at the market's close."""
    rows = marks.merge(instruments, on="instrument_id")
    rows = rows[(rows["kind"] == "option") & (rows["payoff"] == "inverse")]
    rows = rows[rows["settlement_price"].isna()].sort_values("instrument_id", ignore_index=True)
    as_of = pd.Timestamp(market.as_of)
    years = (rows["expiry_utc"] - as_of).dt.total_seconds().to_numpy() / (365.0 * 86_400.0)
    forward, strike = rows["forward_price"].to_numpy(), rows["strike"].to_numpy()
    volatility = rows["mark_iv"].to_numpy(dtype=np.float64)
    deviation = volatility * np.sqrt(years)
    d_plus = np.log(forward / strike) / deviation + 0.5 * deviation
    call = (rows["option_type"] == "call").to_numpy()
    delta = np.where(call, ndtr(d_plus), ndtr(d_plus) - 1.0)
    mark = rows["mark_price"].to_numpy(dtype=np.float64)
    bid, ask = _quotes(mark, rows["tick_size"].to_numpy(dtype=np.float64), rng)
    interest = np.round(rng.lognormal(5.0, 1.6, len(rows)) * np.exp(-(d_plus**2) / 4.0), 1)
    asset = rows["underlying"].astype("str")
    return pd.DataFrame(
        {
            "ts_utc": pd.Series([as_of] * len(rows)).astype("datetime64[ms, UTC]"),
            "venue": rows["venue"],
            "currency": asset,
            "instrument_name": rows["venue_symbol"],
            "expiry_utc": rows["expiry_utc"],
            "strike": strike,
            "option_type": np.where(call, "C", "P"),
            "bid_price": bid,
            "ask_price": ask,
            "mark_price": mark,
            "mark_iv": volatility,
            "delta": np.round(delta, 5),
            "underlying_index": "SYN." + rows["venue_symbol"].str.extract(r"^(\w+-\w+)-")[0],
            "underlying_price": np.round(forward, 2),
            "index_price": asset.map(market.index).astype("float64"),
            "open_interest": interest,
            "volume_24h": np.round(interest * rng.beta(0.6, 6.0, len(rows)), 1),
        }
    ).astype({"option_type": "str", "underlying_index": "str"})


def _quotes(
    mark: Float64Array1D, tick: Float64Array1D, rng: np.random.Generator
) -> tuple[Float64Array1D, Float64Array1D]:
    step = np.where(mark < TICK_STEP_PRICE, tick, TICK_ABOVE)
    half = mark * HALF_SPREAD * rng.lognormal(0.0, 0.3, len(mark)) + 0.5 * step
    bid = np.floor((mark - half) / step) * step
    ask = np.ceil((mark + half) / step) * step
    # Nobody bids below a tick, and about one far option in five has no offer either.
    bid = np.where(bid < 0.5 * step, np.nan, np.round(bid, 6))
    silent = np.isnan(bid) & (rng.random(len(mark)) < 0.2)
    return bid, np.where(silent, np.nan, np.round(ask, 6))
