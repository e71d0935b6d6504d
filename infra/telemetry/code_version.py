"""The version of the code that computed a figure, down to the byte."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parent.parent.parent
_PACKAGES: Final = ("data_contracts", "engine", "flows", "infra", "tasks")
# Compiled files, notes and tests do not change a figure.
_SOURCE_SUFFIXES: Final = frozenset({".py", ".toml", ".html", ".css", ".js", ".sql", ".mako"})


@cache
def code_version() -> str:
    """Return ``<release>+<hash>``, where the hash covers every source file of the packages.

    A commit hash would miss an edit that was not committed and is absent from an installed
    wheel, so the sources themselves are hashed: equal versions mean equal code.
    """
    return f"{_release()}+{hash_of_sources(_ROOT, _PACKAGES)[:12]}"


def hash_of_sources(root: Path, packages: tuple[str, ...]) -> str:
    """Return the SHA-256 of names and contents of all source files, in a fixed order."""
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted((root / package).rglob("*"), key=lambda found: found.as_posix()):
            if path.suffix in _SOURCE_SUFFIXES and path.is_file():
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                digest.update(f"{path.relative_to(root).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def _release() -> str:
    try:
        return version("plimsoll")
    except PackageNotFoundError:
        return "0"
