"""What the venue itself does, as the adapter sees it: approvals, fees, chains, rates, marks."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

import pytest

from engine.errors import VenueRejected, VenueUnavailable
from engine.ports import TransferOrder
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.venues import http
from tests.integration.venues.deribit_town import (
    MAIN,
    MARGIN_A,
    MARGIN_B,
    PERPETUAL,
    Scene,
    order,
    scene,
)

K = FaultKind
KEY = "0123456789abcdef0123456789abcdef"


def leaving(s: Scene, quantity: Decimal = Decimal(1)) -> TransferOrder:
    target = s.venue.rails.deposit_address(s.venue.book.accounts["1003"], "BTC")
    return order(KEY, quantity, destination="custody/v", address=target.address)


def test_a_withdrawal_waits_for_its_approval() -> None:
    async def run() -> None:
        async with scene(speed=0.0, tick_seconds=0.0) as s:
            s.inject(K.APPROVAL_PENDING, times=1)
            away = leaving(s)
            assert (await s.adapter.transfers.submit(away)).status == "pending"
            await s.town.step(60.0)
            found = await s.adapter.transfers.find(away)
            assert found is not None and found.status == "pending"
            s.venue.rails.approve(found.venue_transfer_id)
            for _ in range(3):
                await s.town.step(1.0)
            found = await s.adapter.transfers.find(away)
            assert found is not None and found.status == "done"

    asyncio.run(run())


def test_a_withdrawal_that_is_denied_had_no_effect() -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(K.APPROVAL_DENIED)
            with pytest.raises(VenueRejected) as caught:
                await s.adapter.transfers.submit(leaving(s))
            assert (caught.value.was_sent, s.balance(MAIN, "BTC"), s.times(KEY)) == ("no", 50, 0)

    asyncio.run(run())


def test_a_withdrawal_that_the_chain_drops_comes_back() -> None:
    """F54: accepted, confirmed, then reversed."""

    async def run() -> None:
        async with scene(speed=0.0, tick_seconds=0.0) as s:
            away = leaving(s)
            await s.adapter.transfers.submit(away)
            for _ in range(3):
                await s.town.step(1.0)
            assert s.balance(MARGIN_B, "BTC") == Decimal("8.9999")
            (sent,) = s.town.chain.transfers.values()
            s.town.chain.reorganise(sent.tx_hash, is_dropped=True)
            await s.town.step(1.0)
            found = await s.adapter.transfers.find(away)
            assert found is not None
            assert (found.status, found.is_debited, found.is_credited) == ("rejected", False, False)
            assert (s.balance(MAIN, "BTC"), s.balance(MARGIN_B, "BTC")) == (50, 8)

    asyncio.run(run())


def test_a_fee_above_what_is_usual_is_reported_as_it_was_taken() -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(K.FEE_TAKEN, parameters={"fee": "0.01"})
            sent = await s.adapter.transfers.submit(leaving(s))
            assert (sent.quantity, sent.fee) == (1, Decimal("0.0101"))

    asyncio.run(run())


def test_deposits_that_need_more_confirmations_come_later() -> None:
    async def run() -> None:
        async with scene(speed=0.0, tick_seconds=0.0, confirmation_seconds=10.0) as s:
            s.inject(K.SLOW_DEPOSITS, parameters={"factor": 3})
            await s.adapter.transfers.submit(leaving(s))
            await s.town.step(11.0)
            assert s.balance(MARGIN_B, "BTC") == 8
            await s.town.step(20.0)
            assert s.balance(MARGIN_B, "BTC") == Decimal("8.9999")

    asyncio.run(run())


def test_margin_rates_that_change_show_in_the_venues_own_figures() -> None:
    async def run() -> None:
        async with scene(speed=0.0) as s:
            before = {m.bucket: m for m in (await s.adapter.accounts.snapshot(MARGIN_A)).margins}
            s.inject(K.MARGIN_MODEL_CHANGED, parameters={"factor": 2})
            held = await s.adapter.accounts.snapshot(MARGIN_A)
            after = {m.bucket: m for m in held.margins}
            assert held.reading.is_complete
            assert float(after["BTC"].initial_margin / before["BTC"].initial_margin) == (
                pytest.approx(2.0, rel=1e-6)
            )

    asyncio.run(run())


def test_a_crash_moves_marks_equity_and_margin_together() -> None:
    async def run() -> None:
        async with scene(speed=0.0, tick_seconds=0.0) as s:
            before = await s.adapter.accounts.snapshot(MARGIN_A)
            path = s.town.market.paths["BTC"]
            path.set_price(s.town.market.usd_price("BTC") * Decimal("0.8"), 0.0)
            after = await s.adapter.accounts.snapshot(MARGIN_A)
            mark = (await s.adapter.market.marks([PERPETUAL]))[0].mark_price
            entry = before.positions[0].entry_price
            assert entry is not None
            # 120,000 USD long, paid in coin: loss = size * (1 / entry - 1 / mark).
            loss = 120_000 / mark - 120_000 / entry
            fell = {m.bucket: m.equity for m in before.margins}["BTC"] - (
                {m.bucket: m.equity for m in after.margins}["BTC"]
            )
            assert abs(fell - loss) < Decimal("1e-7")
            assert after.margins[0].initial_margin > before.margins[0].initial_margin

    asyncio.run(run())


def test_marks_of_one_venue_may_freeze_or_spike() -> None:
    async def run() -> None:
        async with scene(speed=0.0, tick_seconds=0.0) as s:
            path = s.town.market.paths["BTC"]
            before = (await s.adapter.market.marks([PERPETUAL]))[0].mark_price
            s.inject(K.MARK_FROZEN, channel="BTC-PERPETUAL")
            path.set_price(Decimal(30000), 0.0)
            assert (await s.adapter.market.marks([PERPETUAL]))[0].mark_price == before
            path.set_price(Decimal(20000), 0.0)
            assert (await s.adapter.market.marks([PERPETUAL]))[0].mark_price == before
            s.town.plan.clear()
            s.inject(K.MARK_SPIKED, channel="BTC-PERPETUAL", parameters={"factor": "1.5"})
            mark = (await s.adapter.market.marks([PERPETUAL]))[0]
            assert mark.index_price is not None
            assert float(mark.mark_price / mark.index_price) == pytest.approx(1.5, rel=1e-3)

    asyncio.run(run())


def test_a_depeg_on_the_venue_shows_in_its_linear_marks_alone() -> None:
    async def run() -> None:
        linear = "deribit:BTC_USDC-PERPETUAL"
        async with scene(speed=0.0) as s:
            s.town.plan.inject(Fault(kind=K.DEPEG_ON_VENUE, venue="deribit", endpoint="USDC",
                                     parameters={"factor": "0.8"}))  # fmt: skip
            inverse_mark, linear_mark = (
                mark.mark_price for mark in await s.adapter.market.marks([PERPETUAL, linear])
            )
            assert float(linear_mark / inverse_mark) == pytest.approx(1.25, rel=1e-3)

    asyncio.run(run())


def test_latency_is_waited_for() -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.client.token("1001")
            s.inject(K.LATENCY, parameters={"seconds": 0.2, "jitter": 0.05})
            started = time.monotonic()
            assert (await s.adapter.transfers.submit(order(KEY, Decimal(1)))).status == "done"
            assert time.monotonic() - started >= 0.2

    asyncio.run(run())


def test_a_venue_that_keeps_failing_is_left_alone_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(K.BAD_GATEWAY, endpoint="public/ticker")
            for _ in range(3):
                with pytest.raises(VenueUnavailable):
                    await s.adapter.market.marks([PERPETUAL])
            struck = s.town.plan.struck[K.BAD_GATEWAY]
            with pytest.raises(VenueUnavailable, match="in a row failed"):
                await s.adapter.market.marks([PERPETUAL])
            assert s.town.plan.struck[K.BAD_GATEWAY] == struck
            # Reads have failed; a write is still tried.
            s.town.plan.clear()
            assert s.adapter.client.main_account == "1001"

    monkeypatch.setattr(http, "BREAKER_FAILURES", 4)
    asyncio.run(run())


def test_a_sub_accounts_transfer_is_found_though_only_the_payer_lists_it() -> None:
    async def run() -> None:
        async with scene() as s:
            away = order(KEY, Decimal(1), source=MARGIN_A, destination=MARGIN_B)
            await s.adapter.transfers.submit(away)
            found = await s.adapter.transfers.find(away)
            assert found is not None and found.is_credited
            assert (s.balance(MARGIN_A, "BTC"), s.balance(MARGIN_B, "BTC")) == (11, 9)

    asyncio.run(run())
