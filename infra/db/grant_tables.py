"""Table of what people have said about rungs of the ladder that wait for one."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.tables import Base

_STRICT: Final = {"sqlite_strict": True}
RUNGS: Final = "rung IN ('warn', 'call', 'restrict', 'reduce')"
DECISIONS: Final = "decision IN ('granted', 'refused')"


class IntradayGrantRow(Base):
    """A decision on one rung of one netting set, on the event that asked for it.

    Rows are only added and each is linked to the one before; the last one of an event counts.
    """

    __tablename__ = "intraday_grants"
    __table_args__ = (
        CheckConstraint(RUNGS, name="rung_known"),
        CheckConstraint(DECISIONS, name="decision_known"),
        CheckConstraint("principal <> '' AND reason <> ''", name="answered_for"),
        Index("ix_intraday_grants_netting_set", "netting_set_id", "rung"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[str] = mapped_column(ForeignKey("intraday_events.event_id"))
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    netting_set_id: Mapped[str]
    rung: Mapped[str]
    decision: Mapped[str]
    principal: Mapped[str]
    reason: Mapped[str]
    recorded_at: Mapped[datetime]
    hash: Mapped[str]
