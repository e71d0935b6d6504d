"""Instruments that history alone implies: spot, perpetuals, dated futures and real options.

Terms: linear USDT contracts of Binance (one unit of the asset), inverse contracts of Deribit (10
USD for BTC, 1 USD for ETH; options on one coin). Contracts are listed for every asset with a close
in the last 30 days, whether or not a venue listed them on that day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from infra.market.history.day import CURRENCIES, LISTED_DAYS, MarketDay, as_utc
from infra.market.history.expiries import dated_symbol, quarterly_expiries


@dataclass(frozen=True, slots=True)
class InverseTerms:
    """Deribit's contract sizes and steps of one asset."""

    usd_per_contract: float
    perpetual_tick: float
    future_tick: float
    option_lot: float


INVERSE_TERMS: Final = {
    "BTC": InverseTerms(10.0, 0.5, 2.5, 0.1),
    "ETH": InverseTerms(1.0, 0.05, 0.5, 1.0),
}
_OPTION_TICK: Final = 0.0001
_OPTION_TYPES: Final = {"C": "call", "P": "put"}
# A coin sold by the thousand has a perpetual and no spot pair of that name.
_BY_THE_THOUSAND: Final = "1000"


def instruments_of(day: MarketDay) -> pd.DataFrame:
    """Return the ``instruments`` frame of the day, sorted by instrument_id."""
    recent = day.prices["date"] > pd.Timestamp(day.business_date) - pd.Timedelta(days=LISTED_DAYS)
    closes = day.prices[recent].groupby("asset")["close"].last()
    rows = [_linear(str(a), float(c), "spot") for a, c in closes.items() if _has_spot(str(a))]
    rows += [
        _linear(str(a), float(c), "perpetual") for a, c in closes.items() if a not in CURRENCIES
    ]
    for asset in INVERSE_TERMS:
        if asset in closes.index or asset in day.levels.index:
            rows.append(_inverse(asset, "perpetual", None))
            rows += [_inverse(asset, "future", expiry) for expiry in future_expiries(day, asset)]
    rows += _options(listed_options(day))
    frame = pd.DataFrame(rows)
    frame["expiry_utc"] = pd.to_datetime(frame["expiry_utc"], utc=True)
    return frame.sort_values("instrument_id").reset_index(drop=True)


def listed_options(day: MarketDay) -> pd.DataFrame:
    """Return the options of the day's chain and those of the day before that expired since."""
    expired = day.previous_chain[
        (day.previous_chain["expiry_utc"] > pd.Timestamp(day.previous_close))
        & (day.previous_chain["expiry_utc"] <= pd.Timestamp(day.close))
    ]
    both = pd.concat([day.chain, expired], ignore_index=True)
    both = both[both["currency"].isin(list(INVERSE_TERMS))]
    return both.drop_duplicates("instrument_name", keep="first").reset_index(drop=True)


def future_expiries(day: MarketDay, asset: str) -> list[datetime]:
    """Return the expiries after the previous close: quarterlies, and what the futures file has."""
    expiries = set(quarterly_expiries(day.close))
    expiries.update(e for e in quarterly_expiries(day.previous_close, 1) if e <= day.close)
    own = day.term[(day.term["currency"] == asset) & day.term["expiry_utc"].notna()]
    expiries.update(as_utc(expiry) for expiry in own["expiry_utc"])
    return sorted(expiry for expiry in expiries if expiry > day.previous_close)


def linear_id(asset: str, kind: str) -> str:
    """Return the instrument_id of the USDT pair or perpetual of an asset."""
    return f"binance:{asset}USDT-SPOT" if kind == "spot" else f"binance:{asset}USDT"


def inverse_id(asset: str, expiry: datetime | None) -> str:
    """Return the instrument_id of the inverse perpetual or dated future of an asset."""
    return f"deribit:{inverse_symbol(asset, expiry)}"


def inverse_symbol(asset: str, expiry: datetime | None) -> str:
    """Return the venue's name of the inverse perpetual or dated future."""
    return f"{asset}-PERPETUAL" if expiry is None else dated_symbol(asset, expiry)


def _has_spot(asset: str) -> bool:
    return asset not in {"USD", "USDT"} and not asset.startswith(_BY_THE_THOUSAND)


def _linear(asset: str, close: float, kind: str) -> dict[str, object]:
    # Five significant digits of price, and lots worth between 1 and 10 units of the quote.
    magnitude = math.floor(math.log10(close))
    return {
        "instrument_id": linear_id(asset, kind), "venue": "binance",
        "venue_symbol": f"{asset}USDT", "kind": kind, "payoff": "linear", "underlying": asset,
        "quote_asset": "USDT", "settlement_asset": "USDT", "contract_multiplier": 1.0,
        "strike": np.nan, "option_type": None, "expiry_utc": None,
        "tick_size": float(f"1e{magnitude - 4}"), "lot_size": float(f"1e{-magnitude}"),
    }  # fmt: skip


def _inverse(asset: str, kind: str, expiry: datetime | None) -> dict[str, object]:
    terms = INVERSE_TERMS[asset]
    return {
        "instrument_id": inverse_id(asset, expiry), "venue": "deribit",
        "venue_symbol": inverse_symbol(asset, expiry), "kind": kind, "payoff": "inverse",
        "underlying": asset, "quote_asset": "USD", "settlement_asset": asset,
        "contract_multiplier": terms.usd_per_contract, "strike": np.nan, "option_type": None,
        "expiry_utc": expiry,
        "tick_size": terms.perpetual_tick if expiry is None else terms.future_tick,
        "lot_size": 1.0,
    }  # fmt: skip


def _options(options: pd.DataFrame) -> list[dict[str, object]]:
    return [
        {
            "instrument_id": f"deribit:{name}", "venue": "deribit", "venue_symbol": name,
            "kind": "option", "payoff": "inverse", "underlying": currency, "quote_asset": "USD",
            "settlement_asset": currency, "contract_multiplier": 1.0, "strike": strike,
            "option_type": _OPTION_TYPES[right], "expiry_utc": expiry,
            "tick_size": _OPTION_TICK, "lot_size": INVERSE_TERMS[currency].option_lot,
        }
        for name, currency, strike, right, expiry in zip(
            options["instrument_name"], options["currency"], options["strike"],
            options["option_type"], options["expiry_utc"], strict=True,
        )
    ]  # fmt: skip
