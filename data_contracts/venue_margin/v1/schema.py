"""Margin of each account as its venue reports it."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import Column, Contract, Kind, Threshold, Window

AMOUNT_MAX: Final = 1e15

CONTRACT: Final = Contract(
    dataset="venue_margin",
    version=1,
    meaning=(
        "One row per business date, account and bucket: what the venue itself says that it "
        "demands. A bucket is what the venue margins together, named by its settlement asset or "
        "underlying, or `account` where everything is margined together. Where one equity stands "
        "behind all buckets, every row states it whole. The figures are compared with the house's "
        "replica of the venue's rules; an account that cannot be replicated counts at them."
    ),
    columns=(
        Column("business_date", Kind.DATE, "date being closed"),
        Column("account_id", Kind.IDENTIFIER, "account at the venue"),
        Column("bucket", Kind.IDENTIFIER, "what is margined together"),
        Column("currency", Kind.IDENTIFIER, "currency of the amounts"),
        Column("reported_initial_margin", Kind.NUMBER, "initial margin, open orders included",
               "currency", at_least=0.0, at_most=AMOUNT_MAX),
        Column("reported_maintenance_margin", Kind.NUMBER, "maintenance margin", "currency",
               at_least=0.0, at_most=AMOUNT_MAX),
        Column("reported_equity", Kind.NUMBER, "equity that the venue counts", "currency",
               optional=True, at_least=-AMOUNT_MAX, at_most=AMOUNT_MAX),
        Column("observed_utc", Kind.INSTANT, "instant of the report", "UTC"),
    ),
    key=("business_date", "account_id", "bucket"),
    identifier="account_id",
    threshold=Threshold(quarantined_share_max=0.02, quarantined_rows_free=25, accepted_rows_min=0),
    window=Window.ON_DATE,
    date_column="business_date",
    observed_column="observed_utc",
)  # fmt: skip
