"""A venue in another process, and databases of both kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infra.db import Database
from tests.fault.transfers.keyed_venue import running_venue, tell
from tests.fault.transfers.lives import Place, SharedClock, policy, prepare
from tests.integration.conftest import (
    database,
    database_url,
    engine_name,
    new_database,
    postgresql_server,
    postgresql_template,
    quick_folder,
    sqlite_template,
)

__all__ = [
    "database",
    "database_url",
    "engine_name",
    "new_database",
    "postgresql_server",
    "postgresql_template",
    "quick_folder",
    "sqlite_template",
]


@pytest.fixture
def venue(quick_folder: Path) -> Iterator[int]:
    """Yield the port of a venue of this test's own."""
    with running_venue(quick_folder / "venue.db") as port:
        yield port


@pytest.fixture
def place(database: Database, venue: int, quick_folder: Path) -> Place:
    """Return a place with an empty book, a listed destination and assets at the source."""
    made = Place(
        url=database.url.render_as_string(hide_password=False),
        port=venue,
        home=quick_folder,
        clock=SharedClock(),
        rules=policy(),
    )
    database.close()
    prepare(made)
    return made


@pytest.fixture
def new_place(
    new_database: Callable[[], Database], quick_folder: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Place]]:
    """Yield a function that makes one place after the other, each with a venue of its own."""
    from contextlib import ExitStack

    with ExitStack() as running:

        def make(**changes: object) -> Place:
            made = new_database()
            path = quick_folder / f"venue-{id(made)}.db"
            port = running.enter_context(running_venue(path))
            place = Place(
                url=made.url.render_as_string(hide_password=False),
                port=port,
                home=quick_folder,
                clock=SharedClock(),
            )
            place = replace(place, **changes)  # type: ignore[arg-type]
            prepare(place)
            return place

        yield make


__all__ += ["tell"]
