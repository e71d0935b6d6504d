"""Daily basis of futures over their index."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import Column, Contract, Kind, Threshold, Window

CONTRACT: Final = Contract(
    dataset="basis_history",
    version=1,
    meaning=(
        "One row per asset and UTC day: ln(futures price / index) over time to expiry, positive "
        "in contango."
    ),
    columns=(
        Column("date", Kind.DATE, "UTC day"),
        Column("asset", Kind.IDENTIFIER, "underlying"),
        Column("annual_basis", Kind.NUMBER, "basis a year", "1/year", at_least=-20.0,
               at_most=20.0),
    ),
    key=("asset", "date"),
    identifier="asset",
    threshold=Threshold(quarantined_share_max=0.05, quarantined_rows_free=10, accepted_rows_min=0),
    window=Window.UP_TO_DATE,
    date_column="date",
    daily_by="asset",
)  # fmt: skip
