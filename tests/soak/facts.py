"""What happened in a soak, line by line in one file: written by one process, read by another."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Facts:
    """The writer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def add(self, kind: str, **more: Any) -> dict[str, Any]:
        """Write a fact, stamped now unless ``at`` says when. [ns]"""
        fact = {"kind": kind, "at": time.time_ns(), **more}
        self._file.write(json.dumps(fact, separators=(",", ":")) + "\n")
        return fact

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class FactReader:
    """A reader that goes on where it was."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = Path(path), 0

    def new(self) -> Iterator[dict[str, Any]]:
        """Yield the facts since the last time; half a line waits for its other half."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield json.loads(line)
