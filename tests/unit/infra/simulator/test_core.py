"""The core of the simulated venues keeps exact books and strikes as planned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from infra.simulator.venues.core.accounts import Refused
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.chain import Chain
from infra.simulator.venues.core.clock import TownClock
from infra.simulator.venues.core.faults import Fault, FaultKind, FaultPlan, Scope
from infra.simulator.venues.core.listings import Listing
from infra.simulator.venues.core.market import Market
from infra.simulator.venues.core.paths import Move, PricePath, Underlying
from infra.simulator.venues.core.rails import Rails
from infra.simulator.venues.core.trading import OrderRequest, place

BTC = Underlying(asset="BTC", price=Decimal(60000))
PERPETUAL = Listing(
    symbol="BTC-PERP", kind="perpetual", payoff="inverse", underlying="BTC", quote_asset="USD",
    settlement_asset="BTC", contract_multiplier=Decimal(10), tick_size=Decimal("0.5"),
    lot_size=Decimal(1),
)  # fmt: skip


@pytest.fixture
def market() -> Market:
    clock = TownClock(speed=0.0, wall=lambda: datetime(2026, 11, 21, tzinfo=UTC))
    return Market(clock, FaultPlan(7), [BTC], seed=7)


@pytest.fixture
def book(market: Market) -> VenueBook:
    made = VenueBook("venue", market, [PERPETUAL])
    for name in ("main", "sub"):
        made.adjust(made.open_account(name), "BTC", Decimal(10), "deposit")
    return made


def test_a_path_is_a_function_of_seed_and_instant_alone() -> None:
    once, often = PricePath(BTC, 3), PricePath(BTC, 3)
    for second in range(0, 9000, 7):
        often.price(float(second))
    assert once.price(9001.0) == often.price(9001.0)
    assert once.price(9001.0) != PricePath(BTC, 4).price(9001.0)


def test_a_scheduled_crash_falls_by_its_fraction() -> None:
    calm, crashed = PricePath(BTC, 3), PricePath(BTC, 3, [Move(100.0, -0.3, 50.0)])
    assert calm.price(99.0) == crashed.price(99.0)
    assert float(crashed.price(151.0) / calm.price(151.0)) == pytest.approx(0.7, rel=1e-6)


def test_bars_are_replayed() -> None:
    bars = (Decimal(100), Decimal(110), Decimal(90))
    path = PricePath(
        Underlying(asset="BTC", price=Decimal(100), bars=bars, bar_seconds=60.0), seed=1
    )
    assert [path.price(s) for s in (0.0, 60.0, 120.0, 900.0)] == [100, 110, 90, 90]


def test_a_transfer_moves_exactly_what_it_says(book: VenueBook) -> None:
    main, sub = book.accounts["main"], book.accounts["sub"]
    quantity = Decimal("0.123456789012345678")
    book.move(main, sub, "BTC", quantity, reference="k")
    assert main.balance("BTC") == 10 - quantity
    assert main.balance("BTC") + sub.balance("BTC") == 20
    assert book.times_executed("k") == 1


def test_more_than_is_available_is_refused_without_a_line(book: VenueBook) -> None:
    main, sub = book.accounts["main"], book.accounts["sub"]
    lines = len(main.lines)
    with pytest.raises(Refused):
        book.move(main, sub, "BTC", Decimal(11), reference="k")
    assert (len(main.lines), book.times_executed("k")) == (lines, 0)


def test_every_balance_is_the_sum_of_its_lines(book: VenueBook) -> None:
    main = book.accounts["main"]
    place(book, main, OrderRequest(symbol="BTC-PERP", side="buy", quantity=Decimal(600)))
    book.market.paths["BTC"].set_price(Decimal(50000), 0.0)
    place(book, main, OrderRequest(symbol="BTC-PERP", side="sell", quantity=Decimal(250)))
    assert sum(line.change for line in main.lines) == main.balance("BTC")
    assert main.balance("BTC") < 10


def test_a_reduce_only_order_never_opens(book: VenueBook) -> None:
    main = book.accounts["main"]
    place(book, main, OrderRequest(symbol="BTC-PERP", side="buy", quantity=Decimal(5)))
    order = place(book, main, OrderRequest(
        symbol="BTC-PERP", side="sell", quantity=Decimal(9), is_reduce_only=True))  # fmt: skip
    assert order.filled == 5
    with pytest.raises(Refused):
        place(book, main, OrderRequest(
            symbol="BTC-PERP", side="sell", quantity=Decimal(1), is_reduce_only=True))  # fmt: skip


def test_an_inverse_position_earns_coin_by_the_reciprocal(book: VenueBook) -> None:
    main = book.accounts["main"]
    book.fill(main, "BTC-PERP", Decimal(100), Decimal(50000))
    book.fill(main, "BTC-PERP", Decimal(100), Decimal(100000))
    assert main.positions["BTC-PERP"].entry_price == pytest.approx(Decimal(2000) / Decimal("0.03"))
    done = book.fill(main, "BTC-PERP", Decimal(-200), Decimal(80000))
    assert done.realised == pytest.approx(Decimal("0.03") - Decimal("0.025"))


def test_the_chain_credits_once_even_over_a_reorganisation(book: VenueBook, market: Market) -> None:
    chain = Chain(market.clock, market.plan, 7, confirmation_seconds=10.0)
    rails = Rails(book, chain, {"BTC": Decimal("0.0001")})
    main, sub = book.accounts["main"], book.accounts["sub"]
    target = rails.deposit_address(sub, "BTC")
    sent = rails.withdraw(main, "BTC", Decimal(1), target.address, key="k", network="BTC")
    assert (main.balance("BTC"), sub.balance("BTC")) == (9, 10)
    for seconds in (5.0, 6.0, 60.0):
        market.clock.step(seconds)
        chain.settle()
        rails.advance()
    assert sub.balance("BTC") == Decimal("10.9999")
    assert rails.withdrawals[sent.withdrawal_id].state == "completed"
    chain.reorganise(sent.tx_hash)
    assert sub.balance("BTC") == 10
    market.clock.step(11.0)
    chain.settle()
    chain.settle()
    assert sub.balance("BTC") == Decimal("10.9999")


def test_a_wrong_memo_loses_the_transfer(book: VenueBook, market: Market) -> None:
    chain = Chain(market.clock, market.plan, 7, confirmation_seconds=1.0)
    rails = Rails(book, chain, {})
    target = rails.deposit_address(book.accounts["sub"], "XRP", memo="12")
    sent = rails.withdraw(book.accounts["main"], "BTC", Decimal(1), target.address, key="k",
                          network="XRP", memo="13")  # fmt: skip
    market.clock.step(2.0)
    chain.settle()
    assert chain.transfers[sent.tx_hash].state == "lost"
    assert book.accounts["sub"].balance("BTC") == 10


def test_a_fault_strikes_in_its_scope_and_no_more_often_than_told() -> None:
    plan = FaultPlan(1)
    plan.inject(Fault(kind=FaultKind.GAP, venue="deribit", channel="ticker*", times=2))
    inside = Scope(venue="deribit", channel="ticker.X")
    assert plan.draw(FaultKind.GAP, Scope(venue="okx", channel="ticker.X")) is None
    assert plan.draw(FaultKind.GAP, Scope(venue="deribit", channel="user")) is None
    assert [plan.draw(FaultKind.GAP, inside) is not None for _ in range(4)] == [
        True, True, False, False,
    ]  # fmt: skip


def test_chance_depends_on_the_seed_alone() -> None:
    def pattern(seed: int) -> list[bool]:
        plan = FaultPlan(seed)
        plan.inject(Fault(kind=FaultKind.GAP, probability=0.5))
        return [plan.draw(FaultKind.GAP, Scope()) is not None for _ in range(64)]

    assert pattern(5) == pattern(5) != pattern(6)


def test_a_depeg_is_seen_on_one_venue_only(market: Market) -> None:
    market.plan.inject(Fault(kind=FaultKind.DEPEG_ON_VENUE, venue="here", endpoint="BTC",
                             parameters={"factor": "0.5"}))  # fmt: skip
    assert market.usd_price("BTC", "here") == market.usd_price("BTC", "there") / 2


def test_an_expired_option_is_worth_its_intrinsic_value(market: Market) -> None:
    option = Listing(
        symbol="C", kind="option", payoff="linear", underlying="BTC", quote_asset="USD",
        settlement_asset="USD", contract_multiplier=Decimal(1), tick_size=Decimal("0.01"),
        lot_size=Decimal("0.1"), strike=Decimal(40000), option_type="call",
        expiry_utc=market.clock.now() - timedelta(days=1),
    )  # fmt: skip
    quote = market.quote(option, "venue")
    assert quote.mark_price == quote.index_price - 40000
