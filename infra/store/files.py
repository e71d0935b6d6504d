"""Whole files under a folder or a bucket: a reader sees the old content or the new, no mixture."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

from engine.errors import MissingDataError, ModelInputError, ParameterError, StateError
from infra.clock import utc_now

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_INCOMING = ".incoming"
_LEFT_OVER_SECONDS = 86_400.0
_ADVICE = {
    errno.ENOSPC: "the disk is full; free space or set PLIMSOLL_STORE_URL to another place",
    errno.EDQUOT: "the disk quota is used up; free space or set PLIMSOLL_STORE_URL",
    errno.EFBIG: "the file exceeds the size limit of this process (ulimit -f)",
    errno.EACCES: "no permission; grant it or set PLIMSOLL_STORE_URL to another place",
    errno.EPERM: "no permission; grant it or set PLIMSOLL_STORE_URL to another place",
    errno.EROFS: "the file system is read-only; set PLIMSOLL_STORE_URL to another place",
}


class Files(Protocol):
    """Whole-file access below one root; paths are relative and use ``/``."""

    def write(self, path: str, content: bytes) -> None:
        """Write ``content`` whole under ``path``."""

    def read(self, path: str) -> bytes:
        """Return the content of ``path``."""

    def exists(self, path: str) -> bool:
        """Return whether ``path`` is a file."""

    def list(self, folder: str) -> list[str]:
        """Return the files below ``folder``, sorted."""

    def url_of(self, path: str) -> str:
        """Return the URL of ``path``."""

    def local_path(self, path: str) -> Path | None:
        """Return the path on this machine, or None for a remote store."""


def open_files(url: str) -> Files:
    """Return access to the files below ``url`` (``file://`` or any scheme pyarrow serves)."""
    scheme = urlsplit(url).scheme
    if scheme == "file":
        return LocalFiles(Path(unquote(urlsplit(url).path)))
    if not scheme:
        raise ParameterError(
            f"store URL {url!r} has no scheme: write file:///absolute/path or s3://bucket/prefix",
            identifier="PLIMSOLL_STORE_URL",
            value=url,
        )
    from pyarrow.fs import FileSystem

    try:
        file_system, root = FileSystem.from_uri(url)
    except (OSError, ValueError) as error:
        raise ParameterError(
            f"store URL {url!r} cannot be served: {error}",
            identifier="PLIMSOLL_STORE_URL",
            value=url,
        ) from error
    return RemoteFiles(file_system, root.rstrip("/"), url)


def checked_path(path: str) -> str:
    """Return ``path`` if it is relative and stays below the root, else raise ModelInputError."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\0" in path or parts[0] == _INCOMING:
        raise ModelInputError(f"store path {path!r} is not a relative path below the store")
    return "/".join(parts)


class LocalFiles:
    """Files below a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        _sweep(root / _INCOMING)

    def write(self, path: str, content: bytes) -> None:
        """Write under a temporary name, force it to the disk, then rename."""
        target = self.root / checked_path(path)
        incoming = self.root / _INCOMING / f"{os.getpid()}-{uuid.uuid4().hex}"
        with _faults_of(self.url_of(path), "write"):
            target.parent.mkdir(parents=True, exist_ok=True)
            incoming.parent.mkdir(parents=True, exist_ok=True)
            try:
                with incoming.open("xb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                incoming.replace(target)
            except BaseException:
                incoming.unlink(missing_ok=True)
                raise
            _force_folder(target.parent)

    def read(self, path: str) -> bytes:
        """Return the content, or raise MissingDataError."""
        with _faults_of(self.url_of(path), "read"):
            return (self.root / checked_path(path)).read_bytes()

    def exists(self, path: str) -> bool:
        """Return whether ``path`` is a file."""
        return (self.root / checked_path(path)).is_file()

    def list(self, folder: str) -> list[str]:
        """Return the files below ``folder``, sorted; an absent folder holds none."""
        top = self.root / checked_path(folder)
        found = (found for found in top.rglob("*") if found.is_file())
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def url_of(self, path: str) -> str:
        """Return the ``file://`` URL."""
        return (self.root.absolute() / checked_path(path)).as_uri()

    def local_path(self, path: str) -> Path | None:
        """Return the path on this machine."""
        return self.root / checked_path(path)


class RemoteFiles:
    """Objects below a prefix of a pyarrow file system; an object store shows no half object."""

    def __init__(self, file_system: FileSystem, root: str, url: str) -> None:
        self.file_system = file_system
        self.root = root
        self.url = url

    def write(self, path: str, content: bytes) -> None:
        """Write the object in one piece."""
        key = self._key(path)
        with _faults_of(self.url_of(path), "write"), self.file_system.open_output_stream(key) as s:
            s.write(content)

    def read(self, path: str) -> bytes:
        """Return the content, or raise MissingDataError."""
        key = self._key(path)
        with _faults_of(self.url_of(path), "read"), self.file_system.open_input_stream(key) as s:
            return bytes(s.read())

    def exists(self, path: str) -> bool:
        """Return whether ``path`` is an object."""
        from pyarrow.fs import FileType

        with _faults_of(self.url_of(path), "find"):
            return bool(self.file_system.get_file_info(self._key(path)).type == FileType.File)

    def list(self, folder: str) -> list[str]:
        """Return the objects below ``folder``, sorted."""
        from pyarrow.fs import FileSelector, FileType

        top = FileSelector(self._key(folder), recursive=True, allow_not_found=True)
        with _faults_of(self.url_of(folder), "list"):
            found = self.file_system.get_file_info(top)
        start = len(self.root) + 1 if self.root else 0
        return sorted(info.path[start:] for info in found if info.type == FileType.File)

    def url_of(self, path: str) -> str:
        """Return scheme, bucket and key, without the query that may hold credentials."""
        scheme = urlsplit(self.url).scheme
        return f"{scheme}://{self._key(path)}"

    def local_path(self, path: str) -> Path | None:
        """Return None: the object is not on this machine."""
        return None

    def _key(self, path: str) -> str:
        return f"{self.root}/{checked_path(path)}" if self.root else checked_path(path)


@contextmanager
def _faults_of(url: str, action: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise MissingDataError(f"no file {url}", identifier=url) from error
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, str(error))
        raise StateError(f"cannot {action} {url}: {advice}", identifier=url) from error


def _force_folder(folder: Path) -> None:
    # The rename itself must survive a power cut, not only the bytes.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(incoming: Path) -> None:
    """Remove what killed writers have left; no write takes a day."""
    oldest = utc_now().timestamp() - _LEFT_OVER_SECONDS
    for left in incoming.glob("*"):
        with suppress(OSError):
            if left.stat().st_mtime < oldest:
                left.unlink()
