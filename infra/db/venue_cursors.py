"""How far each venue's own history has been read into the ledger.

A cursor moves in the transaction that books what it passes, so that a line is neither lost nor
booked twice, whatever is killed in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, select, update

from infra.db.ledger_tables import VenueCursorRow

if TYPE_CHECKING:
    from infra.db.database import Database


class VenueCursors:
    """Watermarks by place."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, place: str) -> str | None:
        """Return the watermark of a place; None if its history was never read."""
        query = select(VenueCursorRow.watermark).where(VenueCursorRow.place == place)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def move_within(self, connection: Connection, place: str, watermark: str) -> None:
        """Move the watermark of a place in the caller's transaction."""
        values = {"watermark": watermark, "read_at": self._database.clock()}
        is_here = VenueCursorRow.place == place
        if not connection.execute(update(VenueCursorRow).where(is_here).values(**values)).rowcount:
            connection.execute(insert(VenueCursorRow), {"place": place, **values})
