"""Whatever a feed sends, nobody owes less and nobody's cover is worth more because of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from infra.intraday.clock import LoopClock
from infra.intraday.core import Decision, Instant, LoopCore
from infra.intraday.feeds import FeedContext
from infra.intraday.metrics import LoopMetrics
from infra.intraday.relay import RelayFollower, RelayFrame
from tests.worlds.loop import BITCOIN, SECOND, START, WALL, base, core

VENUES = tuple(name.split(":")[0] for name in BITCOIN)
PRICE = 60_000.0
FRAME = msgspec.json.Decoder(RelayFrame)


class Time(LoopClock):
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> Instant:
        passed = round(self.seconds * SECOND)
        return Instant(START + passed, WALL + timedelta(seconds=self.seconds))


@dataclass
class Feed:
    """A loop and the frames that four venues send it, as texts."""

    loop: LoopCore
    time: Time
    follower: RelayFollower
    number: dict[str, int] = field(default_factory=dict)

    def send(self, venue: str, price: Any, *, full: bool = False, **fields: Any) -> None:
        """Send a frame as bytes, with everything in order but what the fields say."""
        number = self.number[venue] = self.number.get(venue, 0) + 1
        wall = self.time.now().wall
        frame = {
            "s": venue, "t": round(wall.timestamp() * 1e9), "n": number, "full": full,
            "p": [[name, price, None, None] for name in BITCOIN if name.startswith(venue)],
            **fields,
        }  # fmt: skip
        try:
            self.follower.take(FRAME.decode(json.dumps(frame)))
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            # As the reader of the socket does.
            self.follower._all("uncertain", f"frame unread: {error}")

    def all_send(self, price: float = PRICE, **fields: Any) -> None:
        for venue in VENUES:
            self.send(venue, price, **fields)

    def decide(self) -> Decision:
        now = self.time.now()
        for name, age in self.loop.stale_assets(now.monotonic_ns).items():
            reason = f"no price for {age} s"
            self.loop.trust.distrust("underlying", name, "stale", now.monotonic_ns, reason, "age")
        return self.loop.decide(now)


@pytest.fixture
def feed() -> Iterator[Feed]:
    time = Time()
    loop = core(base({"A": 200_000.0, "B": 1e7}))
    context = FeedContext(loop, time, LoopMetrics(), lambda: None, "test")
    found = Feed(loop, time, RelayFollower(context, "ws://127.0.0.1:1/"))
    found.all_send(full=True)
    found.decide()
    time.seconds = 1.0
    yield found


def nothing(feed: Feed) -> None:
    return


def gap(feed: Feed) -> None:
    feed.number["okx"] += 7
    feed.send("okx", PRICE)


def number_anew(feed: Feed) -> None:
    feed.number["okx"] = -5
    feed.send("okx", PRICE * 1.01)


def silence(feed: Feed) -> None:
    feed.time.seconds += 31.0


def frozen(feed: Feed) -> None:
    for _ in range(61):
        feed.time.seconds += 5.0
        feed.all_send()


def clock_ahead(feed: Feed) -> None:
    ahead = feed.time.now().wall + timedelta(hours=1)
    feed.send("okx", PRICE * 1.5, t=round(ahead.timestamp() * 1e9))


def clock_back(feed: Feed) -> None:
    back = WALL - timedelta(hours=1)
    feed.send("okx", PRICE * 1.5, t=round(back.timestamp() * 1e9))


def vanished(feed: Feed) -> None:
    feed.follower._all("down", "connection lost")


def tenfold(feed: Feed) -> None:
    for _ in range(20):
        feed.time.seconds += 0.5
        feed.send("binance", PRICE * 10)


BAD: dict[str, Callable[[Feed], None]] = {
    "NaN": lambda feed: feed.send("binance", float("nan")),
    "null": lambda feed: feed.send("binance", None),
    "text": lambda feed: feed.send("binance", "60000"),
    "infinite": lambda feed: feed.send("binance", 1e308 * 10),
    "zero": lambda feed: feed.send("binance", 0.0),
    "negative": lambda feed: feed.send("binance", -PRICE),
    "absurd": lambda feed: feed.send("binance", 1e300),
    "spike of one venue": lambda feed: feed.send("binance", PRICE * 3),
    "spike again and again": tenfold,
    "stale": silence,
    "frozen": frozen,
    "gap": gap,
    "number anew": number_anew,
    "vanished": vanished,
    "clock stepped ahead": clock_ahead,
    "clock stepped back": clock_back,
    "nonsense": lambda feed: feed.send("okx", PRICE, p={"no": "list"}),
    "unknown instrument": lambda feed: feed.send("okx", PRICE, p=[["okx:NONE", 1.0, None, None]]),
}
# One venue alone moves its own mark by the band at most: what it says in our favour counts so far.
BAND = 0.02


@pytest.mark.parametrize("name", BAD)
def test_bad_input_never_lowers_what_is_owed_nor_raises_what_covers_i25_i30_i31_i32_i39(
    feed: Feed, name: str
) -> None:
    before = feed.loop.book.figures()
    BAD[name](feed)
    found = feed.decide()
    after = feed.loop.book.figures()
    assert np.isfinite(after.owed).all()
    if name.startswith("spike"):
        # Of a long book a higher mark is more at stake: the requirement goes with the band.
        assert (after.owed >= before.owed).all()
        assert (after.owed <= before.owed * (1 + BAND) + 1e-6).all()
        assert (after.cover <= before.cover + BAND * PRICE * 10 + 1e-6).all()
    else:
        assert (after.owed >= before.owed).all()
        assert (after.cover <= before.cover).all()
    assert found.withdrawals == {}
    assert found.calls == []


@pytest.mark.parametrize("name", ["gap", "number anew", "vanished", "stale", "nonsense"])
def test_what_is_not_known_costs_more_until_a_whole_frame_ends_it_i30_i39(
    feed: Feed, name: str
) -> None:
    before = feed.loop.book.figures()
    BAD[name](feed)
    feed.decide()
    held = feed.loop.book.figures()
    is_all = name in ("vanished", "stale")
    venue = "okx" if not is_all else "binance"
    assert feed.loop.trust.current()
    if is_all:
        # Both netting sets rest on what has fallen silent.
        assert (held.owed > before.owed).all()
    assert any(one.name in (venue, "BTC") for one in feed.loop.trust.current())
    feed.time.seconds += 1.0
    feed.all_send(full=True)
    now = feed.time.now().monotonic_ns
    feed.loop.trust.heal("underlying", "BTC", now, "age")
    feed.decide()
    after = feed.loop.book.figures()
    assert feed.loop.trust.current() == []
    assert np.array_equal(after.owed, before.owed)
    assert np.array_equal(after.cover, before.cover)


def test_duplicates_and_old_news_change_nothing_to_the_bit_i40(feed: Feed) -> None:
    feed.all_send(PRICE * 0.99)
    feed.decide()
    before, hash_before = feed.loop.book.figures(), feed.loop.book.state_hash()
    old = {"t": round(WALL.timestamp() * 1e9)}
    feed.all_send(PRICE, **old)
    for venue in VENUES:
        feed.number[venue] -= 1
    feed.all_send(PRICE * 0.99, t=round(feed.time.now().wall.timestamp() * 1e9))
    feed.decide()
    after = feed.loop.book.figures()
    assert np.array_equal(after.owed, before.owed)
    assert np.array_equal(after.cover, before.cover)
    assert feed.loop.book.state_hash() == hash_before
