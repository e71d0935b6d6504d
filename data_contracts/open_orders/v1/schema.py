"""Orders that may still become positions."""

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
    dataset="open_orders",
    version=1,
    meaning="One row per business date, account and order that rests at a venue at the close.",
    columns=(
        Column("business_date", Kind.DATE, "date being closed"),
        Column("account_id", Kind.IDENTIFIER, "account at the venue"),
        Column("order_id", Kind.IDENTIFIER, "order"),
        Column("netting_set_id", Kind.IDENTIFIER, "netting set that the account belongs to"),
        Column("client_id", Kind.IDENTIFIER, "client"),
        Column("venue", Kind.IDENTIFIER, "venue, lower case"),
        Column("instrument_id", Kind.IDENTIFIER, "instrument"),
        Column("side", Kind.IDENTIFIER, "buy or sell", words=("buy", "sell")),
        Column("remaining_quantity", Kind.NUMBER, "not yet filled", "contracts", above=0.0,
               at_most=QUANTITY_MAX),
        Column("limit_price", Kind.NUMBER, "limit", "as the mark", above=0.0, at_most=PRICE_MAX),
    ),
    key=("business_date", "account_id", "order_id"),
    identifier="netting_set_id",
    threshold=Threshold(quarantined_share_max=0.05, quarantined_rows_free=25, accepted_rows_min=0),
    window=Window.ON_DATE,
    date_column="business_date",
)  # fmt: skip
