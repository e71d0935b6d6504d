"""An order names date, market and book, or says what is missing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from engine.errors import MissingDataError, ParameterError
from tasks.orders import Order, generated_book_size, last_closed, make_order


def test_a_utc_date_is_closed_from_its_midnight_on() -> None:
    assert last_closed(datetime(2026, 11, 21, 0, 0, tzinfo=UTC)) == date(2026, 11, 20)
    assert last_closed(datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)) == date(2026, 11, 19)


def test_a_date_that_has_not_closed_is_refused(plimsoll_home: Path) -> None:
    with pytest.raises(ParameterError, match="which has not come yet"):
        make_order(date(2999, 1, 1), "market")


def test_without_any_market_the_message_says_how_to_get_one(plimsoll_home: Path) -> None:
    with pytest.raises(MissingDataError, match="plimsoll sample"):
        make_order(date(2026, 11, 20))


def test_the_sample_world_is_the_market_where_none_is_configured(plimsoll_home: Path) -> None:
    (plimsoll_home / "sample").mkdir(parents=True)
    assert make_order(date(2026, 11, 20)).market == str(plimsoll_home / "sample")


def test_a_configured_market_comes_before_the_sample_world(
    plimsoll_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plimsoll_home / "sample").mkdir(parents=True)
    monkeypatch.setenv("PLIMSOLL_MARKET", "/data/market")
    assert make_order(date(2026, 11, 20)).market == "/data/market"


def test_locations_are_absolute_so_that_equal_orders_are_equal(
    plimsoll_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    order = make_order(date(2026, 11, 20), "market", "book")
    assert order.inputs == {"market": str(tmp_path / "market"), "book": str(tmp_path / "book")}
    assert make_order(date(2026, 11, 20), "postgresql://h/db").market == "postgresql://h/db"


def test_without_a_book_the_market_holds_it(plimsoll_home: Path) -> None:
    assert make_order(date(2026, 11, 20), "/m") == Order(date(2026, 11, 20), "/m", "/m", False)


@pytest.mark.parametrize("book", ["generated:", "generated:0", "generated:-5", "generated:1e3"])
def test_a_generated_book_needs_a_whole_number(book: str) -> None:
    with pytest.raises(ParameterError, match="1 to 1000000"):
        generated_book_size(book)


def test_a_generated_book_has_its_size() -> None:
    assert generated_book_size("generated:500") == 500
    assert generated_book_size("/some/folder") is None
