"""How much of an asset trades, and at what cost."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import Column, Contract, Kind, Threshold, Window

CONTRACT: Final = Contract(
    dataset="liquidity",
    version=1,
    meaning=(
        "One row per business date and asset: traded volume, depth of the books within 1 % of "
        "the mid price, and bid-ask spread. An asset without a row gets the rule book's small "
        "default volume."
    ),
    columns=(
        Column("business_date", Kind.DATE, "date being closed"),
        Column("asset", Kind.IDENTIFIER, "asset"),
        Column("average_daily_volume_usd", Kind.NUMBER, "traded per day", "USD", above=0.0,
               at_most=1e15),
        Column("depth_usd", Kind.NUMBER, "resting orders within 1 %", "USD", at_least=0.0,
               at_most=1e15),
        Column("spread", Kind.NUMBER, "bid-ask spread", "fraction of price", at_least=0.0,
               at_most=1.0),
    ),
    key=("business_date", "asset"),
    identifier="asset",
    threshold=Threshold(quarantined_share_max=0.10, quarantined_rows_free=10, accepted_rows_min=0),
    window=Window.ON_DATE,
    date_column="business_date",
)  # fmt: skip
