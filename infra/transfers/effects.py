"""What a transfer does to the ledger, in the transaction that moves its state.

Approved: the amount is held at the source. Debited: the hold is posted to the transfer's own
transit account, where it counts at neither place. Credited: transit to the destination, less the
fee. Refused or proven not executed: the hold is voided, or what was debited goes back.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from engine.errors import InsufficientCollateral
from engine.ledger.accounts import fees_account, location_account, transit_account
from engine.ledger.entries import Entry, Hold, Posting
from infra.crashpoints import crashpoint

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.transfers import TransferRecord


def hold(database: Database, connection: Connection, record: TransferRecord) -> str:
    """Reserve the amount at the source; return why that cannot be, or nothing."""
    intent = record.intent
    wanted = Hold(
        record.transfer_key,
        location_account(intent.source),
        transit_account(record.transfer_key),
        intent.asset,
        intent.amount,
        record.business_date,
    )
    try:
        database.ledger.hold_within(connection, wanted)
    except InsufficientCollateral as error:
        return str(error)
    crashpoint("transfer:hold")
    return ""


def debit(database: Database, connection: Connection, record: TransferRecord) -> None:
    """Move the held amount from the source into transit; once, however often it is seen."""
    database.ledger.post_hold_within(connection, record.transfer_key)
    crashpoint("transfer:debit")


def credit(database: Database, connection: Connection, record: TransferRecord, fee: int) -> None:
    """Move what is in transit to the destination, and the fee to the rail's account. [minor]"""
    intent, key = record.intent, record.transfer_key
    transit = transit_account(key)
    target = location_account(intent.destination)
    postings = [Posting(transit, target, intent.asset, intent.amount - fee)]
    if fee:
        postings.append(Posting(transit, fees_account(intent.source_venue), intent.asset, fee))
    _post(database, connection, f"transfer:{key}:credit", record.business_date, postings)


def void(database: Database, connection: Connection, record: TransferRecord, reason: str) -> None:
    """Release the reserved amount: it never left."""
    database.ledger.void_hold_within(connection, record.transfer_key, reason)
    crashpoint("transfer:void")


def give_back(database: Database, connection: Connection, record: TransferRecord) -> None:
    """Move what is in transit back to the source: the venue has returned it."""
    intent, key = record.intent, record.transfer_key
    back = [
        Posting(transit_account(key), location_account(intent.source), intent.asset, intent.amount)
    ]
    _post(database, connection, f"transfer:{key}:return", record.business_date, back)


def _post(
    database: Database,
    connection: Connection,
    business_key: str,
    business_date: date,
    postings: list[Posting],
) -> None:
    entry = Entry(business_key, "transfer", business_date, None, tuple(postings))
    database.ledger.post_within(connection, [entry])
    crashpoint("transfer:post")
