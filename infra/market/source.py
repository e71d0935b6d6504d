"""Open where market data or a book is kept: a directory, a database, or history alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from engine.errors import MissingDataError
from infra.market.raw import MarketSource, RawRows

if TYPE_CHECKING:
    from infra.market.connected import Installation

__all__ = ["CONNECTIONS", "MarketSource", "RawRows", "open_source"]


CONNECTIONS: Final = "connections:"
"""How a location begins that is read through the adapters of venues; a market below may follow."""


def open_source(
    location: str, installation: Installation | None = None, book: str | None = None
) -> MarketSource:
    """Return the source at ``location``.

    A directory holds ``<dataset>.parquet`` or ``<dataset>.csv`` files; one that has a price
    history and neither instruments nor marks nor index prices is taken for history alone, and
    the other datasets are derived from it (``infra/market/history``). A URL of SQLite or
    PostgreSQL names a database with one table per dataset. ``connections:<market>`` is read from
    venues and custodians by an installation, over the market of that name and a ``book``, which is
    the market's own where it is not named (``infra/market/connected``).

    Raises
    ------
    MissingDataError
        If there is no such directory, or the URL is no database that can be read.
    """
    if location.startswith(CONNECTIONS):
        return _connected(location, installation, book)
    if "://" in location and not location.startswith("file://"):
        return _database(location)
    folder = Path(unquote(urlsplit(location).path) if location.startswith("file://") else location)
    folder = folder.expanduser()
    if not folder.is_dir():
        state = "is a file, not a directory" if folder.exists() else "does not exist"
        raise MissingDataError(f"market directory {folder} {state}", identifier=str(folder))
    from infra.market.folder import FolderSource

    source = FolderSource(folder)
    # A market that has marks and lost its instruments must say so, not get others in their place.
    has_own = any(source.holds(name) for name in ("instruments", "marks", "index_prices"))
    if source.holds("price_history") and not has_own:
        from infra.market.history import HistorySource

        return HistorySource(source)
    return source


def _connected(location: str, installation: Installation | None, book: str | None) -> MarketSource:
    if installation is None:
        raise MissingDataError(
            f"{location}: venues are read by a close alone; name a market directory or a run",
            identifier="market",
            value=location,
        )
    from infra.market.connected import connected_source

    return connected_source(location, installation, book)


def _database(location: str) -> MarketSource:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    from infra.market.database import DatabaseSource

    try:
        make_url(location)
    except (ArgumentError, ValueError) as error:
        # The text may hold a password, so it is not shown.
        raise MissingDataError("the market URL is no database URL", identifier="market") from error
    return DatabaseSource(location)
