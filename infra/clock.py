"""The one place that reads the wall clock; everybody else is given a clock or an instant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present instant in UTC."""
    return datetime.now(UTC)
