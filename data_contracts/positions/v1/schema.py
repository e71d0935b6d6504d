"""Positions as each source reports them."""

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

SOURCES: Final = ("oms", "venue", "clearing")

CONTRACT: Final = Contract(
    dataset="positions",
    version=1,
    meaning=(
        "One row per business date, source, account and instrument. The books of order "
        "management, venues and clearing are all kept: they are reconciled, and the worse one is "
        "margined while a break is open. `settled_price` is the price at which the position was "
        "last settled: the previous settlement, or the average price of the day's trades."
    ),
    columns=(
        Column("business_date", Kind.DATE, "date being closed"),
        Column("source", Kind.IDENTIFIER, "book", words=SOURCES),
        Column("account_id", Kind.IDENTIFIER, "account at the venue"),
        Column("instrument_id", Kind.IDENTIFIER, "instrument"),
        Column("client_id", Kind.IDENTIFIER, "client"),
        Column("netting_set_id", Kind.IDENTIFIER, "netting set that the account belongs to"),
        Column("venue", Kind.IDENTIFIER, "venue, lower case"),
        Column("quantity", Kind.NUMBER, "position, long above 0", "contracts",
               at_least=-QUANTITY_MAX, at_most=QUANTITY_MAX),
        Column("settled_price", Kind.NUMBER, "price of the last settlement",
               "as the mark", above=0.0, at_most=PRICE_MAX),
        Column("observed_utc", Kind.INSTANT, "instant of the report", "UTC"),
    ),
    key=("business_date", "source", "account_id", "instrument_id"),
    identifier="netting_set_id",
    threshold=Threshold(quarantined_share_max=0.02, quarantined_rows_free=25, accepted_rows_min=1),
    window=Window.ON_DATE,
    date_column="business_date",
    observed_column="observed_utc",
)  # fmt: skip
