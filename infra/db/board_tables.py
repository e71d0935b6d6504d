"""Tables of the board and of the events that the intraday loop emits.

The board is what a screen shows: it is rebuilt from the loop at any time, so its rows change.
Events are history: they are only added, and each reader remembers how far it has read.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, TypeAlias

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION
from sqlalchemy.dialects.sqlite import REAL
from sqlalchemy.orm import Mapped, mapped_column

from infra.db.tables import Base, exact_amount

_STRICT: Final = {"sqlite_strict": True}
HEALTH_STATES: Final = ("live", "degraded", "down", "unknown")
SCOPES: Final = ("venue", "account", "underlying", "instrument", "system")
Ratio: TypeAlias = Annotated[
    float, mapped_column(DOUBLE_PRECISION().with_variant(REAL(), "sqlite"), nullable=True)
]
"""A ratio or a point of a chart; never money."""


class BoardStateRow(Base):
    """The one row that counts publications."""

    __tablename__ = "board_state"
    __table_args__ = (CheckConstraint("one = 1", name="one_row"), _STRICT)
    one: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int]
    published_at: Mapped[datetime]


class BoardRow(Base):
    """A netting set as it stands now; ``version`` is the publication that last changed it."""

    __tablename__ = "board_rows"
    __table_args__ = (
        *(
            exact_amount(name)
            for name in ("requirement", "venue_margin", "collateral_value", "excess")
        ),
        Index("ix_board_rows_version", "version"),
        _STRICT,
    )
    netting_set_id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str]
    currency: Mapped[str]
    requirement: Mapped[Decimal | None]
    venue_margin: Mapped[Decimal | None]
    collateral_value: Mapped[Decimal | None]
    excess: Mapped[Decimal | None]
    margin_ratio: Mapped[Ratio]
    binding: Mapped[str]
    level: Mapped[str]
    status: Mapped[str]
    as_of: Mapped[datetime]
    run_id: Mapped[str]
    snapshot_id: Mapped[str]
    version: Mapped[int]


class BoardHealthRow(Base):
    """Whether a venue, an account, an underlying or a part of the system is to be trusted."""

    __tablename__ = "board_health"
    __table_args__ = (
        CheckConstraint(f"scope IN {SCOPES!r}", name="scope_known"),
        CheckConstraint(f"state IN {HEALTH_STATES!r}", name="state_known"),
        CheckConstraint("state = 'live' OR next_action <> ''", name="next_action_said"),
        _STRICT,
    )
    scope: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    since: Mapped[datetime]
    reason: Mapped[str]
    next_action: Mapped[str]
    version: Mapped[int]


class BoardPointRow(Base):
    """A point of the day's chart of a netting set; figures for the eye, not for decisions."""

    __tablename__ = "board_points"
    __table_args__ = (Index("ix_board_points_minute", "minute"), _STRICT)
    netting_set_id: Mapped[str] = mapped_column(primary_key=True)
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    requirement: Mapped[Ratio]
    collateral_value: Mapped[Ratio]
    margin_ratio: Mapped[Ratio]


class IntradayEventRow(Base):
    """What others have to hear of: a breach, a recovery, a degraded state, a missed sign of life.

    ``event_id`` is a function of the fact, so that it is recorded once, whoever restarts.
    """

    __tablename__ = "intraday_events"
    __table_args__ = (
        UniqueConstraint("event_id"),
        CheckConstraint("name LIKE 'plimsoll.%'", name="name_prefixed"),
        CheckConstraint("resource LIKE 'plimsoll.%'", name="resource_prefixed"),
        Index("ix_intraday_events_resource", "resource", "position"),
        _STRICT,
    )
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[str]
    name: Mapped[str]
    resource: Mapped[str]
    occurred_at: Mapped[datetime]
    payload: Mapped[dict[str, object]]
    """Texts alone; a parameter of the flow that the event triggers."""
    run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.run_id"))
    recorded_at: Mapped[datetime]


class IntradayCursorRow(Base):
    """How far a reader has handled the events."""

    __tablename__ = "intraday_cursors"
    __table_args__ = (CheckConstraint("position >= 0", name="position_counted"), _STRICT)
    consumer: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]
    moved_at: Mapped[datetime]
