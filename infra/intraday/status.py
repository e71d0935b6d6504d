"""The loop's own word on how it is, in a file: readable with the database down.

Rewritten each second beside the metrics, under a temporary name that is then renamed. A file that
is older than a few seconds says that the loop does not live.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

FOLDER: Final = "intraday"
STATUS: Final = "status.json"
METRICS: Final = "metrics.prom"
STALE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class LoopStatus:
    """What a loop said last, and how long ago by the clock of who reads it. [s]"""

    content: Mapping[str, Any]
    age_seconds: float

    @property
    def is_alive(self) -> bool:
        """Return whether it was said a moment ago."""
        return self.age_seconds <= STALE_SECONDS


def write_status(
    home: Path, content: Mapping[str, Any], metrics: bytes, name: str = "status"
) -> bool:
    """Write both files; False if the disk does not take them."""
    folder = home / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / f"{name}.json", json.dumps(content, indent=1, sort_keys=True).encode())
        if metrics:
            _replace(folder / METRICS, metrics)
    except OSError:
        return False
    return True


def read_status(home: Path, now: datetime) -> LoopStatus | None:
    """Return what the loop of a home said last; None if there was never one."""
    try:
        content = json.loads((home / FOLDER / STATUS).read_text(encoding="utf-8"))
        at = datetime.fromisoformat(content["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return LoopStatus(content, max((now - at).total_seconds(), 0.0))


def read_metrics(home: Path) -> bytes:
    """Return the loop's metrics in the text format of Prometheus, empty without a loop."""
    try:
        return (home / FOLDER / METRICS).read_bytes()
    except OSError:
        return b""


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)
