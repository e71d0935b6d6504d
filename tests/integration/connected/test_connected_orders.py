"""Which closes are read from venues, and what is said before anything is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import MissingDataError, ParameterError
from tasks.doctor import examine_connections
from tasks.orders import make_order, scheduled_inputs
from tests.integration.connected.street import LAST_DATE, Street, connect


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty home."""
    monkeypatch.setenv("PLIMSOLL_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PLIMSOLL_MARKET", raising=False)
    return tmp_path / "home"


def order(market: str, **options: object) -> tuple[str, str]:
    made = make_order(LAST_DATE, market, **options)
    return made.market, made.book


def test_without_connections_or_a_market_below_nothing_is_begun(home: Path, town: Street) -> None:
    with pytest.raises(MissingDataError, match="nothing is connected"):
        order("connections:")
    connect(home, town)
    with pytest.raises(MissingDataError, match="neither histories nor agreements"):
        order("connections:")
    with pytest.raises(ParameterError, match="leave the book out"):
        order("connections:/srv/market", book="generated:5")


def test_market_and_book_below_come_from_the_command_the_settings_or_the_file(
    home: Path, town: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(home, town, 'market = "/srv/file"\nbook = "/srv/book"')
    assert order("connections:") == ("connections:/srv/file", "/srv/book")
    monkeypatch.setenv("PLIMSOLL_MARKET", "/srv/setting")
    assert order("connections:") == ("connections:/srv/setting", "/srv/book")
    assert order("connections:/srv/named", book="/srv/mine") == (
        "connections:/srv/named", "/srv/mine",
    )  # fmt: skip
    connect(home, town)
    assert order("connections:/srv/named") == ("connections:/srv/named",) * 2


def test_scheduled_closes_are_read_from_venues_once_a_market_is_named(
    home: Path, town: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scheduled_inputs()["market"] is None
    (none,) = examine_connections()
    assert none.found == "none: closes are read from files"
    connect(home, town)
    assert scheduled_inputs()["market"] is None
    (warned,) = examine_connections()
    assert warned.health.value == "warn" and "PLIMSOLL_MARKET" in warned.next_step
    connect(home, town, 'market = "/srv/file"')
    assert scheduled_inputs()["market"] == "connections:"
    (fine,) = examine_connections()
    assert fine.health.value == "ok"
    assert "deribit (3 accounts)" in fine.found and "from /srv/file" in fine.found
