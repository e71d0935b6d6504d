"""How a netting set stands just now, for whoever asks whether it may take new risk."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select, text

from engine.calls.states import LATE
from engine.policies.new_risk import Standing
from infra.db.board_tables import BoardRow, BoardStateRow
from infra.db.tables import OPEN_CALL, CallRow

if TYPE_CHECKING:
    from infra.db.database import Database


def standing_of(
    database: Database, netting_set_id: str, now: datetime, stopped: str = ""
) -> Standing | None:
    """Return how a netting set stands; None where the board does not know it.

    Parameters
    ----------
    now : datetime
        Instant of the question: calls due before it and not met are late. UTC.
    stopped : str
        Why everything is stopped, as the kill switch says; empty where nothing is.
    """
    late = (
        select(func.count())
        .where(CallRow.netting_set_id == netting_set_id, CallRow.direction == "call")
        .where(text(OPEN_CALL))
        .where(CallRow.state.in_(sorted(LATE)) | (CallRow.first_due_at < now))
    )
    with database.reading() as connection:
        query = select(BoardRow.level, BoardRow.status).where(
            BoardRow.netting_set_id == netting_set_id
        )
        row = connection.execute(query).one_or_none()
        said_at = connection.execute(select(BoardStateRow.published_at)).scalar_one_or_none()
        n_late = connection.execute(late).scalar_one()
    if row is None or said_at is None:
        return None
    return Standing(
        netting_set_id=netting_set_id,
        status=row.status,
        level=row.level,
        said_at=said_at,
        n_calls_late=n_late,
        stopped=stopped,
    )
