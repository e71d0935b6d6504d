"""A depeg within the day reaches the book: rates of currencies from several venues."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest

from engine.day_ports import UsdRate
from engine.errors import VenueUnavailable
from engine.ports import Reading
from infra.intraday.core import LoopCore
from infra.intraday.feeds import FeedContext
from infra.intraday.metrics import LoopMetrics
from infra.intraday.rates import RateFollower
from infra.intraday.wanting import wanted_rates
from tests.worlds import loop as worlds

VENUES = ("binance", "deribit", "okx")


class Told:
    """One venue's word on currencies; none if it does not answer."""

    def __init__(self, rates: Mapping[str, str] | None) -> None:
        self.rates = rates

    async def usd_rates(self, assets: Sequence[str]) -> tuple[UsdRate, ...]:
        if self.rates is None:
            raise VenueUnavailable("gone", identifier="venue")
        at = worlds.WALL
        return tuple(
            UsdRate(asset=one, usd_rate=Decimal(self.rates[one]),
                    reading=Reading(source="venue", received_at=at))
            for one in assets if one in self.rates
        )  # fmt: skip


class Stopped(Exception):
    pass


class Clock:
    """Stands still; whoever sleeps by it is done."""

    def now(self):
        return worlds.instant(1.0)

    async def sleep(self, seconds: float) -> None:
        raise Stopped


def taught(told: Mapping[str, Mapping[str, str] | None]) -> LoopCore:
    core = worlds.core(worlds.base({"A": 1e7}))
    context = FeedContext(core, Clock(), LoopMetrics(), lambda: None, "p")  # type: ignore[arg-type]
    for venue, rates in told.items():
        follower = RateFollower(context, venue, Told(rates), ["USDT"], 5.0)  # type: ignore[arg-type]
        with pytest.raises(Stopped):
            asyncio.run(follower.run())
    core.decide(worlds.instant(1.0))
    return core


def usdt(core: LoopCore) -> float:
    rows = core.market.acceptance.table.assets.index("USDT")
    return float(core.market.acceptance.rates(worlds.np.array([rows]))[0])


def test_stablecoins_of_what_is_followed_are_wanted() -> None:
    assert wanted_rates(worlds.base({"A": 1e7})) == ["USDT"]


def test_a_depeg_that_three_venues_see_is_the_price_of_collateral() -> None:
    core = taught({name: {"USDT": "0.97"} for name in VENUES})
    assert usdt(core) == 0.97


def test_one_venues_depeg_does_not_mark_the_house() -> None:
    core = taught({"binance": {"USDT": "0.65"}, "deribit": {"USDT": "1"}, "okx": {"USDT": "1"}})
    assert usdt(core) == 1.0


def test_without_a_quorum_the_lowest_counts_and_the_coin_is_in_doubt() -> None:
    core = taught({"binance": {"USDT": "0.93"}, "deribit": None, "okx": {"USDT": "1"}})
    assert usdt(core) == 0.93
    assert [(one.scope, one.name) for one in core.trust.current()] == [("underlying", "USDT")]
