"""What can go wrong with a write to Deribit: the error says whether it can have had an effect.

Faults are those of the venue's wire and state; what was carried out is counted in the venue.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from engine.errors import (
    Maintenance,
    NotSent,
    OutcomeUnknown,
    Throttled,
    VenueAccessDenied,
    VenueError,
    VenueRejected,
    VenueUnavailable,
)
from engine.order_ports import ReduceOrder
from infra.simulator.venues.core.faults import FaultKind
from infra.simulator.venues.core.trading import OrderRequest, place
from infra.venues import http
from tests.integration.venues.deribit_town import MAIN, MARGIN_A, PERPETUAL, Scene, order, scene

K = FaultKind
KEY = "0123456789abcdef0123456789abcdef"
AMOUNT = Decimal("0.12345678")
TRANSFER = "private/submit_transfer_between_subaccounts"

# Kind, parameters, error, times carried out.
UNCLEAR: list[tuple[FaultKind, dict[str, Any], int]] = [
    (K.RESET_BEFORE, {}, 0),
    (K.RESET_AFTER, {}, 1),
    (K.LATE_REPLY, {"seconds": 1.5}, 1),
    (K.HALF_OPEN, {}, 1),
    (K.DRIP, {"seconds": 3.0}, 1),
    *((K.BAD_GATEWAY, {"status": status}, 1) for status in (502, 503, 504, 520)),
    (K.BAD_GATEWAY, {"status": 502, "when": "before"}, 0),
    *((K.BROKEN_BODY, {"form": form}, 1) for form in ("html", "truncated", "empty")),
    (K.FORBIDDEN, {}, 0),
    *((K.UNKNOWN_CODE, {"code": code}, 1) for code in (13888, 11094, 19999)),
    (K.UNKNOWN_CODE, {"code": 19999, "when": "before"}, 0),
    (K.ODD_NUMBER, {"field": "amount", "form": "nan"}, 1),
    (K.ODD_NUMBER, {"field": "amount", "form": "null"}, 1),
]
CLEAR: list[tuple[FaultKind, dict[str, Any], type[VenueError]]] = [
    (K.TOO_MANY_REQUESTS, {}, Throttled),
    (K.TOO_MANY_REQUESTS, {"retry_after": 7}, Throttled),
    (K.CREDITS_EMPTY, {}, Throttled),
    (K.MAINTENANCE, {}, Maintenance),
    (K.TRANSFERS_FROZEN, {}, Maintenance),
    (K.SUSPENDED, {}, VenueAccessDenied),
]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.6)


@pytest.mark.parametrize(("kind", "parameters", "n_done"), UNCLEAR)
def test_without_a_clear_answer_the_outcome_is_unknown_and_the_key_finds_it(
    kind: FaultKind, parameters: dict[str, Any], n_done: int
) -> None:
    """I-06, I-07: one attempt; the same key sent again later is carried out at most once."""

    async def run() -> None:
        async with scene() as s:
            s.inject(kind, endpoint=TRANSFER, times=1, parameters=parameters)
            before = s.balance(MAIN, "BTC")
            with pytest.raises(OutcomeUnknown) as caught:
                await s.adapter.transfers.submit(order(KEY, AMOUNT))
            assert caught.value.was_sent == "maybe"
            assert s.times(KEY) == n_done
            found = await s.adapter.transfers.find(order(KEY, AMOUNT))
            assert (found is not None) == bool(n_done)
            again = await s.adapter.transfers.submit(order(KEY, AMOUNT))
            assert (again.status, again.quantity, s.times(KEY)) == ("done", AMOUNT, 1)
            assert before - s.balance(MAIN, "BTC") == AMOUNT

    asyncio.run(run())


@pytest.mark.parametrize(("kind", "parameters", "error"), CLEAR)
def test_a_clear_refusal_had_no_effect(
    kind: FaultKind, parameters: dict[str, Any], error: type[VenueError]
) -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.client.token("1001")
            endpoint = TRANSFER if kind is not K.SUSPENDED else "*"
            s.inject(kind, endpoint=endpoint, parameters=parameters)
            with pytest.raises(error) as caught:
                await s.adapter.transfers.submit(order(KEY, AMOUNT))
            assert (caught.value.was_sent, s.times(KEY)) == ("no", 0)
            if "retry_after" in parameters:
                assert caught.value.retry_after_seconds == 7
                with pytest.raises(NotSent, match="pause"):
                    await s.adapter.transfers.submit(order(KEY, AMOUNT))

    asyncio.run(run())


def test_a_venue_that_refuses_connections_was_sent_nothing() -> None:
    async def run() -> None:
        async with scene(tick_seconds=0.0) as s:
            await s.adapter.client.token("1001")
            s.inject(K.REFUSE)
            await s.town.tick()
            with pytest.raises(NotSent) as caught:
                await s.adapter.transfers.submit(order(KEY, AMOUNT))
            assert (caught.value.was_sent, s.times(KEY)) == ("no", 0)
            s.town.plan.clear()
            await s.town.tick()
            assert (await s.adapter.transfers.submit(order(KEY, AMOUNT))).status == "done"

    asyncio.run(run())


def test_a_request_that_is_carried_out_after_we_gave_up_is_found_later() -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(K.LATE_COMMIT, endpoint=TRANSFER, times=1, parameters={"seconds": 1.0})
            with pytest.raises(OutcomeUnknown):
                await s.adapter.transfers.submit(order(KEY, AMOUNT))
            assert await s.adapter.transfers.find(order(KEY, AMOUNT)) is None
            await asyncio.sleep(0.8)
            found = await s.adapter.transfers.find(order(KEY, AMOUNT))
            assert found is not None
            assert (found.is_debited, found.is_credited, s.times(KEY)) == (True, True, 1)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"quantity": Decimal(5000)}, "funds"),
        ({"quantity": Decimal("0.123456789")}, "other"),
        ({"destination": "sim/9", "address": "bc1-unlisted", "source": MARGIN_A}, "address"),
    ],
)
def test_a_refusal_for_good_says_why(fields: dict[str, Any], cause: str) -> None:
    async def run() -> None:
        async with scene() as s:
            s.venue.rails.allowed["1002"] = {"bc1-listed"}
            with pytest.raises(VenueRejected) as caught:
                await s.adapter.transfers.submit(order(KEY, **{"quantity": AMOUNT, **fields}))
            assert (caught.value.cause, caught.value.was_sent, s.times(KEY)) == (cause, "no", 0)

    asyncio.run(run())


def test_a_repeated_key_that_the_venue_refuses_is_said_to_be_one() -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.transfers.submit(order(KEY, AMOUNT))
            s.inject(K.DUPLICATE_KEY_REJECTED)
            with pytest.raises(VenueRejected) as caught:
                await s.adapter.transfers.submit(order(KEY, AMOUNT))
            assert (caught.value.cause, s.times(KEY)) == ("duplicate_key", 1)

    asyncio.run(run())


def test_a_debit_without_a_credit_is_not_called_credited() -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(K.CREDIT_MISSING, account="1002")
            await s.adapter.transfers.submit(order(KEY, AMOUNT))
            found = await s.adapter.transfers.find(order(KEY, AMOUNT))
            assert found is not None
            assert (found.is_debited, found.is_credited) == (True, None)

    asyncio.run(run())


def test_twins_are_told_apart_by_their_keys() -> None:
    async def run() -> None:
        async with scene() as s:
            s.inject(K.CREDIT_MISSING, account="1002", times=1)
            other = KEY[::-1]
            for key in (KEY, other):
                await s.adapter.transfers.submit(order(key, AMOUNT))
            first = await s.adapter.transfers.find(order(KEY, AMOUNT))
            second = await s.adapter.transfers.find(order(other, AMOUNT))
            assert first is not None and second is not None
            assert first.venue_transfer_id != second.venue_transfer_id
            # One receipt for two transfers of one amount proves neither.
            assert first.is_credited is None

    asyncio.run(run())


@pytest.mark.parametrize("n_others", [0, 2, 150])
def test_a_list_that_leaves_entries_out_is_no_not_found(n_others: int) -> None:
    async def run() -> None:
        async with scene() as s:
            s.adapter.client.http.limiter = http.RequestLimiter(100_000, 1.0)
            for number in range(n_others):
                await s.adapter.transfers.submit(order(f"{number:032d}", Decimal("0.01")))
            await s.adapter.transfers.submit(order(KEY, AMOUNT))
            s.inject(K.PARTIAL_PAGE, endpoint="private/get_transfers", times=1)
            with pytest.raises(VenueUnavailable, match="entries could be read"):
                await s.adapter.transfers.find(order(KEY, AMOUNT))
            found = await s.adapter.transfers.find(order(KEY, AMOUNT))
            assert found is not None and found.is_credited

    asyncio.run(run())


def test_a_list_that_is_behind_finds_nothing_and_proves_nothing() -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.transfers.submit(order(KEY, AMOUNT))
            s.inject(K.LISTING_STALE, endpoint="private/get_transfers", times=1)
            assert await s.adapter.transfers.find(order(KEY, AMOUNT)) is None
            assert s.adapter.transfers.guarantees(order(KEY, AMOUNT)).quiescence.total_seconds() > 5
            assert await s.adapter.transfers.find(order(KEY, AMOUNT)) is not None

    asyncio.run(run())


def test_a_withdrawal_is_debited_at_once_and_done_when_the_chain_has_it() -> None:
    async def run() -> None:
        async with scene(tick_seconds=0.0, speed=0.0) as s:
            target = s.venue.rails.deposit_address(s.venue.book.accounts["1003"], "BTC")
            leaving = order(KEY, Decimal(1), destination="custody/v", address=target.address)
            s.inject(K.WITHDRAWALS_PENDING, times=1)
            sent = await s.adapter.transfers.submit(leaving)
            assert (sent.status, sent.is_debited, sent.fee) == ("pending", None, Decimal("0.0001"))
            assert s.balance(MAIN, "BTC") == 49
            for _ in range(3):
                await s.town.step(1.0)
            found = await s.adapter.transfers.find(leaving)
            assert found is not None
            assert (found.status, found.is_debited, found.is_credited) == ("done", True, None)
            assert s.balance("deribit/1003", "BTC") == Decimal("8.9999")
            assert s.times(KEY) == 1

    asyncio.run(run())


def test_fees_of_a_withdrawal_are_within_what_was_promised() -> None:
    async def run() -> None:
        async with scene() as s:
            leaving = order(KEY, Decimal(1), destination="custody/v", address="bc1")
            await s.adapter.transfers.load_fees()
            promised = s.adapter.transfers.guarantees(leaving)
            sent = await s.adapter.transfers.submit(leaving)
            assert 0 < sent.fee <= promised.fee_max < promised.amount_min

    asyncio.run(run())


def reduction(quantity: int) -> ReduceOrder:
    return ReduceOrder(
        key=KEY, account_id=MARGIN_A, instrument_id=PERPETUAL, side="sell",
        quantity=Decimal(quantity),
    )  # fmt: skip


def position(s: Scene) -> Decimal:
    return s.venue.book.accounts["1002"].positions["BTC-PERPETUAL"].quantity


def test_no_transport_replays_an_order_whose_connection_drops() -> None:
    """I-06: the trap of GET; an order is carried out once although its connection dropped."""

    async def run() -> None:
        async with scene() as s:
            await s.adapter.accounts.snapshot(MARGIN_A)
            s.inject(K.RESET_AFTER, endpoint="private/sell", times=1)
            before = position(s)
            with pytest.raises(OutcomeUnknown):
                await s.adapter.actions.reduce(reduction(100))
            assert (before - position(s), s.times(KEY)) == (100, 1)
            found = await s.adapter.actions.find_order(MARGIN_A, KEY)
            assert found is not None
            assert (found.status, found.filled_quantity) == ("filled", 100)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (K.SETTLEMENT, Maintenance),
        (K.CANCEL_ONLY, Maintenance),
        (K.REDUCE_ONLY_REJECTED, VenueRejected),
        (K.INSTRUMENT_GONE, VenueRejected),
        (K.KEY_REVOKED, VenueAccessDenied),
    ],
)
def test_an_order_that_is_refused_leaves_the_position(
    kind: FaultKind, error: type[VenueError]
) -> None:
    async def run() -> None:
        async with scene() as s:
            await s.adapter.accounts.snapshot(MARGIN_A)
            s.inject(kind)
            before = position(s)
            with pytest.raises(error) as caught:
                await s.adapter.actions.reduce(reduction(100))
            assert (caught.value.was_sent, position(s)) == ("no", before)

    asyncio.run(run())


def test_an_order_that_waits_in_the_engine_is_open_until_it_fills() -> None:
    async def run() -> None:
        async with scene(speed=0.0, tick_seconds=0.0) as s:
            s.inject(K.SLOW_MATCHING, parameters={"seconds": 60})
            sent = await s.adapter.actions.reduce(reduction(100))
            assert (sent.status, sent.filled_quantity, sent.average_price) == ("open", 0, None)
            snapshot = await s.adapter.accounts.snapshot(MARGIN_A)
            assert snapshot.orders[0].client_order_id == KEY
            await s.town.step(61.0)
            found = await s.adapter.actions.find_order(MARGIN_A, KEY)
            assert found is not None and found.status == "filled"

    asyncio.run(run())


def test_a_reduction_after_a_liquidation_never_turns_the_position() -> None:
    async def run() -> None:
        async with scene() as s:
            from infra.simulator.venues.core.trading import liquidate

            liquidate(s.venue.book, s.venue.book.accounts["1002"], "BTC-PERPETUAL", Decimal("0.9"))
            done = await s.adapter.actions.reduce(reduction(12_000))
            assert (done.filled_quantity, position(s)) == (1200, 0)

    asyncio.run(run())


def test_open_orders_are_cancelled_and_counted() -> None:
    async def run() -> None:
        async with scene() as s:
            resting = OrderRequest(
                symbol="BTC-PERPETUAL", side="sell", quantity=Decimal(5), key=KEY,
                limit_price=Decimal(90000),
            )  # fmt: skip
            assert place(s.venue.book, s.venue.book.accounts["1002"], resting).state == "open"
            assert await s.adapter.actions.cancel_all(MARGIN_A) == 1
            found = await s.adapter.actions.find_order(MARGIN_A, KEY)
            assert found is not None and found.status == "cancelled"

    asyncio.run(run())
