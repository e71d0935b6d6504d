"""The next order of a leg: what limits it, and that it never turns a position (I-47, I-49)."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.reduction import CapUse, LegProgress, Seen, Slice, exposure_left, next_slice
from tests.worlds.reductions import CALL, NOW, PERP, hedge, leg, policy

MARK = Decimal(60_000)


def seen(quantity: str = "10", mark: Decimal | None = MARK, calls: Decimal = Decimal(0)) -> Seen:
    held = {PERP: Decimal(quantity), CALL: calls}
    return Seen(held=held, mark_price=mark, at=NOW)


def asked(*, progress: LegProgress | None = None, use: CapUse | None = None, **facts) -> Slice:
    """Return the next slice of a leg under the facts that matter."""
    found = facts.get("leg", leg())
    rules = facts.get("policy", policy())
    what = facts.get("seen", seen())
    return next_slice(found, progress or LegProgress(), what, use or CapUse(), rules)


def test_a_slice_is_as_large_as_its_notional_may_be() -> None:
    # 6,000 USD a lot: 16 lots are 96,000 of 100,000.
    found = asked()
    assert (found.verdict, found.lots, found.notional) == ("send", 16, Decimal(96_000))
    # Half a percent below the mark, on a step of prices.
    assert found.limit_price == Decimal(59_700)


def test_a_dearer_market_makes_slices_smaller() -> None:
    assert asked(seen=seen(mark=Decimal(65_000))).lots == 15


@pytest.mark.parametrize(
    ("facts", "lots"),
    [
        ({"progress": LegProgress(filled_lots=95, n_slices=6)}, 5),
        ({"seen": seen("0.35")}, 3),
        ({"use": CapUse(day_notional=Decimal(4_970_000))}, 5),
        ({"use": CapUse(house_day_notional=Decimal(19_990_000))}, 1),
        ({"leg": leg(daily_volume=Decimal(20_000_000))}, 3),
    ],
)
def test_the_smallest_limit_counts(facts: dict, lots: int) -> None:
    assert (asked(**facts).verdict, asked(**facts).lots) == ("send", lots)


@pytest.mark.parametrize(
    ("facts", "verdict", "words"),
    [
        ({"progress": LegProgress(live_lots=3, n_slices=1)}, "wait", "may still act"),
        ({"progress": LegProgress(filled_lots=100, n_slices=7)}, "end", "all 100 lots"),
        ({"progress": LegProgress(n_failures=3, n_slices=3)}, "end", "given up after 3"),
        ({"seen": seen("0")}, "end", "nothing is left to sell"),
        ({"seen": seen("-4")}, "end", "nothing is left to sell"),
        ({"seen": seen("0.05")}, "end", "less than a lot"),
        ({"seen": seen(mark=Decimal(70_000))}, "stale", "16.7% from 60000"),
        ({"seen": seen(mark=None)}, "wait", "no mark"),
        ({"seen": seen(mark=Decimal(0))}, "wait", "no mark"),
        ({"seen": seen(mark=Decimal("NaN"))}, "wait", "no mark"),
        ({"use": CapUse(orders_last_minute=10)}, "wait", "10 orders in a minute"),
        ({"use": CapUse(day_notional=Decimal(5_000_000))}, "wait", "of a day is used up"),
        ({"leg": leg(notional=Decimal(2_000_000))}, "end", "by slice_notional_max"),
        ({"leg": leg(daily_volume=Decimal(1000))}, "end", "by slice_volume_share_max"),
    ],
)
def test_what_forbids_an_order_is_said(facts: dict, verdict: str, words: str) -> None:
    found = asked(**facts)
    assert (found.verdict, found.lots) == (verdict, 0)
    assert words in found.reason


def test_orders_of_a_leg_keep_their_distance() -> None:
    progress = LegProgress(n_slices=1, filled_lots=16, last_sent_at=NOW - timedelta(seconds=3))
    found = asked(progress=progress)
    assert (found.verdict, found.until) == ("wait", NOW + timedelta(seconds=2))
    assert asked(progress=replace(progress, last_sent_at=NOW - timedelta(seconds=5))).lots == 16


def test_a_hedge_is_held_to_what_it_hedges_now() -> None:
    # Twenty short calls of 30,000 each: 600,000 to be hedged, 48,000 at a time.
    calls = Decimal(-20)
    assert asked(leg=hedge(), seen=seen("0", calls=calls)).lots == 8
    # 594,000 are hedged already: one lot is left.
    assert asked(leg=hedge(), seen=seen("9.9", calls=calls)).lots == 1
    for held, of_calls in (("10", calls), ("12", calls), ("0", Decimal(0)), ("0", Decimal(5))):
        found = asked(leg=hedge(), seen=seen(held, calls=of_calls))
        assert (found.verdict, found.lots) == ("end", 0)


def test_a_hedge_that_costs_more_than_a_slice_may_is_not_opened() -> None:
    rules = policy(caps={"hedge_slice_notional_max": Decimal(5_000)})
    found = asked(leg=hedge(), seen=seen("0", calls=Decimal(-20)), policy=rules)
    assert (found.verdict, "hedge_slice_notional_max" in found.reason) == ("end", True)


def test_a_price_is_within_its_band_and_on_a_step() -> None:
    buy = leg(side="buy")
    for tick in ("0.5", "7", "1000"):
        step = Decimal(tick)
        sold = asked(leg=leg(tick=step)).limit_price
        bought = asked(leg=replace(buy, tick=step), seen=seen("-10")).limit_price
        assert sold % step == bought % step == 0
        # A band narrower than a step leaves the step next to the mark.
        assert min(MARK * Decimal("0.995"), MARK - step) <= sold <= MARK
        assert MARK <= bought <= max(MARK * Decimal("1.005"), MARK + step)


def walk(seed: int, n_steps: int) -> None:
    """Let positions, marks, fills and other people move at random; check every order (G15)."""
    draw = random.Random(seed)
    rules = policy(caps={"slice_seconds_min": 0.0})
    is_hedge = draw.random() < 0.4
    perp = Decimal(draw.randint(-100, 100)) / 10
    calls = Decimal(draw.randint(-300, 300)) / 10
    lots = draw.randint(1, 200)
    side = draw.choice(["buy", "sell"])
    found = (hedge if is_hedge else leg)(side=side, lots=lots)
    mark, filled, live, day = MARK, 0, 0, Decimal(0)
    for number in range(n_steps):
        mark *= Decimal(repr(draw.uniform(0.98, 1.02)))
        if draw.random() < 0.1:
            perp += Decimal(draw.randint(-30, 30)) / 10
        if live and draw.random() < 0.7:
            # The venue fills some of the order, cut to what is held where it may only reduce.
            done = draw.randint(0, live)
            if not is_hedge:
                room = abs(perp) if perp * found.sign < 0 else Decimal(0)
                done = min(done, int(room / found.lot))
            before = perp
            perp += done * found.lot * found.sign
            filled, live = filled + done, 0
            if not is_hedge:
                assert abs(perp) <= abs(before), "I-47"
                assert perp * before >= 0, "I-47: never turned round"
        progress = LegProgress(filled_lots=filled, live_lots=live, n_slices=number)
        now = Seen(held={PERP: perp, CALL: calls}, mark_price=mark, at=NOW)
        answer = next_slice(found, progress, now, CapUse(day_notional=day), rules)
        assert filled + live + answer.lots <= lots, "I-47: children within the parent"
        if answer.verdict != "send":
            assert answer.lots == 0
            continue
        assert not live
        caps = rules.caps
        most = caps.hedge_slice_notional_max if is_hedge else caps.slice_notional_max
        assert answer.notional <= most, "I-49"
        assert answer.lots * found.lot_notional <= Decimal("0.001") * found.daily_volume, "I-49"
        if is_hedge:
            left = exposure_left(found, now.held)
            after = left + answer.lots * found.lot * found.sign * found.exposure
            assert abs(after) <= abs(left) and after * left >= 0
        else:
            assert perp * found.sign < 0
            assert answer.lots * found.lot <= abs(perp)
        live, day = answer.lots, day + answer.notional
        assert day <= caps.day_notional_max, "I-49"


@given(st.integers(0, 2**32))
def test_g15_no_walk_turns_a_position_or_exceeds_a_cap(seed: int) -> None:
    walk(seed, 20)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_g15_a_hundred_thousand_steps(part: int) -> None:
    for seed in range(250):
        walk(part * 1_000 + seed, 100)
