"""The store: frames and files by relative path, each write answered with the hash of its bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

from engine.errors import StateError
from infra.store.files import Files, open_files


class Store:
    """Bulk results of runs, snapshots and audit heads under one URL."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def write_frame(self, path: str, frame: pd.DataFrame) -> str:
        """Write ``frame`` as Parquet and return the SHA-256 of the file.

        The index is dropped; ``Decimal`` columns come back exactly as they are.

        Raises
        ------
        StateError
            If the disk is full, not writable or out of reach; nothing half written stays.
        ModelInputError
            If a column mixes types or a name occurs twice.
        """
        from infra.store.arrow import to_parquet, to_table

        return self.write_bytes(path, to_parquet(to_table(frame)))

    def read_frame(
        self, path: str, *, content_hash: str | None = None, columns: list[str] | None = None
    ) -> pd.DataFrame:
        """Return the frame under ``path``, verified against ``content_hash`` if that is given."""
        from infra.store.arrow import from_parquet, to_frame

        return to_frame(from_parquet(self.read_bytes(path, content_hash=content_hash), columns))

    def write_text(self, path: str, text: str) -> str:
        """Write ``text`` as UTF-8 and return the SHA-256 of the file."""
        return self.write_bytes(path, text.encode())

    def write_bytes(self, path: str, content: bytes) -> str:
        """Write ``content`` whole and return its SHA-256."""
        self._files.write(path, content)
        return hashlib.sha256(content).hexdigest()

    def read_text(self, path: str) -> str:
        """Return the UTF-8 text under ``path``."""
        return self.read_bytes(path).decode()

    def read_bytes(self, path: str, *, content_hash: str | None = None) -> bytes:
        """Return the content of ``path``; MissingDataError if absent, StateError if altered."""
        content = self._files.read(path)
        found = hashlib.sha256(content).hexdigest()
        if content_hash is not None and found != content_hash:
            raise StateError(
                f"{self.url_of(path)} was altered: its SHA-256 is {found}, recorded was "
                f"{content_hash}; restore the file or run again with --force",
                identifier=path,
                value=found,
                limit=content_hash,
            )
        return content

    def exists(self, path: str) -> bool:
        """Return whether ``path`` is there."""
        return self._files.exists(path)

    def list(self, folder: str) -> list[str]:
        """Return the paths of all files below ``folder``, sorted."""
        return self._files.list(folder)

    def url_of(self, path: str) -> str:
        """Return the URL of ``path``, free of credentials."""
        return self._files.url_of(path)

    def local_path(self, path: str) -> Path | None:
        """Return the path on this machine, or None where the store is remote."""
        return self._files.local_path(path)


def open_store(url: str) -> Store:
    """Return the store at ``url``; nothing is created before the first write.

    Raises
    ------
    ParameterError
        If the URL has no scheme or one that cannot be served.
    """
    return Store(open_files(url))
