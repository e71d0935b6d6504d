"""Collateral holdings as each source reports them."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import QUANTITY_MAX, Column, Contract, Kind, Threshold, Window

CONTRACT: Final = Contract(
    dataset="collateral",
    version=1,
    meaning=(
        "One row per business date, source, netting set, location, asset and state. A location "
        "is a venue or a custodian's account. Pending holdings are on their way and count once."
    ),
    columns=(
        Column("business_date", Kind.DATE, "date being closed"),
        Column("source", Kind.IDENTIFIER, "book", words=("oms", "venue", "clearing")),
        Column("netting_set_id", Kind.IDENTIFIER, "netting set"),
        Column("location", Kind.IDENTIFIER, "venue or custody account"),
        Column("asset", Kind.IDENTIFIER, "asset held"),
        Column("state", Kind.IDENTIFIER, "settled or pending", words=("settled", "pending")),
        Column("client_id", Kind.IDENTIFIER, "client"),
        Column("quantity", Kind.NUMBER, "holding", "units of the asset", at_least=0.0,
               at_most=QUANTITY_MAX),
        Column("observed_utc", Kind.INSTANT, "instant of the report", "UTC"),
    ),
    key=("business_date", "source", "netting_set_id", "location", "asset", "state"),
    identifier="netting_set_id",
    threshold=Threshold(quarantined_share_max=0.02, quarantined_rows_free=25, accepted_rows_min=0),
    window=Window.ON_DATE,
    date_column="business_date",
    observed_column="observed_utc",
)  # fmt: skip
