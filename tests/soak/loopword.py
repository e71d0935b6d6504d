"""What the loop says of itself in its home: read as an operator reads it, without the database."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

_SAMPLE = re.compile(r"^(plimsoll_loop_\w+)(\{[^}]*\})? ([0-9.eE+-]+|NaN)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LoopWord:
    """The last word of a loop, and its age when it was read. [s]"""

    content: Mapping[str, Any]
    age: float

    @property
    def pid(self) -> int:
        """Return the process that said it."""
        return int(str(self.content["holder"]).split(":")[1])

    @property
    def epoch(self) -> int:
        """Return the epoch of its lead."""
        return int(self.content.get("epoch", 0))

    @property
    def is_deciding(self) -> bool:
        """Return whether it decides."""
        return bool(self.content.get("is_deciding"))

    @property
    def waiting(self) -> int:
        """Return how many decisions are not durable yet."""
        return int(self.content.get("waiting", 0))

    def quantile(self, what: str, share: str) -> float:
        """Return a quantile of what it timed last; NaN without one. [s]"""
        found = self.content["seconds"][what][share]
        return float("nan") if found is None else float(found)


def read_word(home: Path) -> LoopWord | None:
    """Return the last word of the loop of a home, None if there is none yet."""
    try:
        content = json.loads((home / "intraday" / "status.json").read_text("utf-8"))
        at = datetime.fromisoformat(content["at"]).timestamp()
    except (OSError, ValueError, KeyError):
        return None
    return LoopWord(content, max(time.time() - at, 0.0))


def read_metrics(home: Path) -> dict[str, float]:
    """Return the loop's metrics; labels are summed but those of histograms' buckets."""
    try:
        text = (home / "intraday" / "metrics.prom").read_text("utf-8")
    except OSError:
        return {}
    found: dict[str, float] = {}
    for name, labels, value in _SAMPLE.findall(text):
        if name.endswith("_created"):
            continue
        key = f"{name}{labels}" if name.endswith("_bucket") or "verdict" in labels else name
        number = float(value)
        found[key] = found.get(key, 0.0) + number
        if key != name:
            found[name] = found.get(name, 0.0) + number
    return found
