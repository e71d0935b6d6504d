"""A change of the leader."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Takeover:
    """A leader that ended, and how long it took until one decided again. [s]"""

    how: str
    at: float
    began: float
    epoch: int
    seconds: float | None = None
