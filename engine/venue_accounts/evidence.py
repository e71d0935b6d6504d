"""Grades of evidence, the best one first."""

from __future__ import annotations

from typing import Final

from engine.venue_rules import Evidence

GRADES: Final[tuple[Evidence, ...]] = (
    "published_example", "documented", "inferred", "unverified",
)  # fmt: skip
