"""Write a folder whole: all files under a temporary name, then one rename."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from engine.errors import ParameterError

WORLD_FILE = "world.json"


def built_with(folder: Path, parameters: Mapping[str, object]) -> dict[str, object] | None:
    """Return the record of a world built with ``parameters`` in ``folder``, or None.

    None also stands for an absent or empty folder, and for a world of other parameters.

    Raises
    ------
    ParameterError
        If the folder holds something that is not a sample world: it is not ours to replace.
    """
    record = folder / WORLD_FILE
    if not record.exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ParameterError(
                f"{folder} is not empty and holds no {WORLD_FILE}: choose another folder for the "
                "sample world",
                identifier=str(folder),
                value="not a sample world",
                limit="an empty folder or a sample world",
            )
        return None
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
    except json.JSONDecodeError:
        return None
    if not isinstance(content, dict) or content.get("parameters") != dict(parameters):
        return None
    complete = all((folder / name).is_file() for name in content.get("hashes", {}))
    return content if complete else None


def write_frames(frames: Mapping[str, pd.DataFrame], folder: Path) -> dict[str, str]:
    """Write each frame as ``<name>.parquet`` and return the SHA-256 of each file."""
    hashes = {}
    for name in sorted(frames):
        path = folder / f"{name}.parquet"
        frames[name].to_parquet(path, engine="pyarrow", compression="zstd", index=False)
        hashes[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashes


def staging_folder(folder: Path) -> Path:
    """Return a fresh folder beside ``folder``, on the same file system."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))


def publish(staging: Path, folder: Path) -> None:
    """Put ``staging`` in the place of ``folder``, which is empty, absent or an older world."""
    staging.chmod(0o755)
    if folder.exists():
        # A folder cannot be replaced in one step: the old one steps aside first.
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
        folder.rename(aside / "world")
        staging.rename(folder)
        shutil.rmtree(aside)
    else:
        staging.rename(folder)
