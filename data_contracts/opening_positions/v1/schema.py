"""Positions that order management begins a day with."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import QUANTITY_MAX, Column, Contract, Kind, Threshold

CONTRACT: Final = Contract(
    dataset="opening_positions",
    version=1,
    meaning=(
        "One row per account, instant and instrument: what order management held at `as_of_utc`, "
        "with everything that it had reported until then. The rows of one account and instant are "
        "all that it held: an instrument without a row was flat. An account that held nothing has "
        "one row with quantity 0."
    ),
    columns=(
        Column("account_id", Kind.IDENTIFIER, "account at the venue"),
        Column("as_of_utc", Kind.INSTANT, "instant of the statement", "UTC"),
        Column("instrument_id", Kind.IDENTIFIER, "instrument"),
        Column("quantity", Kind.NUMBER, "position, long above 0", "contracts",
               at_least=-QUANTITY_MAX, at_most=QUANTITY_MAX),
    ),
    key=("account_id", "as_of_utc", "instrument_id"),
    identifier="account_id",
    threshold=Threshold(quarantined_share_max=1.0, quarantined_rows_free=0, accepted_rows_min=0),
)  # fmt: skip
