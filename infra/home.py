"""What an installation opens of its own: its database, with the seal that its home holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.db import open_database
from infra.secrets import own_key, sealer

if TYPE_CHECKING:
    from infra.db import Database
    from infra.settings import Settings


def open_home_database(settings: Settings, *, actor: str = "plimsoll") -> Database:
    """Return the database of an installation; nothing is opened before the first use.

    Raises
    ------
    ParameterError
        If the URL cannot be served.
    """
    return open_database(
        settings.database_address,
        wait_seconds=settings.database_wait_seconds,
        actor=actor,
        seal=sealer(lambda: own_key("WHITELIST", settings.home_path / "keys")),
    )
