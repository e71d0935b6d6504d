"""What was read of each source for each date, kept whole: no date is read twice that was read once.

A reading is named by date, source and attempt. Its list of contents is written last, so what a
crash has left half written does not exist.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import pandas as pd

from engine.errors import StateError
from infra.market.connected.frames import SourceFrames
from infra.store import Store

FOLDER: Final = "readings"
_FORMAT: Final = "plimsoll-reading-1"
_CONTENTS: Final = "contents.json"


EARLIER_MAX: Final = 10
"""Dates that are looked back at."""


@dataclass(slots=True)
class Earlier:
    """Earlier readings by source, newest first, each loaded when it is first come to."""

    archive: Archive
    before: date
    sources: Sequence[str]
    _loaded: list[tuple[date, dict[str, SourceFrames]]] = field(default_factory=list)
    _left: list[date] | None = None

    def __iter__(self) -> Iterator[tuple[date, dict[str, SourceFrames]]]:
        """Yield date and readings of at most ten dates."""
        if self._left is None:
            self._left = self.archive.dates(self.before)[:EARLIER_MAX][::-1]
        yield from tuple(self._loaded)
        while self._left:
            day = self._left.pop()
            found = {name: self.archive.find(day, name) for name in self.sources}
            self._loaded.append((day, {n: one for n, one in found.items() if one is not None}))
            yield self._loaded[-1]


@dataclass(frozen=True, slots=True)
class Archive:
    """Readings on the store."""

    store: Store

    def keep(self, found: SourceFrames, business_date: date) -> None:
        """Write what was read as the newest attempt of its date."""
        attempt = max(self._attempts(business_date, found.source), default=0) + 1
        folder = f"{FOLDER}/{business_date.isoformat()}/{found.source}/{attempt}"
        hashes = {
            name: self.store.write_frame(f"{folder}/{name}.parquet", frame)
            for name, frame in sorted(found.frames.items())
        }
        contents = {
            "format": _FORMAT,
            "source": found.source,
            "business_date": business_date.isoformat(),
            "is_whole": found.is_whole,
            "frames": hashes,
        }
        self.store.write_text(f"{folder}/{_CONTENTS}", json.dumps(contents, indent=2) + "\n")

    def find(self, business_date: date, source: str) -> SourceFrames | None:
        """Return the newest reading of a source for a date, verified; None if there is none.

        Raises
        ------
        StateError
            If a file was altered.
        """
        attempt = max(self._attempts(business_date, source), default=0)
        if not attempt:
            return None
        folder = f"{FOLDER}/{business_date.isoformat()}/{source}/{attempt}"
        path = f"{folder}/{_CONTENTS}"
        try:
            contents = json.loads(self.store.read_text(path))
            hashes = {str(name): str(digest) for name, digest in contents["frames"].items()}
            is_whole = bool(contents["is_whole"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StateError(
                f"{self.store.url_of(path)} is no list of a reading: restore the file",
                identifier=path,
            ) from error
        frames = {
            name: self.store.read_frame(f"{folder}/{name}.parquet", content_hash=digest)
            for name, digest in hashes.items()
        }
        return SourceFrames(source, frames, is_whole=is_whole)

    def keep_closes(self, closes: pd.DataFrame, business_date: date) -> None:
        """Write the day's closes, as the price history of later dates needs them."""
        path = self._closes_path(business_date)
        self.store.write_text(f"{path}.sha256", self.store.write_frame(path, closes))

    def closes(self, business_date: date) -> pd.DataFrame | None:
        """Return the closes of a date, verified; None if it was never put together."""
        path = self._closes_path(business_date)
        if not self.store.exists(f"{path}.sha256"):
            return None
        digest = self.store.read_text(f"{path}.sha256")
        return self.store.read_frame(path, content_hash=digest)

    def dates(self, before: date) -> list[date]:
        """Return the dates earlier than ``before`` of which anything was read, newest first."""
        return sorted({day for day in self._dates() if day < before}, reverse=True)

    def _dates(self) -> Iterator[date]:
        for path in self.store.list(FOLDER):
            parts = path.split("/")
            if parts[-1] == _CONTENTS:
                yield date.fromisoformat(parts[1])

    def _closes_path(self, business_date: date) -> str:
        return f"{FOLDER}/{business_date.isoformat()}/closes.parquet"

    def _attempts(self, business_date: date, source: str) -> list[int]:
        folder = f"{FOLDER}/{business_date.isoformat()}/{source}"
        found = [path.split("/") for path in self.store.list(folder)]
        return [int(parts[-2]) for parts in found if parts[-1] == _CONTENTS]
