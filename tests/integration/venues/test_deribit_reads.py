"""Reads of Deribit: tried twice, checked against themselves, complete or said not to be."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from data_contracts.registry import contract
from data_contracts.validation import validate
from engine.errors import (
    BadPayload,
    Maintenance,
    Throttled,
    VenueAccessDenied,
    VenueError,
    VenueUnavailable,
)
from infra.simulator.venues.core.faults import FaultKind
from infra.simulator.venues.core.trading import OrderRequest, claw_back, place
from infra.venues import http
from tests.integration.venues.deribit_town import (
    MAIN,
    MARGIN_A,
    PERPETUAL,
    order,
    scene,
)

K = FaultKind
POSITIONS = "private/get_positions"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.6)


def test_instruments_fit_their_contract() -> None:
    async def run() -> None:
        async with scene() as s:
            frame = await s.adapter.catalog.instruments()
        result = validate(contract("instruments"), frame)
        assert result.refusal is None and len(result.quarantined) == 0
        assert len(result.accepted) == len(s.venue.book.listings)
        perpetual = frame.set_index("instrument_id").loc[PERPETUAL]
        assert (perpetual["payoff"], perpetual["contract_multiplier"]) == ("inverse", 10.0)

    asyncio.run(run())


def test_a_snapshot_equals_the_book_of_the_venue() -> None:
    async def run() -> None:
        async with scene(speed=0.0) as s:
            account = s.venue.book.accounts["1002"]
            place(s.venue.book, account, OrderRequest(
                symbol="BTC-PERPETUAL", side="sell", quantity=Decimal(7),
                limit_price=Decimal(90000), key="mine", is_reduce_only=True))  # fmt: skip
            held = await s.adapter.accounts.snapshot(MARGIN_A)
            assert held.reading.is_complete
            assert {p.instrument_id: p.quantity for p in held.positions} == {
                f"deribit:{p.symbol}": p.quantity for p in account.open_positions()
            }
            assert {b.asset: b.quantity for b in held.balances} == {
                "BTC": account.balance("BTC"), "ETH": account.balance("ETH"),
                "USDC": account.balance("USDC"),
            }  # fmt: skip
            assert [(o.remaining_quantity, o.client_order_id) for o in held.orders] == [(7, "mine")]
            margin = {m.bucket: m for m in held.margins}["BTC"]
            assert margin.equity == 12
            # 120,000 USD at 2 %, in coin, rounded up to the venue's decimals.
            assert margin.initial_margin == Decimal("0.03999389")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (K.RESET_BEFORE, {}), (K.RESET_AFTER, {}), (K.LATE_REPLY, {"seconds": 1.5}),
        (K.HALF_OPEN, {}), (K.BAD_GATEWAY, {"status": 502}), (K.BAD_GATEWAY, {"status": 520}),
        (K.BROKEN_BODY, {"form": "html"}), (K.BROKEN_BODY, {"form": "truncated"}),
        (K.BROKEN_BODY, {"form": "empty"}), (K.FORBIDDEN, {}), (K.UNKNOWN_CODE, {"code": 13888}),
        (K.ODD_NUMBER, {"field": "size", "form": "nan"}),
    ],
)  # fmt: skip
def test_a_read_that_fails_once_is_tried_again_and_twice_is_an_error(
    kind: FaultKind, parameters: dict[str, Any]
) -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(kind, endpoint=POSITIONS, times=1, parameters=parameters)
            assert len((await s.adapter.accounts.snapshot(MARGIN_A)).positions) == 3
            s.inject(kind, endpoint=POSITIONS, times=2, parameters=parameters)
            with pytest.raises((VenueUnavailable, BadPayload)):
                await s.adapter.accounts.snapshot(MARGIN_A)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "error", "n_struck"),
    [
        (K.TOO_MANY_REQUESTS, Throttled, 1),
        (K.CREDITS_EMPTY, Throttled, 1),
        (K.MAINTENANCE, Maintenance, 1),
        (K.SUSPENDED, VenueAccessDenied, 1),
    ],
)
def test_a_venue_that_wants_silence_is_not_asked_again_at_once(
    kind: FaultKind, error: type[VenueError], n_struck: int
) -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.client.token("1002")
            s.inject(kind, account="1002")
            with pytest.raises(error):
                await s.adapter.transfers.balance(MARGIN_A, "BTC")
            assert s.town.plan.struck[kind] == n_struck

    asyncio.run(run())


def test_an_expired_token_is_renewed_once() -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.transfers.balance(MARGIN_A, "BTC")
            s.inject(K.TOKEN_EXPIRED, account="1002", times=1)
            assert (await s.adapter.transfers.balance(MARGIN_A, "BTC")).quantity == 12

    asyncio.run(run())


def test_a_snapshot_of_two_instants_is_read_again_and_then_called_incomplete() -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(K.TORN_SNAPSHOT, endpoint=POSITIONS, times=1)
            assert (await s.adapter.accounts.snapshot(MARGIN_A)).reading.is_complete
            s.inject(K.TORN_SNAPSHOT, endpoint=POSITIONS, times=3)
            assert not (await s.adapter.accounts.snapshot(MARGIN_A)).reading.is_complete

    asyncio.run(run())


def test_an_account_with_orders_and_no_position_is_whole() -> None:
    async def run() -> None:
        async with scene(speed=0.0) as s:
            account = s.venue.book.accounts["1001"]
            place(s.venue.book, account, OrderRequest(
                symbol="BTC-PERPETUAL", side="buy", quantity=Decimal(7),
                limit_price=Decimal(30000)))  # fmt: skip
            held = await s.adapter.accounts.snapshot(MAIN)
            assert held.reading.is_complete and len(held.orders) == 1 and not held.positions
            assert {m.bucket: m for m in held.margins}["BTC"].initial_margin > 0

    asyncio.run(run())


def test_the_log_is_read_in_parts_without_loss_or_repetition() -> None:
    async def run() -> None:
        async with scene() as s:
            first = await s.adapter.accounts.history(MARGIN_A)
            main, margin = (s.venue.book.accounts[name] for name in ("1001", "1002"))
            for number in range(600):
                s.venue.book.move(main, margin, "BTC", Decimal("0.001"), reference=str(number))
            second = await s.adapter.accounts.history(MARGIN_A, first.reading.watermark)
            third = await s.adapter.accounts.history(MARGIN_A, second.reading.watermark)
            lines = [*first.lines, *second.lines, *third.lines]
            assert [int(line.line_id) for line in lines] == [
                line.line_id for line in s.venue.book.accounts["1002"].lines
            ]
            assert (len(second.lines), third.lines, third.reading.is_complete) == (600, (), True)

    asyncio.run(run())


def test_a_line_that_a_page_leaves_out_makes_the_history_incomplete() -> None:
    async def run() -> None:
        async with scene() as s:
            start = await s.adapter.accounts.history(MARGIN_A)
            for number in range(3):
                await s.adapter.transfers.submit(order(f"{number:032d}", Decimal("0.5")))
            s.inject(K.PARTIAL_PAGE, endpoint="private/get_transaction_log", times=1)
            torn = await s.adapter.accounts.history(MARGIN_A, start.reading.watermark)
            assert not torn.reading.is_complete
            assert torn.reading.watermark == start.reading.watermark
            whole = await s.adapter.accounts.history(MARGIN_A, start.reading.watermark)
            assert whole.reading.is_complete and len(whole.lines) == 3

    asyncio.run(run())


def test_a_socialised_loss_shows_as_a_negative_balance_and_a_line() -> None:
    async def run() -> None:
        async with scene() as s:
            claw_back(s.venue.book, s.venue.book.accounts["1003"], "USDC", Decimal(260_000))
            held = await s.adapter.accounts.snapshot("deribit/1003")
            assert {b.asset: b.quantity for b in held.balances}["USDC"] == -10_000
            last = (await s.adapter.accounts.history("deribit/1003")).lines[-1]
            assert (last.kind, last.change) == ("socialized_fund", -260_000)

    asyncio.run(run())


def test_a_contract_size_that_changes_is_refused() -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.catalog.instruments()
            s.inject(K.UNIT_CHANGE, channel="BTC-PERPETUAL", parameters={"factor": 10})
            with pytest.raises(BadPayload, match="BTC-PERPETUAL: contract size was 10"):
                await s.adapter.catalog.instruments()

    asyncio.run(run())


@pytest.mark.parametrize("form", ["exponent", "tail"])
def test_odd_but_exact_numbers_stay_exact(form: str) -> None:
    async def run() -> None:
        async with scene(speed=0.0) as s:
            plain = (await s.adapter.market.marks([PERPETUAL]))[0].mark_price
            s.inject(K.ODD_NUMBER, parameters={"field": "mark_price", "form": form})
            odd = (await s.adapter.market.marks([PERPETUAL]))[0].mark_price
            if form == "exponent":
                assert odd == plain
            else:
                assert str(odd).endswith("00000000000000001") and 0 < odd - plain < Decimal("1e-15")

    asyncio.run(run())


def test_a_mark_of_zero_is_no_mark_and_crossed_sides_are_absent() -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(K.BOOK_CROSSED, channel="BTC-PERPETUAL", times=1)
            mark = (await s.adapter.market.marks([PERPETUAL]))[0]
            assert (mark.bid, mark.ask) == (None, None)
            s.inject(K.MARK_ZERO, channel="BTC-PERPETUAL")
            with pytest.raises(BadPayload, match="not above 0"):
                await s.adapter.market.marks([PERPETUAL])

    asyncio.run(run())


def test_an_unknown_instrument_is_absent_from_marks() -> None:
    async def run() -> None:
        async with scene() as s:
            assert await s.adapter.market.marks(["deribit:NO-SUCH"]) == ()

    asyncio.run(run())


def test_what_if_of_no_change_is_the_present_margin() -> None:
    async def run() -> None:
        async with scene(speed=0.0) as s:
            held = await s.adapter.accounts.snapshot(MARGIN_A)
            now = {m.bucket: m for m in held.margins}
            then = {m.bucket: m for m in await s.adapter.what_if.simulate(
                MARGIN_A, {PERPETUAL: Decimal(-12_000)})}  # fmt: skip
            assert then["BTC"].initial_margin == 0 < now["BTC"].initial_margin
            assert then["ETH"] == now["ETH"]

    asyncio.run(run())


def test_a_venue_whose_clock_runs_ahead_is_followed() -> None:
    async def run() -> None:
        async with scene() as s:
            s.town.clock.set_skew(120.0)
            assert (await s.adapter.transfers.balance(MARGIN_A, "BTC")).quantity == 12
            assert s.adapter.client.clock.is_alarming

    asyncio.run(run())


def test_a_clock_that_steps_between_two_requests_is_measured_anew() -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.transfers.balance(MARGIN_A, "BTC")
            s.adapter.client.forget_token("1002")
            s.town.clock.set_skew(300.0)
            assert (await s.adapter.transfers.balance(MARGIN_A, "BTC")).quantity == 12

    asyncio.run(run())
