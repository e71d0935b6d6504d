"""Orders that reduce or hedge, at every venue: one attempt, found by key, nothing left waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from engine.errors import VenueRejected
from engine.order_ports import HedgeOrder, OrderReport, ReduceOrder
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.town import VenueTown
from tests.integration.venues import binance_town, deribit_town, okx_town

KEY = "0123456789abcdef0123456789abcdef"
K = FaultKind


@dataclass(frozen=True)
class Held:
    """A venue with an account that is long of a perpetual."""

    venue: str
    place: str
    account: str
    symbol: str
    quantity: Decimal

    @property
    def instrument_id(self) -> str:
        return f"{self.venue}:{self.symbol}"


HELD = {
    "binance": Held("binance", "binance/alpha", "alpha", "BTCUSDT", Decimal("1.5")),
    "deribit": Held("deribit", "deribit/1002", "1002", "BTC-PERPETUAL", Decimal(500)),
    "okx": Held("okx", "okx/alpha", "alpha", "BTC-USDT-SWAP", Decimal(40)),
}


@dataclass
class Scene:
    """A town that stands still, and an adapter."""

    town: VenueTown
    book: VenueBook
    adapter: Any
    held: Held

    def inject(self, kind: FaultKind, **fields: Any) -> None:
        self.town.plan.inject(Fault(kind=kind, venue=self.held.venue, **fields))

    @property
    def position(self) -> Decimal:
        return self.book.accounts[self.held.account].positions[self.held.symbol].quantity

    @property
    def mark(self) -> Decimal:
        return self.book.quote(self.held.symbol).mark_price

    async def reduce(self, share: str = "0.5", **fields: Any) -> OrderReport:
        quantity = self.held.quantity * Decimal(share)
        limit = fields.pop("limit", self.near("sell"))
        order = ReduceOrder(
            key=KEY, account_id=self.held.place, instrument_id=self.held.instrument_id,
            side="sell", quantity=quantity, limit_price=limit,
        )  # fmt: skip
        return await self.adapter.actions.reduce(order)

    async def find(self) -> OrderReport | None:
        where = self.held.instrument_id
        return await self.adapter.actions.find_order(self.held.place, KEY, where)

    def near(self, side: str) -> Decimal:
        """Return a limit just beyond the touch."""
        listing = self.book.listing(self.held.symbol)
        factor = Decimal("0.99") if side == "sell" else Decimal("1.01")
        return (self.mark * factor // listing.tick_size) * listing.tick_size


@asynccontextmanager
async def scene(venue: str) -> AsyncIterator[Scene]:
    held = HELD[venue]
    if venue == "deribit":
        async with deribit_town.scene() as found:
            made = Scene(found.town, found.venue.book, found.adapter, held)
            _hold(made)
            yield made
        return
    hosted = okx_town.hosted if venue == "okx" else binance_town.hosted
    async with hosted() as there:
        made = Scene(there.town, there.venue.book, there.adapter, held)
        _hold(made)
        yield made


def _hold(s: Scene) -> None:
    account = s.book.accounts[s.held.account]
    before = account.positions.get(s.held.symbol)
    change = s.held.quantity - (before.quantity if before else 0)
    s.book.fill(account, s.held.symbol, change, s.mark)


def at(venue: str, work: Callable[[Scene], Awaitable[None]]) -> None:
    """Run a scene at a venue."""

    async def run() -> None:
        async with scene(venue) as s:
            await work(s)

    asyncio.run(run())


@pytest.fixture(params=sorted(HELD))
def venue(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_i47_a_reduction_fills_in_part_and_what_is_left_is_cancelled(venue: str) -> None:
    async def work(s: Scene) -> None:
        s.inject(K.PARTIAL_FILL, parameters={"share": "0.4"}, times=1)
        done = await s.reduce()
        found = await s.find()
        asked = s.held.quantity / 2
        assert found is not None
        assert found.status == "cancelled"
        assert 0 < found.filled_quantity < asked
        assert s.position == s.held.quantity - found.filled_quantity
        assert done.filled_quantity in (found.filled_quantity, Decimal(0))
        snapshot = await s.adapter.accounts.snapshot(s.held.place)
        assert not snapshot.orders

    at(venue, work)


def test_a_limit_that_the_market_does_not_meet_leaves_nothing_waiting(venue: str) -> None:
    async def work(s: Scene) -> None:
        listing = s.book.listing(s.held.symbol)
        far = (s.mark * Decimal("1.2") // listing.tick_size) * listing.tick_size
        await s.reduce(limit=far)
        found = await s.find()
        assert found is not None
        assert (found.status, found.filled_quantity) == ("cancelled", 0)
        assert s.position == s.held.quantity

    at(venue, work)


def test_i47_a_reduction_of_more_than_is_held_ends_flat_or_is_refused(venue: str) -> None:
    async def work(s: Scene) -> None:
        try:
            await s.reduce("1.5")
        except VenueRejected as error:
            assert error.was_sent == "no"
        assert s.position >= 0

    at(venue, work)


def test_a_reduction_of_nothing_is_refused_for_good(venue: str) -> None:
    async def work(s: Scene) -> None:
        account = s.book.accounts[s.held.account]
        s.book.fill(account, s.held.symbol, -2 * s.held.quantity, s.mark)
        with pytest.raises(VenueRejected) as caught:
            await s.reduce()
        assert (caught.value.cause, caught.value.was_sent) == ("reduce_only", "no")
        assert s.position == -s.held.quantity

    at(venue, work)


def test_an_order_that_the_engine_holds_back_is_found_open_and_can_be_cancelled(
    venue: str,
) -> None:
    """F24: acknowledged now, matched a minute later."""

    async def work(s: Scene) -> None:
        s.inject(K.SLOW_MATCHING, parameters={"seconds": 600}, times=1)
        assert (await s.reduce()).status == "open"
        found = await s.find()
        assert found is not None and found.status == "open"
        where = s.held.instrument_id
        await s.adapter.actions.cancel_order(s.held.place, found.order_id, where)
        found = await s.find()
        assert found is not None
        assert (found.status, found.filled_quantity) == ("cancelled", 0)
        assert s.position == s.held.quantity

    at(venue, work)


def test_a_hedge_opens_what_a_reduction_may_not(venue: str) -> None:
    async def work(s: Scene) -> None:
        account = s.book.accounts[s.held.account]
        s.book.fill(account, s.held.symbol, -s.held.quantity, s.mark)
        lot = s.book.listing(s.held.symbol).lot_size
        order = HedgeOrder(
            key=KEY, account_id=s.held.place, instrument_id=s.held.instrument_id, side="buy",
            quantity=lot, limit_price=s.near("buy"),
        )  # fmt: skip
        await s.adapter.actions.hedge(order)
        found = await s.find()
        assert found is not None
        assert (found.status, found.filled_quantity, s.position) == ("filled", lot, lot)
        assert s.book.times_executed(KEY) >= 1

    at(venue, work)


def test_the_quiescence_of_orders_covers_the_life_of_a_request(venue: str) -> None:
    async def work(s: Scene) -> None:
        promised = s.adapter.actions.order_guarantees()
        assert promised.quiescence == promised.request_expiry + promised.settle_window
        assert promised.request_expiry.total_seconds() >= 5
        assert promised.is_keyed == (venue == "okx")

    at(venue, work)
