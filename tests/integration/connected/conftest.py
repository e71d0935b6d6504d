"""One street of simulated venues for all tests here; each test connects a home of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.market.connected import ConnectedSource
from infra.store import open_store
from tests.integration.connected.closing import Closed, closed
from tests.integration.connected.street import (
    LAST_DATE,
    Street,
    connect,
    make_world,
    market_below,
    source_of,
    street,
)

Opener = Callable[..., ConnectedSource]


@pytest.fixture(scope="session")
def venues() -> Iterator[Street]:
    """Serve the venues for the session."""
    with street() as found:
        yield found


@pytest.fixture(scope="session")
def below(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a market directory of what venues do not say."""
    folder = tmp_path_factory.mktemp("below")
    return market_below(folder / "market", make_world(folder / "world"))


@pytest.fixture
def town(venues: Street) -> Iterator[Street]:
    """Return the venues without a fault, a minute and a half after the close."""
    venues.heal()
    yield venues
    venues.heal()


@pytest.fixture(scope="session")
def whole(
    venues: Street, below: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConnectedSource]:
    """Return a source that has read the whole street without a fault: to be looked at."""
    venues.heal()
    home = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in connect(home, venues).items():
            patch.setenv(name, value)
        source = source_of(home, below, venues.clock)
        source.day(LAST_DATE)
    yield source


@pytest.fixture(scope="session")
def whole_closed(whole: ConnectedSource, tmp_path_factory: pytest.TempPathFactory) -> Closed:
    """Return the close of the whole street."""
    store = open_store(tmp_path_factory.mktemp("whole-closed").as_uri())
    return closed(whole, store, LAST_DATE)


@pytest.fixture
def opened(town: Street, below: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Return what opens a new source on the test's home, with terms of the close."""

    def open_one(close: str = "", market: Path = below) -> ConnectedSource:
        for name, value in connect(tmp_path / "home", town, close).items():
            monkeypatch.setenv(name, value)
        return source_of(tmp_path / "home", market, town.clock)

    return open_one
