"""What was asked of venues and custodians for a close, and what came of it."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import (
    Column,
    Contract,
    Kind,
    PresentWhere,
    Threshold,
    Window,
)

STATES: Final = ("read", "incomplete", "stale", "unread", "withheld")
NOT_READ: Final = STATES[1:]

CONTRACT: Final = Contract(
    dataset="readings",
    version=1,
    meaning=(
        "One row per business date, source and subject: a market, an account or a figure that was "
        "asked of a venue or custodian for the close. What was not read whole and in time leaves "
        "its netting set, instrument or asset without data, and says why: `dataset` and "
        "`identifier` are what is missing. A book that comes from files has none of these rows."
    ),
    columns=(
        Column("business_date", Kind.DATE, "date being closed"),
        Column("source", Kind.IDENTIFIER, "venue or custodian, lower case"),
        Column("subject", Kind.IDENTIFIER, "`market`, a place, or what is withheld"),
        Column("kind", Kind.IDENTIFIER, "whose figures: of the market, of a client's account, of "
               "the house's own, or one figure", words=("market", "account", "house", "figure")),
        Column("state", Kind.IDENTIFIER, "read whole and in time, or not", words=STATES),
        Column("dataset", Kind.IDENTIFIER, "what is missing if it was not read", optional=True),
        Column("identifier", Kind.IDENTIFIER, "whose it is: netting set, instrument or asset",
               optional=True),
        Column("rows", Kind.NUMBER, "rows that came of it", "rows", at_least=0.0, at_most=1e9),
        Column("observed_utc", Kind.INSTANT, "instant of the reading", "UTC", optional=True),
        Column("watermark", Kind.TEXT, "position in the source's history that it includes",
               optional=True),
        Column("reason", Kind.TEXT, "why it was not read", optional=True),
    ),
    key=("business_date", "source", "subject"),
    identifier="identifier",
    threshold=Threshold(quarantined_share_max=0.0, quarantined_rows_free=0, accepted_rows_min=0),
    row_rules=(
        PresentWhere("reason", "state", NOT_READ),
        PresentWhere("dataset", "kind", ("account", "figure")),
        PresentWhere("identifier", "kind", ("account", "figure")),
    ),
    window=Window.ON_DATE,
    date_column="business_date",
)  # fmt: skip
