"""What is to be closed: the date, where its data is, and whether to do it again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from engine.errors import MissingDataError, ParameterError
from infra.clock import utc_now
from infra.connections import has_connections, read_connections
from infra.market.source import CONNECTIONS
from tasks.workplace import workplace

GENERATED: Final = "generated:"
SAMPLE_FOLDER: Final = "sample"
# Says what a sample world is; an ordinary market has none.
WORLD_FILE: Final = "world.json"


@dataclass(frozen=True, slots=True)
class Order:
    """One end of day to run.

    Attributes
    ----------
    business_date : date
        UTC date that is closed.
    market, book : str
        Where market data and holdings are read from; ``generated:<n>`` is a book of n netting sets
        generated from the market, ``connections:<market>`` is read from the connected venues over
        the market of that name.
    force : bool
        Run a finished date again, as a new sequence with a difference report.
    """

    business_date: date
    market: str
    book: str
    force: bool

    @property
    def inputs(self) -> dict[str, object]:
        """Return what makes two orders the same order."""
        return {"market": self.market, "book": self.book}


def make_order(
    business_date: date | None = None,
    market: str | None = None,
    book: str | None = None,
    force: bool = False,
    due_at: datetime | None = None,
) -> Order:
    """Return the order with every default filled in.

    Without a date it is the last one that had closed at ``due_at`` (now, if not given), so that a
    run that starts late closes the date it was meant for; without a market the one of the
    settings, else the sample world; without a book the market's own.

    Raises
    ------
    MissingDataError
        If no market is named and there is no sample world.
    ParameterError
        If the date has not closed yet, or a book is to be generated without a whole number.
    """
    now = utc_now()
    found_date = business_date or last_closed(min(due_at or now, now))
    if found_date > last_closed(now):
        raise ParameterError(
            f"business date {found_date} closes at {found_date + timedelta(days=1)}T00:00Z, which "
            "has not come yet",
            identifier="business_date",
            value=found_date.isoformat(),
            limit=f"<= {last_closed(now)}",
        )
    found_market = _absolute(market) if market else _default_market()
    if found_market.startswith(CONNECTIONS):
        found_market, book = _connected(found_market, book)
    return Order(found_date, found_market, _book(book, found_market), force)


def scheduled_inputs(*, latest: bool = False) -> dict[str, object]:
    """Return the parameters of scheduled closes: market and book as configured.

    With ``latest`` the date is offered as well, where the market is a sample world that ends.
    """
    settings = workplace().settings
    sample = settings.home_path / SAMPLE_FOLDER
    if closes_from_connections():
        return {"market": f"{CONNECTIONS}{settings.market or ''}", "book": settings.book}
    market = settings.market or (str(sample) if sample.is_dir() else None)
    inputs: dict[str, object] = {"market": market, "book": settings.book}
    facts = Path(market) / WORLD_FILE if market else None
    if latest and facts is not None and facts.is_file():
        found = json.loads(facts.read_text(encoding="utf-8"))
        inputs["business_date"] = found["parameters"]["last_business_date"]
    return inputs


def closes_from_connections() -> bool:
    """Return whether scheduled closes are read from venues: they are connected, and a market that
    says what venues do not is named, by PLIMSOLL_MARKET or in the connections file."""
    settings = workplace().settings
    if not has_connections(settings):
        return False
    return bool(settings.market or read_connections(settings.connections_path).close.market)


def last_closed(now: datetime) -> date:
    """Return the last UTC date that has closed at ``now``."""
    return now.date() - timedelta(days=1)


def sample_folder() -> Path:
    """Return where the sample world of this home is."""
    return workplace().settings.home_path / SAMPLE_FOLDER


def generated_book_size(book: str) -> int | None:
    """Return the number of netting sets of a book that is to be generated, else None."""
    if not book.startswith(GENERATED):
        return None
    size = book.removeprefix(GENERATED)
    if not (size.isascii() and size.isdigit() and 0 < int(size) <= 1_000_000):
        raise ParameterError(
            f"book {book!r}: {GENERATED} needs a number of netting sets from 1 to 1000000",
            identifier="book",
            value=size,
            limit="1 to 1000000",
        )
    return int(size)


def _connected(location: str, book: str | None) -> tuple[str, str | None]:
    """Return the location with the market below it, and the book below it if that is another."""
    settings = workplace().settings
    if not has_connections(settings):
        raise MissingDataError(
            f"nothing is connected: there is no {settings.connections_path}; write one (see "
            "infra/connections/README.md)",
            identifier="connections",
        )
    terms = read_connections(settings.connections_path).close
    below = location.removeprefix(CONNECTIONS) or settings.market or terms.market
    if not below:
        raise MissingDataError(
            "venues tell neither histories nor agreements: name a market directory with --market, "
            "PLIMSOLL_MARKET, or `market` under [close] of the connections file",
            identifier="market",
        )
    named = book or settings.book or terms.book
    if named and generated_book_size(named) is not None:
        raise ParameterError(
            f"book {named!r}: whose accounts at venues are is known; leave the book out",
            identifier="book",
            value=named,
        )
    return f"{CONNECTIONS}{_absolute(below)}", named


def _book(book: str | None, market: str) -> str:
    if not book:
        return market
    if generated_book_size(book) is not None:
        return book
    return _absolute(book)


def _default_market() -> str:
    configured = workplace().settings.market
    if configured:
        return _absolute(configured)
    sample = sample_folder()
    if sample.is_dir():
        return str(sample)
    raise MissingDataError(
        f"no market data is named and there is no sample world in {sample}: give --market, set "
        "PLIMSOLL_MARKET, or run `plimsoll sample`",
        identifier="market",
    )


def _absolute(location: str) -> str:
    if location.startswith(CONNECTIONS):
        below = location.removeprefix(CONNECTIONS)
        return f"{CONNECTIONS}{_absolute(below)}" if below else location
    if "://" not in location:
        return str(Path(location).expanduser().resolve())
    # Locations are recorded and shown on pages; a password must not come along.
    if urlsplit(location).password:
        raise ParameterError(
            f"the URL of {urlsplit(location).hostname} holds a password: leave it out and set "
            "PGPASSWORD or a .pgpass file",
            identifier="location",
            limit="a URL without password",
        )
    return location
