"""What every test shares: a private home, no telemetry, and the market data if it is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.databases import (
    MEMORY,
    database,
    database_url,
    empty_database_url,
    engine_name,
    has_room_in_memory,
    new_database,
    postgresql_database,
    postgresql_server,
    postgresql_template,
    quick_folder,
    sqlite_database,
    sqlite_template,
)
from tests.scheduling import pytest_xdist_make_scheduler

__all__ = [
    "database",
    "database_url",
    "empty_database_url",
    "engine_name",
    "new_database",
    "postgresql_database",
    "postgresql_server",
    "postgresql_template",
    "pytest_xdist_make_scheduler",
    "quick_folder",
    "sqlite_database",
    "sqlite_template",
]

REAL_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"

# Homes of tests commit and fsync thousands of times; it is not the disk that is tested.
if has_room_in_memory():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")


@pytest.fixture
def plimsoll_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home that the settings point at for this test."""
    home = tmp_path / "home"
    monkeypatch.setenv("PLIMSOLL_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real market history, or skip where it is absent."""
    if not (REAL_DATA / "prices_daily.parquet").exists():
        pytest.skip(f"real market history is not at {REAL_DATA}")
    return REAL_DATA
