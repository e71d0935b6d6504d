"""Daily at-the-money volatility at 30 days."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import Column, Contract, Kind, Threshold, Window

_VOLATILITY: Final = Column(
    "atm_iv_30d", Kind.NUMBER, "at-the-money volatility at 30 days", "1/sqrt(year)", above=0.0,
    at_most=20.0,
)  # fmt: skip
_THRESHOLD: Final = Threshold(
    quarantined_share_max=0.05, quarantined_rows_free=10, accepted_rows_min=0
)

INTRADAY: Final = Contract(
    dataset="volatility_history",
    version=1,
    meaning="One row per observation and asset.",
    columns=(
        Column("ts_utc", Kind.INSTANT, "instant of observation", "UTC"),
        Column("asset", Kind.IDENTIFIER, "underlying", names_accepted=("currency",)),
        _VOLATILITY,
    ),
    key=("ts_utc", "asset"),
    identifier="asset",
    threshold=_THRESHOLD,
    window=Window.UP_TO_DATE,
    date_column="ts_utc",
)

CONTRACT: Final = Contract(
    dataset="volatility_history",
    version=1,
    meaning=(
        "One row per asset and UTC day. Intraday observations (`ts_utc`, `currency` or `asset`, "
        "`atm_iv_30d`) are accepted too: every row is checked, then the last accepted one of "
        "each UTC day is taken."
    ),
    columns=(
        Column("date", Kind.DATE, "UTC day"),
        Column("asset", Kind.IDENTIFIER, "underlying"),
        _VOLATILITY,
    ),
    key=("asset", "date"),
    identifier="asset",
    threshold=_THRESHOLD,
    window=Window.UP_TO_DATE,
    date_column="date",
    daily_by="asset",
    names_accepted=("options_deribit_atm30d",),
    finer=INTRADAY,
)
