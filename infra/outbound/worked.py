"""What a round of a desk has done, and who moves what it works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Worked:
    """What a round of a desk has done: subjects by key, with the sentence about each."""

    moved: Mapping[str, str]
    waiting: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Who moves something and why; ``details`` are kept with the event."""

    actor: str
    reason: str
    details: dict[str, object] = field(default_factory=dict)
