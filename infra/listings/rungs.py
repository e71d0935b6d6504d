"""Rungs of the ladder that wait for a person, and what was said about them, as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.db.intraday_grants import Grant, WaitingRung


def waiting_as_json(one: WaitingRung) -> dict[str, Any]:
    """Return a rung that waits."""
    return {**asdict(one), "since": one.since.isoformat()}


def grant_as_json(one: Grant) -> dict[str, Any]:
    """Return what somebody has said about a rung."""
    return {**asdict(one), "recorded_at": one.recorded_at.isoformat()}
