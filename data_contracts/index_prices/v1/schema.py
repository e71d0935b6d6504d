"""Spot index of each underlying at the close."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import PRICE_MAX, Column, Contract, Kind, Threshold, Window

CONTRACT: Final = Contract(
    dataset="index_prices",
    version=1,
    meaning="One row per business date and asset: the price of its spot basket in USD.",
    columns=(
        Column("business_date", Kind.DATE, "date being closed"),
        Column("asset", Kind.IDENTIFIER, "asset"),
        Column("index_price", Kind.NUMBER, "price of the spot basket", "USD per unit", above=0.0,
               at_most=PRICE_MAX),
        Column("observed_utc", Kind.INSTANT, "instant of observation", "UTC"),
    ),
    key=("business_date", "asset"),
    identifier="asset",
    threshold=Threshold(quarantined_share_max=0.05, quarantined_rows_free=10, accepted_rows_min=1),
    window=Window.ON_DATE,
    date_column="business_date",
    observed_column="observed_utc",
)  # fmt: skip
