"""Margin prices of instruments at the close."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import (
    PRICE_MAX,
    QUANTITY_MAX,
    Column,
    Contract,
    Kind,
    Threshold,
    Window,
)

CONTRACT: Final = Contract(
    dataset="marks",
    version=1,
    meaning=(
        "One row per business date and instrument: the venue's margin price. Inverse options are "
        "marked in coin. Options carry their volatility, options and futures their forward. "
        "`settlement_price` is there on the day of expiry alone: the price that settles. "
        "`open_interest` is needed where a venue's margin rates go by it; without it they are "
        "taken at the end of their rule. A mark of zero is no price."
    ),
    columns=(
        Column("business_date", Kind.DATE, "date being closed"),
        Column("instrument_id", Kind.IDENTIFIER, "instrument"),
        Column("mark_price", Kind.NUMBER, "margin price", "quote asset; coin for inverse options",
               above=0.0, at_most=PRICE_MAX),
        Column("mark_iv", Kind.NUMBER, "volatility of an option", "1/sqrt(year)", optional=True,
               above=0.0, at_most=20.0),
        Column("forward_price", Kind.NUMBER, "forward of an option, price of a future",
               "quote asset", optional=True, above=0.0, at_most=PRICE_MAX),
        Column("settlement_price", Kind.NUMBER, "price that settles an expiry", "quote asset",
               optional=True, above=0.0, at_most=PRICE_MAX),
        Column("open_interest", Kind.NUMBER, "open contracts of the whole market", "contracts",
               optional=True, at_least=0.0, at_most=QUANTITY_MAX),
        Column("observed_utc", Kind.INSTANT, "instant of observation", "UTC"),
    ),
    key=("business_date", "instrument_id"),
    identifier="instrument_id",
    threshold=Threshold(quarantined_share_max=0.05, quarantined_rows_free=25, accepted_rows_min=1),
    window=Window.ON_DATE,
    date_column="business_date",
    observed_column="observed_utc",
)  # fmt: skip
