"""Accounts at venues and the margin mode that each is in."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import Column, Contract, Kind, Threshold, Window

CONTRACT: Final = Contract(
    dataset="accounts",
    version=1,
    meaning=(
        "One row per account at a venue and effective date; the last one in force on the business "
        "date applies. `account_mode` is the rule book's name of the venue's margin mode; an "
        "account without one is reported as unmodelled, never as free of margin. `leverage` is "
        "what the account has chosen for its futures and perpetuals, where the venue lets it "
        "choose. Without this dataset a close computes the house's margin alone."
    ),
    columns=(
        Column("account_id", Kind.IDENTIFIER, "account at the venue"),
        Column("effective_date", Kind.DATE, "in force from"),
        Column("venue", Kind.IDENTIFIER, "venue, lower case"),
        Column("client_id", Kind.IDENTIFIER, "client"),
        Column("netting_set_id", Kind.IDENTIFIER, "netting set that the account belongs to"),
        Column("account_mode", Kind.IDENTIFIER, "margin mode, as the rule book names it",
               optional=True),
        Column("leverage", Kind.NUMBER, "leverage chosen by the account", "-", optional=True,
               above=0.0, at_most=1000.0),
    ),
    key=("account_id", "effective_date"),
    identifier="account_id",
    threshold=Threshold(quarantined_share_max=0.02, quarantined_rows_free=25, accepted_rows_min=0),
    window=Window.UP_TO_DATE,
    date_column="effective_date",
)  # fmt: skip
