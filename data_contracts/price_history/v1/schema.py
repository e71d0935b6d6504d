"""Daily prices of assets, gaps and close-only days included."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import (
    PRICE_MAX,
    Column,
    Contract,
    Kind,
    NotAbove,
    Threshold,
    Window,
)

CONTRACT: Final = Contract(
    dataset="price_history",
    version=1,
    meaning=(
        "One row per asset and UTC day. Only date, asset and close must be there: a day with a "
        "close and no high or low is a good day, a day without a close is quarantined. A day "
        "without a row is a gap: it is noted and never filled. Stablecoins are assets too. Days "
        "of sources whose day is not a UTC day carry `utc_aligned` false."
    ),
    columns=(
        Column("date", Kind.DATE, "UTC day"),
        Column("asset", Kind.IDENTIFIER, "asset"),
        Column("open", Kind.NUMBER, "first price", "quote per unit", optional=True, above=0.0,
               at_most=PRICE_MAX),
        Column("high", Kind.NUMBER, "highest price", "quote per unit", optional=True, above=0.0,
               at_most=PRICE_MAX),
        Column("low", Kind.NUMBER, "lowest price", "quote per unit", optional=True, above=0.0,
               at_most=PRICE_MAX),
        Column("close", Kind.NUMBER, "last price", "quote per unit", above=0.0, at_most=PRICE_MAX),
        Column("volume", Kind.NUMBER, "traded volume", "units", optional=True, at_least=0.0,
               at_most=1e24),
        Column("volume_usd", Kind.NUMBER, "traded volume", "USD", optional=True, at_least=0.0,
               at_most=1e18),
        Column("quote", Kind.IDENTIFIER, "quote asset, USD or USDT mostly", optional=True),
        Column("market", Kind.IDENTIFIER, "spot, perp or index", optional=True),
        Column("utc_aligned", Kind.FLAG, "the day ends at midnight UTC", optional=True,
               flag_when_empty=True),
        Column("source", Kind.TEXT, "where the row comes from", optional=True),
    ),
    key=("asset", "date"),
    identifier="asset",
    threshold=Threshold(quarantined_share_max=0.02, quarantined_rows_free=25, accepted_rows_min=1),
    row_rules=(
        NotAbove("low", "high"),
        NotAbove("low", "open"),
        NotAbove("low", "close"),
        NotAbove("open", "high"),
        NotAbove("close", "high"),
    ),
    window=Window.UP_TO_DATE,
    date_column="date",
    daily_by="asset",
    names_accepted=("prices_daily",),
)  # fmt: skip
