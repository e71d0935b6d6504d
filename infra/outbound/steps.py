"""Steps that whatever leaves can take: each one call inside one transaction.

Whoever decides, the sender, the resolver or a person, comes through here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

from sqlalchemy import Connection

from infra.db.desk_records import DeskRecords, R
from infra.outbound.worked import Cause

if TYPE_CHECKING:
    from infra.db import Database


class Steps(Generic[R]):
    """What can happen to the records of one desk."""

    def __init__(self, database: Database, records: DeskRecords[R]) -> None:
        self.database, self.records = database, records

    def move(
        self, connection: Connection, record: R, state: str, cause: Cause, **changes: Any
    ) -> R:
        """Record a step to a state."""
        return self.records.move_within(connection, record, cause.step(state, **changes))

    def noted(
        self, connection: Connection, record: R, fact: str, cause: Cause, **changes: Any
    ) -> R:
        """Record something that became known and changes no state."""
        step = cause.step(record.state, fact, **changes)
        return self.records.move_within(connection, record, step)
