"""Who may act outside for a scope: an epoch that only rises, committed with whatever leaves (I-43).

A scope is a place that transfers leave from, or the account that orders are sent to. Whoever takes
it over last is its only writer; what carries an older epoch is not sent.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, insert, select, update

from infra.db.transfer_tables import TransferWriterRow

if TYPE_CHECKING:
    from infra.db.database import Database


def take_over_within(database: Database, connection: Connection, scope: str) -> int:
    """Return the new epoch in which this process alone may act for ``scope``."""
    query = select(TransferWriterRow.epoch).where(TransferWriterRow.source == scope)
    last = connection.execute(query).scalar_one_or_none()
    epoch = int(last or 0) + 1
    holder = f"{socket.gethostname()}:{os.getpid()}"
    row = {"epoch": epoch, "holder": holder, "acquired_at": database.clock()}
    if last is None:
        connection.execute(insert(TransferWriterRow), {"source": scope, **row})
    else:
        connection.execute(
            update(TransferWriterRow).where(TransferWriterRow.source == scope).values(row)
        )
    return epoch


def epoch_within(connection: Connection, scope: str) -> int:
    """Return the epoch in which somebody may act for ``scope``; 0 if nobody ever did."""
    query = select(func.max(TransferWriterRow.epoch)).where(TransferWriterRow.source == scope)
    return connection.execute(query).scalar_one_or_none() or 0
