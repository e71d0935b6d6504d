"""Funding rates of perpetuals."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import Column, Contract, Kind, Threshold, Window

CONTRACT: Final = Contract(
    dataset="funding",
    version=1,
    meaning=(
        "One row per payment: the fraction of notional that longs pay to shorts at `ts_utc` for "
        "the `interval_hours` before. A business date holds the payments after the previous "
        "close, up to and including its own."
    ),
    columns=(
        Column("ts_utc", Kind.INSTANT, "instant of payment", "UTC"),
        Column("venue", Kind.IDENTIFIER, "venue, lower case"),
        Column("symbol", Kind.IDENTIFIER, "venue_symbol of the perpetual"),
        Column("asset", Kind.IDENTIFIER, "underlying"),
        Column("funding_rate", Kind.NUMBER, "paid by longs to shorts", "fraction of notional",
               at_least=-0.25, at_most=0.25),
        Column("interval_hours", Kind.NUMBER, "hours that the rate is for", "hours", above=0.0,
               at_most=24.0),
        Column("source", Kind.TEXT, "where the row comes from", optional=True),
    ),
    key=("ts_utc", "venue", "symbol"),
    identifier="symbol",
    threshold=Threshold(quarantined_share_max=0.05, quarantined_rows_free=10, accepted_rows_min=0),
    window=Window.DAY,
    date_column="ts_utc",
)  # fmt: skip
