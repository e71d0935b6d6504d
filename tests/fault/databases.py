"""Migrated databases for killed lives: always at the same address, each a copy of one template."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.db import open_database
from tests.databases import create_postgresql, drop_postgresql, postgresql_address

MakeDatabase = Callable[[], str]


@dataclass(frozen=True, slots=True)
class Template:
    """A migrated database: a file, or a name at a server."""

    engine_name: str
    place: str
    name: str = ""

    @contextmanager
    def copies(self, folder: Path) -> Iterator[MakeDatabase]:
        """Yield a function that puts a new copy in the place of the one before.

        It returns the URL, which is the same each time: an engine that has been opened for it,
        with all that it has compiled, serves every copy. Nothing may be connected meanwhile.
        """
        name = f"lives_{uuid.uuid4().hex}"

        def copy_file() -> str:
            for path in folder.glob(f"{name}*"):
                path.unlink()
            shutil.copy(self.place, folder / name)
            return f"sqlite:///{folder / name}"

        def copy_database() -> str:
            drop_postgresql(self.place, name)
            create_postgresql(self.place, name, self.name)
            return postgresql_address(self.place, name)

        yield copy_file if self.engine_name == "sqlite" else copy_database
        if self.engine_name == "postgresql":
            drop_postgresql(self.place, name)


@contextmanager
def in_memory() -> Iterator[Path]:
    """Yield a folder in memory where there is one: SQLite forces every commit to the disk."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="plimsoll-", dir=memory if memory.exists() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def migrated(engine_name: str, place: str) -> Template:
    """Return a new template in a folder, or at a server."""
    if engine_name == "sqlite":
        path = Path(place) / "template.db"
        template, url = Template("sqlite", str(path)), f"sqlite:///{path}"
    else:
        name = "lives_template"
        create_postgresql(place, name)
        template = Template("postgresql", place, name)
        url = postgresql_address(place, name)
    database = open_database(url)
    database.upgrade()
    # Closing the last connection folds the write-ahead log back into the file.
    database.close()
    return template
