"""What venues do to a loop: two fail together, a hedge is taken away, numbers start anew."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from engine.errors import ModelInputError
from engine.intraday import AccountOwner, PositionReport
from engine.ports import HeldPosition, WorkingOrder
from engine.times import to_nanoseconds
from infra.connections import AccountConnection
from infra.intraday import accounts
from infra.intraday.accounts import AccountFollower, HeldThere
from infra.intraday.clock import LoopClock
from infra.intraday.core import LoopCore
from infra.intraday.feeds import FeedContext
from infra.intraday.metrics import LoopMetrics
from infra.intraday.relay import RelayFollower, RelayFrame
from infra.intraday.reports import Incoming
from infra.venues.following import FollowedAccount
from tests.worlds.loop import WALL, base, bitcoin, core, instant, ticks

HEDGE = ("A-okx", "okx:BTC-USDT-SWAP")
OWNER = AccountOwner("A", "client-A", "okx")
A = np.array([0])


def reported(loop: LoopCore, number: int, quantity: float) -> None:
    report = PositionReport(*HEDGE, quantity, owner=OWNER)
    loop.take_report(Incoming("okx/a", f"m-{number}", report, WALL))


def decided(loop: LoopCore, price: float, seconds: float) -> Any:
    loop.take_ticks(ticks(loop, bitcoin(price), seconds))
    return loop.decide(instant(seconds))


def test_f25_i30_i31_two_venues_that_fail_together_raise_and_release_nothing() -> None:
    loop = core(base({"A": 1e6, "B": 1e7}))
    decided(loop, 60_000.0, 0)
    before = loop.book.figures()
    for venue in ("binance", "okx"):
        loop.trust.distrust("venue", venue, "down", instant(1).monotonic_ns, "no answer")
    others = {"bybit:BTCUSDT": 75_000.0, "deribit:BTC-PERPETUAL": 75_000.0}
    for second in (1, 60, 600, 7_200):
        loop.take_ticks(ticks(loop, others, second))
        found = loop.decide(instant(second))
        after = loop.book.figures()
        # What is left has risen, and of those that hold there is nobody who could release.
        assert (after.owed >= before.owed).all() and np.isfinite(after.owed).all()
        assert (after.cover <= before.cover).all()
        assert not after.is_releasable.any()
        assert found.withdrawals == {}
        before = after
    for venue in ("binance", "okx"):
        loop.trust.heal("venue", venue, instant(7_201).monotonic_ns)
    healed = decided(loop, 60_000.0, 7_201)
    assert [one.kind for one in healed.events].count("restored") >= 2


def test_f48_a_hedge_that_the_venue_takes_away_is_called_for_at_once() -> None:
    """Deleveraging closes the winning leg: what is left is naked, and the next decision says so."""
    rich = core()
    reported(rich, 1, -10.0)
    owed = float(rich.book.figures(A).owed[0])
    loop = core(base({"A": 1.3 * owed, "B": 1e7}))
    reported(loop, 1, -10.0)
    assert decided(loop, 60_000.0, 0).calls == []
    reported(loop, 2, 0.0)
    naked = loop.decide(instant(0.5))
    assert [one.wanted.call["netting_set_id"] for one in naked.calls] == ["A"]
    assert float(loop.book.figures(A).owed[0]) > 1.5 * owed
    # Told a second time it is the same fact (I-40).
    hash_before = loop.book.state_hash()
    reported(loop, 2, 0.0)
    loop.decide(instant(0.6))
    assert loop.book.state_hash() == hash_before


def follower(loop: LoopCore) -> RelayFollower:
    context = FeedContext(loop, LoopClock(), LoopMetrics(), lambda: None, "test")
    return RelayFollower(context, "ws://127.0.0.1:1/")


def frame(number: int, price: float, stamp: int, *, full: bool = False) -> RelayFrame:
    return RelayFrame("okx", stamp, number, [("okx:BTC-USDT-SWAP", price, None, None)], full)


def states(loop: LoopCore) -> dict[str, str]:
    return {one.name: one.state for one in loop.trust.current() if one.scope == "venue"}


@pytest.mark.parametrize("first", [1, 2])
def test_i39_numbers_that_start_anew_are_a_gap_and_not_old_news(first: int) -> None:
    loop = core()
    relay = follower(loop)
    stamp = to_nanoseconds(LoopClock().now().wall)
    relay.take(frame(500, 60_000.0, stamp, full=True))
    assert states(loop).get("okx", "fresh") == "fresh"
    relay.take(frame(first, 60_100.0, stamp + 1))
    assert states(loop)["okx"] == "uncertain"
    relay.take(frame(first + 1, 60_200.0, stamp + 2))
    assert states(loop)["okx"] == "uncertain", "only a whole frame heals"
    relay.take(frame(first + 2, 60_300.0, stamp + 3, full=True))
    assert states(loop).get("okx", "fresh") == "fresh"
    row = loop.market.row_of["okx:BTC-USDT-SWAP"]
    assert loop.market.acceptance.state.price[row] == 60_300.0


def test_i55_a_loop_that_goes_on_and_on_keeps_nothing_of_what_is_over() -> None:
    loop, kept, n = core(base({"A": 1e6, "B": 1e7})), [], 30

    def objects(start: int, *, is_kept: bool = False) -> int:
        for number in range(start, start + n):
            found = decided(loop, 60_000.0 + number % 7, number / 10)
            if is_kept:
                kept.append(found)
        gc.collect()
        # Ours alone: what others in this process have left over goes when it likes.
        modules = (str(type(one).__module__) for one in gc.get_objects())
        return sum(name.startswith(("infra.", "engine.")) for name in modules)

    objects(0)
    first, second, third = objects(n), objects(2 * n), objects(3 * n, is_kept=True)
    assert second - first < n
    # What one keeps of each decision shows.
    assert third - second >= n


def test_i54_a_market_that_moves_and_concerns_nobody_leaves_nothing_to_be_kept() -> None:
    loop = core(base({"A": 300_000.0, "B": 1e7}))
    decided(loop, 60_000.0, 0)
    found = [decided(loop, 60_000.0 + second, second) for second in range(1, 25)]
    assert not any(one.is_durable for one in found)
    # What concerns somebody is kept.
    assert decided(loop, 20_000.0, 40).is_durable


def test_f79_what_the_book_has_refused_is_told_again_before_the_account_is_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A feed begins anew after an error, and what it was about to say is not taken as said."""
    loop = core(base({"A": 1e6, "B": 1e7}))
    quantity = HeldPosition(instrument_id=HEDGE[1], quantity=Decimal(-10))
    live = FollowedAccount(account_id="okx/a", health="live", positions={HEDGE[1]: quantity})

    async def told(*_: object) -> AsyncIterator[FollowedAccount]:
        yield live

    place = AccountConnection(
        account_id="A-okx", place="okx/a", client_id="client-A", netting_set_id="A"
    )
    context = FeedContext(loop, LoopClock(), LoopMetrics(), lambda: None, "test")
    follower = AccountFollower(context, place, None)  # type: ignore[arg-type]
    monkeypatch.setattr(accounts, "follow_account", told)
    whole = loop.book.apply_position

    def refuse(_: object) -> int:
        raise ModelInputError("planted")

    monkeypatch.setattr(loop.book, "apply_position", refuse, raising=False)
    for _ in range(2):
        with pytest.raises(ModelInputError):
            asyncio.run(follower.run())
        assert not follower.is_healed
    monkeypatch.setattr(loop.book, "apply_position", whole, raising=False)
    asyncio.run(follower.run())
    assert follower.is_healed
    held = loop.decide(instant(1)).reports
    assert [one.report.quantity for one in held] == [-10.0]


def working(name: str, remaining: int) -> WorkingOrder:
    return WorkingOrder(
        order_id=name, instrument_id=HEDGE[1], side="buy", remaining_quantity=Decimal(remaining),
        limit_price=None, is_reduce_only=False,
    )  # fmt: skip


def test_what_a_venue_names_no_more_is_gone_orders_positions_and_balances_alike_i45(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A life before, or the close, knew of it: nobody else would ever say its end."""
    loop = core(base({"A": 1e6, "B": 1e7}))
    known = FollowedAccount(account_id="okx/a", health="live")
    told = [
        replace(known, orders={"1": working("1", 50)}),
        replace(known, orders={"1": working("1", 20), "2": working("2", 7)}),
        replace(known, orders={"2": working("2", 7)}),
    ]
    taken: list[list[object]] = []

    async def follow(*_: object) -> AsyncIterator[FollowedAccount]:
        for one in told:
            yield one
            taken.append([each.report for each in loop.decide(instant(1)).reports])

    place = AccountConnection(
        account_id="A-okx", place="okx/a", client_id="client-A", netting_set_id="A"
    )
    held = HeldThere(frozenset({HEDGE[1]}), frozenset({"BTC"}), {"ghost": working("ghost", 9)})
    context = FeedContext(loop, LoopClock(), LoopMetrics(), lambda: None, "test")
    follower = AccountFollower(context, place, None, held)  # type: ignore[arg-type]
    monkeypatch.setattr(accounts, "follow_account", follow)
    asyncio.run(follower.run())
    first, second, third = taken
    assert [type(one).__name__ for one in first] == [
        "PositionReport", "CollateralReport", "OrderReport", "OrderReport",
    ]  # fmt: skip
    assert [first[0].quantity, first[1].quantity] == [0.0, 0.0]
    orders = [[(one.order_id, one.remaining_quantity) for one in each] for each in (second, third)]
    assert [(one.order_id, one.remaining_quantity) for one in first[2:]] == [
        ("1", 50.0), ("ghost", 0.0),
    ]  # fmt: skip
    assert orders == [[("1", 20.0), ("2", 7.0)], [("1", 0.0)]]
    # One without a limit stands at the mark.
    assert first[2].limit_price == 60_000.0
    assert loop.book.inputs()[1].open_orders["remaining_quantity"].tolist() == [7.0]
