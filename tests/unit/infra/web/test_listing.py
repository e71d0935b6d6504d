"""Tables are searched, sorted and cut as the address says; limits refill; pictures fit."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from infra.web.failures import Refused
from infra.web.limits import RateLimit
from infra.web.listing import ROWS_PER_PAGE, Column, asked_of, listing
from infra.web.pages.questions import shocks_of
from infra.web.rendering import clock, coded, due_in, ratio, span_of, spark, usage

COLUMNS = (
    Column(key="name", label="Name", value=lambda row: row[0]),
    Column(key="size", label="Size", kind="number", value=lambda row: row[1]),
    Column(key="picture", label="Picture", kind="mark"),
)
ROWS = [("b", 2.0), ("a", None), ("c", -1.0)]


def shown(**parameters: str) -> list[str]:
    asked = asked_of(parameters, "name")
    return [row[0] for row in listing("t", "/", ROWS, COLUMNS, asked, lambda row: row[0]).rows]


def test_what_is_unknown_comes_last_whichever_way_rows_are_sorted() -> None:
    assert shown(sort="size") == ["c", "b", "a"]
    assert shown(sort="-size") == ["b", "c", "a"]


def test_a_click_on_a_number_falls_first_and_then_turns_round() -> None:
    def next_sort(sort: str) -> str:
        table = listing("t", "/", ROWS, COLUMNS, asked_of({"sort": sort}, "name"), lambda row: "")
        return table.next_sort(COLUMNS[1])

    assert [next_sort(sort) for sort in ("name", "-size", "size")] == ["-size", "size", "-size"]


@pytest.mark.parametrize(
    "parameters",
    [{"sort": "picture"}, {"sort": "nope"}, {"page": "0"}, {"page": "²"}, {"q": "x" * 101}],
)
def test_an_address_that_asks_for_nonsense_is_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(Refused):
        shown(**parameters)


def test_pages_hold_every_row_once() -> None:
    rows = [(f"{i:03d}", float(i)) for i in range(2 * ROWS_PER_PAGE + 1)]
    pages = [
        listing("t", "/", rows, COLUMNS, asked_of({"page": f"{n}"}, "name"), lambda row: row[0])
        for n in (1, 2, 3, 9)
    ]
    assert [row for page in pages[:3] for row in page.rows] == rows
    assert pages[3].asked.page == 3


def test_an_allowance_refills_at_its_rate() -> None:
    now = [0.0]
    limit = RateLimit(2.0, 3, lambda: now[0])
    assert [limit.take("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert limit.take("b") == 0.0
    now[0] = 0.5
    assert limit.take("a") == 0.0
    now[0] = 1e6
    assert [limit.take("a") for _ in range(4)][-1] > 0.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (59.9, "59 s"), (60, "1 min 00 s"), (3_660, "1 h 01 min"), (90_000, "1 d 1 h")],
)
def test_lengths_of_time_have_two_units(seconds: float, text: str) -> None:
    assert span_of(seconds) == text


def test_a_clock_says_how_late_or_how_long_still() -> None:
    now = datetime(2026, 3, 11, 12, tzinfo=UTC)
    assert due_in(61) == "1 min 01 s late"
    assert "in 2 h 00 min" in clock(now + timedelta(hours=2), now, "due")


@pytest.mark.parametrize("value", [None, 0.0, 0.5, 1.0, 7.3, math.inf])
def test_a_bar_stays_in_its_frame(value: float | None) -> None:
    text = str(usage(value))
    if value is not None:
        width = float(text.partition('class="part" width="')[2].partition('"')[0])
        assert 0.0 <= width <= 64.0


def test_texts_of_others_are_escaped_wherever_they_stand() -> None:
    evil = '"><script>x</script>'
    assert "<script" not in str(coded(f"run `{evil}` {evil}"))
    assert str(coded("an odd ` sign")) == "an odd ` sign"
    assert ratio(math.inf) == "no collateral"


def test_shocks_are_read_as_percent() -> None:
    assert shocks_of("BTC -30, eth:+5.5%; others −40", "x") == {
        "BTC": -0.3, "ETH": pytest.approx(0.055), "default": -0.4,
    }  # fmt: skip
    for text in ("BTC", "BTC -100", "BTC x", "BTC 99999"):
        with pytest.raises(Exception, match="limit"):
            shocks_of(text, "x")


def trail(*minutes: int) -> list[tuple[datetime, float]]:
    return [(datetime(2026, 3, 10, 9, tzinfo=UTC) + timedelta(minutes=n), 0.5) for n in minutes]


def test_few_points_are_dots_and_no_line_is_invented() -> None:
    two = str(spark(trail(0, 1_440)))
    assert two.count("<circle") == 2 and "<polyline" not in two
    assert "2026-03-10: 50.0" in two and "2026-03-11: 50.0" in two
    whole = str(spark(trail(*range(10))))
    assert whole.count("<circle") == 1 and whole.count("<polyline") == 1


def test_a_hole_in_the_day_is_no_line() -> None:
    broken = str(spark(trail(*range(5), *range(60, 65))))
    assert broken.count("<polyline") == 2
    assert str(spark([])).count("<svg") == 0
