"""Contracts of Derive in the sample world: the same claims as contracts of other venues there.

Its perpetuals and options on BTC and ETH settle in USDC, as some of Deribit's and Bybit's do, and
are marked as those are, tick for tick: one market, seen from another venue. Symbols and amount
steps are those of ``public/get_instruments``.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

VENUE: Final = "derive"
_PERPETUALS: Final = {
    "deribit:BTC_USDC-PERPETUAL": "BTC-PERP", "deribit:ETH_USDC-PERPETUAL": "ETH-PERP",
}  # fmt: skip
_OPTIONS_OF: Final = "bybit"
_STEP: Final = {"perpetual": 0.001, "option": 0.01}
_MIRROR: Final = "mirror"


def derive_contracts(instruments: pd.DataFrame) -> pd.DataFrame:
    """Return Derive's rows of contract ``instruments``; ``mirror`` names whose marks they have."""
    options = instruments[
        (instruments["venue"] == _OPTIONS_OF)
        & (instruments["kind"] == "option")
        & (instruments["settlement_asset"] == "USDC")
    ]
    perpetuals = instruments[instruments["instrument_id"].isin(list(_PERPETUALS))]
    table = pd.concat([perpetuals, options], ignore_index=True)
    symbols = [_symbol(row) for _, row in table.iterrows()]
    mirrored = table.assign(
        mirror=table["instrument_id"],
        instrument_id=pd.Series([f"{VENUE}:{symbol}" for symbol in symbols], dtype="str"),
        venue=pd.Series([VENUE] * len(table), dtype="str"),
        venue_symbol=pd.Series(symbols, dtype="str"),
        contract_multiplier=1.0,
        lot_size=table["kind"].map(_STEP).astype("float64"),
    )
    return mirrored.sort_values("instrument_id", ignore_index=True)


def derive_marks(contracts: pd.DataFrame, marks: pd.DataFrame) -> pd.DataFrame:
    """Return Derive's rows of contract ``marks``."""
    names = contracts[["instrument_id", _MIRROR]].rename(columns={"instrument_id": "own"})
    found = marks.merge(names, left_on="instrument_id", right_on=_MIRROR)
    return found.assign(instrument_id=found["own"])[list(marks.columns)]


def derive_funding(funding: pd.DataFrame) -> pd.DataFrame:
    """Return Derive's rows of contract ``funding``."""
    name = funding["venue"].astype(str) + ":" + funding["symbol"].astype(str)
    rows = funding[name.isin(list(_PERPETUALS))]
    return rows.assign(
        venue=pd.Series(VENUE, index=rows.index, dtype="str"),
        symbol=name[rows.index].map(_PERPETUALS).astype("str"),
    )


def _symbol(row: pd.Series) -> str:
    if row["kind"] == "perpetual":
        return _PERPETUALS[str(row["instrument_id"])]
    expiry = pd.Timestamp(str(row["expiry_utc"]))
    letter = str(row["option_type"])[0].upper()
    return f"{row['underlying']}-{expiry:%Y%m%d}-{float(str(row['strike'])):.10g}-{letter}"
