"""Currencies and stablecoins in USD at the close."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import Column, Contract, FixedWhere, Kind, Threshold, Window

CONTRACT: Final = Contract(
    dataset="fx_rates",
    version=1,
    meaning=(
        "One row per business date and currency or stablecoin: USD for one unit. USD itself is "
        "there with rate 1. A stablecoin without a rate has no row: par is never assumed."
    ),
    columns=(
        Column("business_date", Kind.DATE, "date being closed"),
        Column("asset", Kind.IDENTIFIER, "currency or stablecoin"),
        Column("usd_rate", Kind.NUMBER, "value of one unit", "USD per unit", above=0.0,
               at_most=1e6),
        Column("observed_utc", Kind.INSTANT, "instant of observation", "UTC"),
    ),
    key=("business_date", "asset"),
    identifier="asset",
    threshold=Threshold(quarantined_share_max=0.25, quarantined_rows_free=2, accepted_rows_min=1),
    row_rules=(FixedWhere("usd_rate", 1.0, "asset", ("USD",)),),
    window=Window.ON_DATE,
    date_column="business_date",
    observed_column="observed_utc",
)  # fmt: skip
