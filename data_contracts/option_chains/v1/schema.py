"""Snapshots of a venue's whole option chain."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import (
    PRICE_MAX,
    QUANTITY_MAX,
    Column,
    Contract,
    Kind,
    NotAbove,
    Threshold,
    Window,
)

CONTRACT: Final = Contract(
    dataset="option_chains",
    version=1,
    meaning=(
        "One row per snapshot and option, inverse options quoted in coin. A side without a quote "
        "is empty. Marks far out of the money may be zero: the venue rounds them. A source gives "
        "the last snapshot of the business date at or before its close, per currency."
    ),
    columns=(
        Column("ts_utc", Kind.INSTANT, "start of the snapshot", "UTC"),
        Column("venue", Kind.IDENTIFIER, "venue, lower case"),
        Column("currency", Kind.IDENTIFIER, "underlying asset"),
        Column("instrument_name", Kind.IDENTIFIER, "name at the venue"),
        Column("expiry_utc", Kind.INSTANT, "instant of expiry", "UTC"),
        Column("strike", Kind.NUMBER, "strike", "USD", above=0.0, at_most=PRICE_MAX),
        Column("option_type", Kind.IDENTIFIER, "call or put", words=("C", "P")),
        Column("bid_price", Kind.NUMBER, "best bid", "coin", optional=True, at_least=0.0,
               at_most=PRICE_MAX),
        Column("ask_price", Kind.NUMBER, "best ask", "coin", optional=True, at_least=0.0,
               at_most=PRICE_MAX),
        Column("mark_price", Kind.NUMBER, "venue's mark", "coin", at_least=0.0, at_most=PRICE_MAX),
        Column("mark_iv", Kind.NUMBER, "venue's mark volatility", "1/sqrt(year)", above=0.0,
               at_most=20.0),
        Column("delta", Kind.NUMBER, "venue's delta", "-", optional=True, at_least=-1.0,
               at_most=1.0),
        Column("underlying_index", Kind.IDENTIFIER, "future used as the underlying",
               optional=True),
        Column("underlying_price", Kind.NUMBER, "forward to the expiry", "USD", above=0.0,
               at_most=PRICE_MAX),
        Column("index_price", Kind.NUMBER, "spot index", "USD", above=0.0, at_most=PRICE_MAX),
        Column("open_interest", Kind.NUMBER, "open interest", "coin", optional=True, at_least=0.0,
               at_most=QUANTITY_MAX),
        Column("volume_24h", Kind.NUMBER, "volume of 24 hours", "coin", optional=True,
               at_least=0.0, at_most=QUANTITY_MAX),
    ),
    key=("ts_utc", "instrument_name"),
    identifier="instrument_name",
    threshold=Threshold(quarantined_share_max=0.05, quarantined_rows_free=50, accepted_rows_min=0),
    row_rules=(NotAbove("bid_price", "ask_price"), NotAbove("ts_utc", "expiry_utc")),
    window=Window.DAY,
    date_column="ts_utc",
    names_accepted=("options_deribit_snapshots",),
)  # fmt: skip
