"""Word what pydantic has found: one sentence per fault, with label, key, reason and value."""

from __future__ import annotations

from typing import Final

from pydantic import ValidationError

_FAULTS_SHOWN: Final = 5


def refusal(error: ValidationError, label: str) -> str:
    """Return the first faults in words, and how many more there are."""
    lines = []
    for fault in error.errors()[:_FAULTS_SHOWN]:
        key = ".".join(str(part) for part in fault["loc"])
        value = "" if fault["type"] == "missing" else f", found {fault['input']!r:.60}"
        lines.append(f"{label}: {key}: {fault['msg']}{value}")
    more = error.error_count() - len(lines)
    return "; ".join(lines) + (f"; and {more} more" if more > 0 else "")
