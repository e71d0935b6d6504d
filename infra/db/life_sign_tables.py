"""Table of the signs of life of what has to happen again and again."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.board_tables import HEALTH_STATES
from infra.db.tables import Base

_STRICT: Final = {"sqlite_strict": True}


class LifeSignRow(Base):
    """What is expected to be heard of again within ``seconds_max``, and what it said last."""

    __tablename__ = "life_signs"
    __table_args__ = (
        CheckConstraint("seconds_max > 0", name="seconds_max_positive"),
        CheckConstraint(f"state IN {HEALTH_STATES!r}", name="state_known"),
        CheckConstraint("next_action <> ''", name="next_action_said"),
        _STRICT,
    )
    name: Mapped[str] = mapped_column(primary_key=True)
    said_by: Mapped[str]
    said_at: Mapped[datetime]
    seconds_max: Mapped[int]
    state: Mapped[str]
    since: Mapped[datetime]
    reason: Mapped[str]
    next_action: Mapped[str]
