"""Venues liquidate as they publish, in a town whose time is its own; rates rise with size."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest

from infra.simulator.venues.core.margins import position_margin
from infra.simulator.venues.core.paths import Move, Underlying
from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.streets import build_town

START = datetime(2025, 10, 10, tzinfo=UTC)
QUIET = {"volatility": 0.0, "jumps_per_year": 0.0, "basis": 0.0}


def town(**changes: object) -> VenueTown:
    underlyings = [
        Underlying(asset=asset, price=Decimal(price), **QUIET)  # type: ignore[arg-type]
        for asset, price in {"BTC": 100_000, "ETH": 4_000, "SOL": 200, "USDT": 1, "USDC": 1}.items()
    ]
    parameters = TownParameters(
        seed=1, speed=0.0, tick_seconds=0.0, underlyings=underlyings, is_liquidating=True,
        has_brackets=True, starts_at=START, **changes,
    )  # type: ignore[arg-type]  # fmt: skip
    found = build_town(("binance", "deribit", "okx"), parameters)
    for venue in found.venues.values():
        for account in venue.book.accounts.values():
            account.balances.clear()
            account.positions.clear()
    return found


def hold(
    found: VenueTown, venue: str, account: str, symbol: str, contracts: str, cash: str
) -> None:
    book = found.venues[venue].book
    held, asset = book.accounts[account], book.listing(symbol).settlement_asset
    book.adjust(held, asset, Decimal(cash), "deposit")
    book.fill(held, symbol, Decimal(contracts), book.quote(symbol).mark_price)


def fall(found: VenueTown, asset: str, fraction: float, seconds: float = 1.0) -> None:
    now = found.clock.elapsed()
    found.market.paths[asset].add(Move(now, fraction))
    asyncio.run(found.step(seconds))


def test_maintenance_rises_with_size_by_the_published_brackets() -> None:
    book = town().venues["binance"].book
    mark = book.quote("BTCUSDT").mark_price
    _, found = position_margin(book, "BTCUSDT", Decimal(10))
    value = 10 * mark
    # 50,000 at 0.4 %, up to 600,000 at 0.5 %, the rest at 0.65 %.
    expected = 200 + 2_750 + (value - 600_000) * Decimal("0.0065")
    assert found == pytest.approx(expected)


def test_binance_takes_over_what_is_under_and_brings_a_debt_back_to_zero() -> None:
    found = town()
    hold(found, "binance", "alpha", "BTCUSDT", "10", "100000")
    fall(found, "BTC", -0.08)
    assert found.venues["binance"].book.liquidations == []
    fall(found, "BTC", -0.05)
    book = found.venues["binance"].book
    (act,) = book.liquidations
    assert (act.symbol, act.quantity, act.at) == ("BTCUSDT", Decimal(-10), found.clock.now())
    assert act.fill_price < act.mark_price
    assert act.written_off > 0
    assert book.accounts["alpha"].balance("USDT") == 0
    assert book.accounts["alpha"].open_positions() == []


def test_deribit_closes_a_tenth_of_what_is_left_each_second() -> None:
    found = town()
    hold(found, "deribit", "1002", "BTC-PERPETUAL", "10000", "0.1")
    fall(found, "BTC", -0.083)
    book = found.venues["deribit"].book
    assert len(book.liquidations) == 1
    assert book.liquidations[0].quantity == Decimal(-1000)
    asyncio.run(found.step(30.0))
    # A tenth of what is left, once for each of thirty seconds: the fee is above the margin freed.
    rounds = [abs(one.quantity) for one in book.liquidations]
    assert 25 <= len(rounds) <= 31
    assert all(later <= earlier for earlier, later in pairwise(rounds))
    assert book.accounts["1002"].positions["BTC-PERPETUAL"].quantity < 1000


def test_okx_closes_the_position_whole() -> None:
    found = town()
    hold(found, "okx", "beta", "ETH-USDT-SWAP", "1000", "40000")
    fall(found, "ETH", -0.099)
    (act,) = found.venues["okx"].book.liquidations
    assert act.quantity == Decimal(-1000)


def test_a_coin_leaves_its_peg_at_one_venue_alone() -> None:
    moves = {"USDC@binance": [Move(10.0, -0.35, 10.0)]}
    found = town(moves=moves)
    asyncio.run(found.step(20.0))
    assert found.market.usd_price("USDC", "binance") == pytest.approx(Decimal("0.65"))
    assert found.market.usd_price("USDC", "okx") == 1


def test_a_town_with_a_beginning_lives_in_its_own_time() -> None:
    found = town()
    assert found.clock.wall() == found.clock.now() == START
    asyncio.run(found.step(90.0))
    assert (found.clock.wall() - START).total_seconds() == 90.0
