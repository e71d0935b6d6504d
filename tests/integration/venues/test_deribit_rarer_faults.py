"""Rarer faults of a venue: withdrawals that stick, addresses that lock, cancels only, odd frames.

Each is injected at the venue; what was carried out is counted there.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from engine.errors import Maintenance, VenueRejected
from engine.order_ports import ReduceOrder
from engine.ports import TransferOrder
from infra.simulator.venues.core.faults import FaultKind
from infra.simulator.venues.core.trading import OrderRequest, liquidate, place
from infra.venues.deribit import session
from tests.integration.venues.deribit_town import (
    MAIN,
    MARGIN_A,
    MARGIN_B,
    PERPETUAL,
    Scene,
    order,
    scene,
    until,
)

K = FaultKind
KEY = "0123456789abcdef0123456789abcdef"
STILL = {"speed": 0.0, "tick_seconds": 0.0}
HOUR = 3_600.0


def leaving(s: Scene) -> TransferOrder:
    """Return a withdrawal of one bitcoin to the address of another account."""
    target = s.venue.rails.deposit_address(s.venue.book.accounts["1003"], "BTC")
    return order(KEY, Decimal(1), destination="custody/v", address=target.address)


def reduction(quantity: int) -> ReduceOrder:
    return ReduceOrder(
        key=KEY, account_id=MARGIN_A, instrument_id=PERPETUAL, side="sell",
        quantity=Decimal(quantity),
    )  # fmt: skip


def test_f20_a_venue_that_takes_cancels_only_lets_orders_be_cancelled() -> None:
    """I-47: nothing is sold meanwhile, and afterwards the same key is carried out once."""

    async def run() -> None:
        async with scene(**STILL) as s:
            held = s.venue.book.accounts["1002"]
            position = held.positions["BTC-PERPETUAL"]
            before = position.quantity
            place(s.venue.book, held, OrderRequest(
                symbol="BTC-PERPETUAL", side="sell", quantity=Decimal(7),
                limit_price=Decimal(90_000), is_reduce_only=True))  # fmt: skip
            s.inject(K.CANCEL_ONLY)
            with pytest.raises(Maintenance) as caught:
                await s.adapter.actions.reduce(reduction(100))
            assert (caught.value.was_sent, s.times(KEY), position.quantity) == ("no", 0, before)
            assert await s.adapter.actions.cancel_all(MARGIN_A) == 1
            assert held.open_orders() == []
            s.town.plan.clear()
            await s.adapter.actions.reduce(reduction(100))
            assert (s.times(KEY), before - position.quantity) == (1, 100)

    asyncio.run(run())


def test_f22_i15_a_withdrawal_that_stays_pending_counts_nowhere_and_is_never_called_done() -> None:
    async def run() -> None:
        async with scene(**STILL) as s:
            s.inject(K.WITHDRAWALS_PENDING)
            away = leaving(s)
            await s.adapter.transfers.submit(away)
            for _ in range(4):
                await s.town.step(24 * HOUR)
                found = await s.adapter.transfers.find(away)
                assert found is not None
                assert (found.status, found.is_credited) == ("pending", None)
            assert s.town.chain.transfers == {}
            assert (s.balance(MAIN, "BTC"), s.times(KEY)) == (49, 1)

    asyncio.run(run())


def test_f57_i12_an_address_that_the_venue_has_locked_is_sent_nothing() -> None:
    """And once it is open again the same key is carried out once (I-06)."""

    async def run() -> None:
        async with scene(**STILL) as s:
            s.inject(K.ADDRESS_LOCKED, endpoint="withdraw")
            away = leaving(s)
            for _ in range(2):
                with pytest.raises(VenueRejected) as caught:
                    await s.adapter.transfers.submit(away)
                assert (caught.value.cause, caught.value.was_sent) == ("address", "no")
            assert (s.balance(MAIN, "BTC"), s.times(KEY)) == (50, 0)
            s.town.plan.clear()
            assert (await s.adapter.transfers.submit(away)).status == "pending"
            assert (s.balance(MAIN, "BTC"), s.times(KEY)) == (49, 1)

    asyncio.run(run())


def test_f60_i15_a_fee_too_low_for_the_chain_keeps_a_transfer_under_way_and_credits_it_once() -> (
    None
):
    async def run() -> None:
        async with scene(confirmation_seconds=60.0, **STILL) as s:
            s.inject(K.STUCK_FEE, endpoint="chain")
            away = leaving(s)
            await s.adapter.transfers.submit(away)
            for _ in range(4):
                await s.town.step(HOUR)
                found = await s.adapter.transfers.find(away)
                assert found is not None
                assert (found.status, found.is_credited) == ("pending", None)
            # It has left one place and has not come to the other.
            assert (s.balance(MAIN, "BTC"), s.balance(MARGIN_B, "BTC")) == (49, 8)
            s.town.plan.clear()
            for _ in range(3):
                await s.town.step(HOUR)
            found = await s.adapter.transfers.find(away)
            assert found is not None and found.status == "done"
            assert (s.balance(MARGIN_B, "BTC"), s.times(KEY)) == (Decimal("8.9999"), 1)

    asyncio.run(run())


def test_f30_a_stream_whose_heartbeats_have_stopped_lives_as_long_as_data_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(K.HEARTBEATS_STOP)
            events = s.adapter.market.stream([PERPETUAL])
            async with asyncio.timeout(30.0):
                await until(events, lambda event: bool(event.marks))
                # Longer than silence may last.
                end = asyncio.get_running_loop().time() + 1.5 * session._FRAME_SECONDS
                told = await until(
                    events, lambda _: asyncio.get_running_loop().time() > end, n_max=10_000
                )
            await events.aclose()  # type: ignore[attr-defined]
            assert {event.health for event in told} == {"live"}
            assert sum(bool(event.marks) for event in told) > 3

    monkeypatch.setattr(session, "_FRAME_SECONDS", 1.0)
    asyncio.run(run())


def test_f38_a_number_that_comes_as_text_is_the_same_number() -> None:
    async def run() -> None:
        async with scene(**STILL) as s:
            plain = (await s.adapter.market.marks([PERPETUAL]))[0].mark_price
            s.inject(K.ODD_NUMBER, parameters={"field": "mark_price", "form": "flip"})
            assert (await s.adapter.market.marks([PERPETUAL]))[0].mark_price == plain
            assert s.town.plan.struck[K.ODD_NUMBER] == 1

    asyncio.run(run())


def test_f49_i47_what_the_venue_has_liquidated_itself_is_not_sold_a_second_time() -> None:
    """The whole position is gone when our order comes: it is refused, and nothing is opened."""

    async def run() -> None:
        async with scene(**STILL) as s:
            held = s.venue.book.accounts["1002"]
            snapshot = await s.adapter.accounts.snapshot(MARGIN_A)
            seen = {one.instrument_id: one.quantity for one in snapshot.positions}[PERPETUAL]
            liquidate(s.venue.book, held, "BTC-PERPETUAL", Decimal(1))
            with pytest.raises(VenueRejected) as caught:
                await s.adapter.actions.reduce(reduction(int(seen)))
            assert (caught.value.cause, caught.value.was_sent) == ("reduce_only", "no")
            assert (held.positions["BTC-PERPETUAL"].quantity, s.times(KEY)) == (0, 0)

    asyncio.run(run())
