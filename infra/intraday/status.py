"""The loop's own word on how it is, in a file: readable with the database down.

Rewritten each second beside the metrics, under a temporary name that is then renamed. A file that
is older than a few seconds says that the loop does not live. On a full disk, where no new file has
room, the old one is written over: it is longer than it has to be for that.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

FOLDER: Final = "intraday"
STATUS: Final = "status.json"
METRICS: Final = "metrics.prom"
STALE_SECONDS: Final = 5.0
_ROOM: Final = 16_384
_WAITS: Final = (0.01, 0.05)


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
    said = _said(content)
    room = -(-len(said) * 2 // _ROOM) * _ROOM
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / f"{name}.json", said.ljust(room))
        if metrics:
            _replace(folder / METRICS, metrics)
    except OSError:
        return False
    return True


def write_in_place(home: Path, content: Mapping[str, Any], name: str = "status") -> bool:
    """Write over the file that is there, without a byte of new space; False if even that fails.

    What does not fit is left out: states first, of which those on top are kept.
    """
    path = home / FOLDER / f"{name}.json"
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except OSError:
        return False
    try:
        room = os.fstat(descriptor).st_size
        said, health = _said(content), list(content.get("health", ()))
        while len(said) > room and health:
            # Not one by one: a thousand states would be put into words a thousand times.
            health = health[: len(health) * 3 // 4]
            said = _said({**content, "health": health})
        if len(said) > room:
            return False
        # One write: who reads meanwhile sees the old text or the new one, or tries again.
        return os.pwrite(descriptor, said.ljust(room), 0) == room
    except OSError:
        return False
    finally:
        os.close(descriptor)


def read_status(home: Path, now: datetime) -> LoopStatus | None:
    """Return what the loop of a home said last; None if there was never one."""
    for wait in (*_WAITS, None):
        try:
            content = json.loads((home / FOLDER / STATUS).read_text(encoding="utf-8"))
            at = datetime.fromisoformat(content["at"])
        except (OSError, KeyError, TypeError):
            return None
        except ValueError:
            # Written over in this very moment.
            if wait is None:
                return None
            time.sleep(wait)
            continue
        return LoopStatus(content, max((now - at).total_seconds(), 0.0))
    return None


def read_metrics(home: Path) -> bytes:
    """Return the loop's metrics in the text format of Prometheus, empty without a loop."""
    try:
        return (home / FOLDER / METRICS).read_bytes()
    except OSError:
        return b""


def _said(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True).encode()


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError:
        # Half a file would hold the very space that is missing.
        temporary.unlink(missing_ok=True)
        raise
