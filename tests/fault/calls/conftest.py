"""Databases of both kinds for calls that are killed."""

from __future__ import annotations

from tests.integration.conftest import (
    engine_name,
    new_database,
    postgresql_server,
    postgresql_template,
    quick_folder,
    sqlite_template,
)

__all__ = [
    "engine_name",
    "new_database",
    "postgresql_server",
    "postgresql_template",
    "quick_folder",
    "sqlite_template",
]
