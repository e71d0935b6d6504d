"""Terms between the house and the client of a netting set."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import Column, Contract, Kind, Threshold, Window

CONTRACT: Final = Contract(
    dataset="agreements",
    version=1,
    meaning=(
        "One row per netting set and effective date; the last one in force on the business date "
        "applies. Amounts are in the agreement's currency. One bad row refuses all: a run does "
        "not start on terms that cannot be read."
    ),
    columns=(
        Column("netting_set_id", Kind.IDENTIFIER, "netting set"),
        Column("effective_date", Kind.DATE, "in force from"),
        Column("client_id", Kind.IDENTIFIER, "client"),
        Column("currency", Kind.IDENTIFIER, "currency of requirement and call"),
        Column("confidence", Kind.NUMBER, "confidence of the expected shortfall", "-",
               at_least=0.9, below=1.0),
        Column("threshold", Kind.NUMBER, "unsecured allowance", "currency", at_least=0.0,
               at_most=1e15),
        Column("minimum_transfer_amount", Kind.NUMBER, "smallest transfer", "currency",
               at_least=0.0, at_most=1e15),
        Column("rounding_increment", Kind.NUMBER, "calls are multiples of it", "currency",
               above=0.0, at_most=1e15),
        Column("independent_amount", Kind.NUMBER, "asked on top of the requirement", "currency",
               at_least=0.0, at_most=1e15),
        Column("cure_hours", Kind.NUMBER, "time to meet a call", "hours", above=0.0,
               at_most=8760.0),
        Column("call_basis", Kind.IDENTIFIER, "called for is the larger of house and venue "
               "margin (also where empty), or the house's alone", optional=True,
               words=("larger", "house")),
        Column("cure_unit", Kind.IDENTIFIER, "which hours of the cure period count; hours where "
               "empty", optional=True, words=("hours", "business_hours")),
        Column("time_zone", Kind.IDENTIFIER, "zone of cut-off and business hours; UTC where empty",
               optional=True),
        Column("notification_cut_off", Kind.TEXT, "local HH:MM; a call issued from then on counts "
               "as notified on the next business day", optional=True),
        Column("holiday_calendar", Kind.IDENTIFIER, "country or market codes joined by +; empty "
               "where rails never rest", optional=True),
        Column("business_hours", Kind.TEXT, "local HH:MM-HH:MM; 09:00-17:00 where empty",
               optional=True),
        Column("returns", Kind.IDENTIFIER, "excess goes back by itself (also where empty) or on "
               "request", optional=True, words=("automatic", "on_request")),
        Column("escalation", Kind.TEXT, "name@hours,... after the call was due; the house's own "
               "levels where empty", optional=True),
        Column("ladder", Kind.TEXT, "rung@enter/release[:automatic|approval],... where the ladder "
               "of the day (warn, call, restrict, reduce) differs from the house's", optional=True),
        Column("reduction", Kind.IDENTIFIER, "what a plan to reduce the book may do; the house's "
               "own mode where empty", optional=True, words=("shadow", "approval", "automatic")),
        Column("collection", Kind.IDENTIFIER, "calls are paid from the client's own "
               "places without a person, or by hand (also where empty)", optional=True,
               words=("by_hand", "automatic")),
    ),
    key=("netting_set_id", "effective_date"),
    identifier="netting_set_id",
    threshold=Threshold(quarantined_share_max=0.0, quarantined_rows_free=0, accepted_rows_min=1),
    window=Window.UP_TO_DATE,
    date_column="effective_date",
)  # fmt: skip
