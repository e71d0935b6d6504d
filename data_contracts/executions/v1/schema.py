"""Executions as order management reports them."""

from __future__ import annotations

from typing import Final

from data_contracts.contract import (
    PRICE_MAX,
    QUANTITY_MAX,
    Column,
    Contract,
    Kind,
    Threshold,
    present_iff,
)

KINDS: Final = ("trade", "bust", "correction")
_LATER: Final = ("bust", "correction")

CONTRACT: Final = Contract(
    dataset="executions",
    version=1,
    meaning=(
        "One row per execution of order management. A `bust` undoes the execution that it "
        "`refers_to`, a `correction` stands in its place with its own side, quantity and price; "
        "each has an identifier of its own, and the first row stays as it was. An identifier that "
        "comes again with the same content changes nothing; with another content it is a break. "
        "Amounts are read digit by digit and never become floating-point numbers."
    ),
    columns=(
        Column("execution_id", Kind.IDENTIFIER, "order management's name of this row"),
        Column("kind", Kind.IDENTIFIER, "what happened", words=KINDS),
        Column("refers_to", Kind.IDENTIFIER, "execution that is undone or corrected",
               optional=True),
        Column("account_id", Kind.IDENTIFIER, "account at the venue"),
        Column("instrument_id", Kind.IDENTIFIER, "instrument"),
        Column("side", Kind.IDENTIFIER, "side of the trade", words=("buy", "sell")),
        Column("quantity", Kind.NUMBER, "size of the trade", "contracts", above=0.0,
               at_most=QUANTITY_MAX),
        Column("execution_price", Kind.NUMBER, "price of the trade", "as the mark", at_least=0.0,
               at_most=PRICE_MAX),
        Column("executed_utc", Kind.INSTANT, "instant of the event", "UTC"),
        Column("reported_utc", Kind.INSTANT, "instant at which order management first said so",
               "UTC", optional=True),
    ),
    # With its content: another one under the same name is for the inbox to keep beside the first.
    key=(
        "execution_id", "account_id", "instrument_id", "side", "quantity", "execution_price",
        "executed_utc",
    ),
    identifier="execution_id",
    threshold=Threshold(quarantined_share_max=1.0, quarantined_rows_free=0, accepted_rows_min=0),
    row_rules=present_iff("refers_to", "kind", _LATER, ("trade",)),
)  # fmt: skip
