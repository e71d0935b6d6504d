"""What of a source's prices is not as it should be is told, with what counts instead."""

from __future__ import annotations

import math
from typing import Any

import pytest

from infra.intraday.core import LoopCore
from infra.intraday.sources import QUIET_SECONDS, SHOWN_SECONDS, SourceStates
from tests.worlds.loop import bitcoin, core, instant, ticks

OKX = "okx:BTC-USDT-SWAP"


@pytest.fixture
def told() -> tuple[LoopCore, SourceStates]:
    loop = core()
    loop.take_ticks(ticks(loop, bitcoin(60_000.0)))
    loop.decide(instant())
    return loop, SourceStates(loop.market.acceptance)


def row(states: SourceStates, name: str, seconds: float) -> dict[str, Any]:
    (found,) = [one for one in states.rows(instant(seconds)) if one["name"] == f"{name} prices"]
    return found


@pytest.mark.parametrize(
    ("price", "fields", "words"),
    [
        (math.nan, {}, "not a finite number"),
        (0.0, {}, "outside the domain"),
        (-1.0, {}, "outside the domain"),
        (60_000.0, {"ahead": 60_000_000_000}, "ahead of the clock"),
    ],
)
def test_a_price_that_is_none_is_told_with_scope_age_and_next_action(
    told: tuple[LoopCore, SourceStates], price: float, fields: dict[str, int], words: str
) -> None:
    loop, states = told
    assert states.rows(instant(1.0)) == []
    loop.take_ticks(ticks(loop, {OKX: price}, 1.0, **fields))
    found = row(states, "okx", 1.5)
    assert (found["scope"], found["state"]) == ("venue", "degraded")
    assert words in found["reason"] and found["next_action"]
    assert found["since"] == instant(1.5).wall == row(states, "okx", 9.0)["since"]
    assert row(states, "okx", 2.0 + SHOWN_SECONDS)["state"] == "live"


def test_what_a_stream_repeats_is_told_and_nothing_to_look_at(
    told: tuple[LoopCore, SourceStates],
) -> None:
    loop, states = told
    loop.take_ticks(ticks(loop, {OKX: 60_000.0}, 0.0))
    found = row(states, "okx", 1.0)
    assert found["state"] == "live"
    assert "came in before" in found["reason"] and found["next_action"].startswith("nothing")


def test_a_spike_at_one_source_is_told_with_what_counts(
    told: tuple[LoopCore, SourceStates],
) -> None:
    loop, states = told
    loop.take_ticks(ticks(loop, {OKX: 90_000.0}, 1.0))
    loop.decide(instant(1.1))
    found = row(states, "okx", 1.2)
    assert found["state"] == "degraded"
    assert f"{OKX} says 90,000" in found["reason"] and "counts" in found["reason"]
    loop.take_ticks(ticks(loop, {OKX: 60_010.0}, 2.0))
    loop.decide(instant(2.1))
    assert row(states, "okx", 2.2)["state"] == "live"


def test_a_source_that_falls_silent_is_told_before_it_is_stale(
    told: tuple[LoopCore, SourceStates],
) -> None:
    _, states = told
    assert states.quiet("okx", instant(QUIET_SECONDS)) is None
    found = states.quiet("okx", instant(QUIET_SECONDS + 0.5))
    assert found is not None
    assert found["since"] == instant().wall == states.last_price("okx", instant(4.0))
    assert found["state"] == "degraded" and "no price since" in found["reason"]
    assert states.quiet("nowhere", instant(99.0)) is None
