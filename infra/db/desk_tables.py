"""Columns that the tables of every desk have: history in a hash chain, and who approved what."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column


class EventColumns:
    """One step of what leaves, or a fact about it; each row is linked to the one before."""

    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
    previous: Mapped[str]
    state: Mapped[str]
    fact: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str]
    details: Mapped[dict[str, object]]
    recorded_at: Mapped[datetime]
    hash: Mapped[str]


class ApprovalColumns:
    """Who else than the proposer has approved which payload; once per person."""

    approver: Mapped[str] = mapped_column(primary_key=True)
    proposer: Mapped[str]
    payload_hash: Mapped[str]
    recorded_at: Mapped[datetime]


def listed(names: Iterable[str]) -> str:
    """Return names as SQL literals, sorted."""
    return ", ".join(f"'{name}'" for name in sorted(names))


def edges_listed(edges: Iterable[tuple[str, str]]) -> str:
    """Return edges as SQL literals ``'from>to'``."""
    return ", ".join(f"'{state}>{following}'" for state, following in edges)
