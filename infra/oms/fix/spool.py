"""The spool between the session process and the record: every message, before it is acknowledged.

The FIX engine counts a message as received when its callback returns, and will not be sent it
again. So the callback appends the message here and forces it to the disk first; whoever is killed
at any instant, each message is in the spool or is sent again. One file per life of the process,
numbered; a line is a JSON object. A line that was torn by a kill is followed by no newline, its
message was never acknowledged, and a reader passes over it once a later file is there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, TypeAlias

from engine.errors import StateError

RecordKind: TypeAlias = Literal["message", "alive", "event"]
_SUFFIX: Final = ".spool"
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolRecord:
    """A line: a message as it came, a sign of life, or an event of the session."""

    at: datetime
    kind: RecordKind
    text: str
    details: Mapping[str, str]


class SpoolWriter:
    """Appends to a new file of a folder; one writer at a time."""

    def __init__(self, folder: Path, *, is_synced: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = max((_number(path) for path in folder.glob(f"*{_SUFFIX}")), default=0) + 1
        self.path = folder / f"{number:08d}{_SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self.path, flags, 0o600)
        self._is_synced = is_synced

    def append(
        self,
        at: datetime,
        kind: RecordKind,
        text: str = "",
        details: Mapping[str, str] | None = None,
    ) -> None:
        """Append a record; when this returns it is on the disk. Raises OSError if it cannot be."""
        line = {
            "at": at.isoformat(),
            "kind": kind,
            "text": text,
            **({"more": details} if details else {}),
        }
        data = json.dumps(line, ensure_ascii=True).encode() + b"\n"
        written = os.write(self._descriptor, data)
        if written != len(data):
            raise OSError(f"{self.path.name}: {written} of {len(data)} bytes were written")
        # A sign of life that is lost costs nothing.
        if self._is_synced and kind != "alive":
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def read_from(
    folder: Path, spool: str, read_to: int
) -> Iterator[tuple[str, int, SpoolRecord | None]]:
    """Yield the records after a bookmark: file, position after it, and the record.

    None stands for a torn end of a file that a later one has followed.

    Raises
    ------
    StateError
        If the bookmark's file is gone or shorter than it was, or a whole line cannot be read.
    """
    paths = sorted(folder.glob(f"*{_SUFFIX}"))
    if spool:
        kept = [path for path in paths if path.name >= spool]
        if not kept or kept[0].name != spool:
            raise StateError(
                f"spool {folder / spool} is gone and was read up to byte {read_to}: restore it, or "
                "fill what may be missing from a file of executions",
                identifier=spool,
                value=read_to,
            )
        paths = kept
    for place, path in enumerate(paths):
        start = read_to if path.name == spool else 0
        is_last = place == len(paths) - 1
        yield from _records(path, start, is_last=is_last)


def _records(
    path: Path, start: int, *, is_last: bool
) -> Iterator[tuple[str, int, SpoolRecord | None]]:
    if path.stat().st_size < start:
        raise StateError(
            f"spool {path} has {path.stat().st_size} bytes and was read up to {start}: it was "
            "altered; restore it, or fill what may be missing from a file of executions",
            identifier=path.name,
            value=start,
        )
    with path.open("rb") as file:
        file.seek(start)
        position, rest = start, b""
        while chunk := file.read(_READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                position += len(line) + 1
                yield path.name, position, _record(path, position, line)
    if rest and not is_last:
        yield path.name, position + len(rest), None


def _record(path: Path, position: int, line: bytes) -> SpoolRecord:
    try:
        told = json.loads(line)
        return SpoolRecord(
            at=datetime.fromisoformat(told["at"]),
            kind=told["kind"],
            text=told["text"],
            details=told.get("more", {}),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(
            f"spool {path}: the line before byte {position} cannot be read: {error!r}",
            identifier=path.name,
            value=position,
        ) from error


def _number(path: Path) -> int:
    return int(path.stem) if path.stem.isdigit() else 0
