"""What the Binance adapter reads, moves and reduces at a simulated Binance."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from data_contracts.registry import contract
from data_contracts.validation import validate
from engine.errors import Unsupported, VenueRejected
from engine.order_ports import ReduceOrder
from engine.ports import TransferOrder
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.trading import OrderRequest, place
from tests.integration.venues.binance_town import hosted, transfer


def test_instruments_meet_their_contract() -> None:
    async def run() -> None:
        async with hosted() as there:
            frame = await there.adapter.catalog.instruments()
            checked = validate(contract("instruments"), frame)
            assert checked.refusal is None and checked.quarantined.empty
            assert len(checked.accepted) == len(there.venue.book.listings)
            rows = frame.set_index("venue_symbol")
            assert rows.loc["BTCUSDT", "kind"] == "perpetual"
            future = next(name for name in rows.index if name.startswith("BTCUSDT_"))
            assert rows.loc[future, "kind"] == "future"
            assert str(rows.loc[future, "expiry_utc"].tz) == "UTC"

    asyncio.run(run())


def test_marks_come_exact_and_unknown_instruments_are_absent() -> None:
    async def run() -> None:
        async with hosted() as there:
            marks = await there.adapter.market.marks(["binance:ETHUSDT", "binance:NOSUCH"])
            assert [mark.instrument_id for mark in marks] == ["binance:ETHUSDT"]
            assert marks[0].mark_price == there.venue.book.quote("ETHUSDT").mark_price
            assert marks[0].reading.venue_time is not None
            assert marks[0].funding_rate == Decimal("0.0001")

    asyncio.run(run())


def test_a_snapshot_equals_the_venues_own_book() -> None:
    async def run() -> None:
        async with hosted() as there:
            book = there.venue.book
            account = book.account("alpha")
            resting = OrderRequest(
                symbol="BTCUSDT",
                side="sell",
                quantity=Decimal("0.5"),
                limit_price=Decimal(90_000),
                is_reduce_only=True,
                key="resting",
            )
            place(book, account, resting)
            book.adjust(account, "USDT", Decimal("0.12345678"), "deposit")
            held = await there.adapter.accounts.snapshot("alpha")
            positions = {one.instrument_id: one.quantity for one in held.positions}
            assert positions == {
                f"binance:{one.symbol}": one.quantity for one in account.open_positions()
            }
            balances = {one.asset: one.quantity for one in held.balances}
            assert balances == {asset: account.balance(asset) for asset in ("USDC", "USDT")}
            (order,) = held.orders
            assert order.is_reduce_only and order.side == "sell"
            assert (order.client_order_id, order.limit_price) == ("resting", Decimal(90_000))
            buckets = {one.bucket: one for one in held.margins}
            for bucket in book.margins(account):
                told = buckets[bucket.bucket]
                # The mark may have moved by a step between the two readings.
                assert told.maintenance_margin == pytest.approx(
                    bucket.maintenance_margin, rel=Decimal("0.01")
                )
                assert told.equity == pytest.approx(bucket.equity, rel=Decimal("0.01"))

    asyncio.run(run())


def test_history_comes_once_each_and_goes_on_from_its_watermark() -> None:
    async def run() -> None:
        async with hosted() as there:
            accounts = there.adapter.accounts
            first = await accounts.history("alpha")
            again = await accounts.history("alpha", first.reading.watermark)
            assert len(first.lines) == len(there.venue.book.account("alpha").lines)
            assert again.lines == () and again.next_cursor == ""
            await there.adapter.transfers.submit(transfer())
            later = await accounts.history("alpha", again.reading.watermark)
            assert [line.change for line in later.lines] == [transfer().quantity]
            assert later.lines[0].kind == "TRANSFER"

    asyncio.run(run())


def test_history_of_several_pages_misses_nothing_within_one_millisecond() -> None:
    async def run() -> None:
        async with hosted() as there:
            book = there.venue.book
            account = book.account("beta")
            for number in range(2500):
                book.adjust(account, "USDT", Decimal(number + 1) / 100, "funding")
            seen: list[str] = []
            cursor = ""
            for _ in range(10):
                page = await there.adapter.accounts.history("beta", cursor)
                seen += [line.line_id for line in page.lines]
                cursor = page.next_cursor
                if not cursor:
                    break
            assert len(seen) == len(set(seen)) == len(account.lines)

    asyncio.run(run())


def test_transfers_without_the_masters_key_promise_nothing() -> None:
    async def run() -> None:
        async with hosted(has_master=False) as there:
            gateway = there.adapter.transfers
            order = TransferOrder(
                key="a" * 32,
                source="binance/main-spot",
                destination="binance/main",
                asset="USDT",
                quantity=Decimal(10),
            )
            promised = gateway.guarantees(order)
            assert not promised.is_keyed and not promised.has_lookup
            before = there.venue.book.account("main").balance("USDT")
            report = await gateway.submit(order)
            assert report.status == "done" and report.is_debited
            assert there.venue.book.account("main").balance("USDT") == before + 10
            with pytest.raises(Unsupported):
                await gateway.find(order)
            with pytest.raises(Unsupported):
                await gateway.submit(transfer())

    asyncio.run(run())


def test_a_withdrawal_is_followed_from_approval_to_the_chain() -> None:
    async def run() -> None:
        async with hosted() as there:
            book, rails = there.venue.book, there.venue.rails
            address = rails.deposit_address(book.account("beta"), "BTC").address
            order = TransferOrder(
                key="d" * 32,
                source="binance/main-spot",
                destination="custody/vault",
                asset="BTC",
                quantity=Decimal("1.5"),
                address=address,
                network="BTC",
            )
            promised = there.adapter.transfers.guarantees(order)
            assert not promised.is_keyed and promised.has_lookup and promised.needs_whitelist
            there.inject(Fault(kind=FaultKind.APPROVAL_PENDING, venue="binance", times=1))
            made = await there.adapter.transfers.submit(order)
            assert made.status == "pending"
            rails.approve(made.venue_transfer_id)
            await there.town.step(1)
            waiting = await there.adapter.transfers.find(order)
            await there.town.step(60)
            await there.town.step(1)
            done = await there.adapter.transfers.find(order)
            assert waiting is not None and (waiting.status, waiting.is_debited) == (
                "pending",
                True,
            )
            assert done is not None and done.status == "done" and done.is_credited is None
            assert (done.quantity, done.fee) == (Decimal("1.5"), Decimal("0.00002"))
            assert book.account("beta").balance("BTC") == Decimal("1.49998")

    asyncio.run(run())


def test_movements_of_a_spot_wallet_come_once_each() -> None:
    async def run() -> None:
        async with hosted() as there:
            book, rails = there.venue.book, there.venue.rails
            history = there.adapter.accounts.history
            opening = await history("main-spot")
            assert opening.lines == ()
            own = rails.deposit_address(book.account("main"), "BTC", wallet="spot").address
            there.town.chain.send(
                "custody/vault", "BTC", Decimal("0.75"), own, network="BTC", key="in"
            )
            out = TransferOrder(
                key="d" * 32,
                source="binance/main-spot",
                destination="custody/vault",
                asset="BTC",
                quantity=Decimal("1.5"),
                address="elsewhere",
                network="BTC",
            )
            await there.adapter.transfers.submit(out)
            await there.town.step(60)
            page = await history("main-spot", opening.reading.watermark)
            found = {line.kind: (line.change, line.reference) for line in page.lines}
            assert found["WITHDRAW"] == (-out.quantity, out.key)
            assert found["DEPOSIT"][0] == Decimal("0.75")
            again = await history("main-spot", page.reading.watermark)
            assert again.lines == () and again.reading.is_complete

    asyncio.run(run())


def test_a_withdrawal_to_an_address_off_the_list_is_refused() -> None:
    async def run() -> None:
        async with hosted() as there:
            there.venue.rails.allowed["main"] = {"known"}
            order = TransferOrder(
                key="d" * 32,
                source="binance/main-spot",
                destination="custody/vault",
                asset="BTC",
                quantity=Decimal(1),
                address="unknown",
                network="BTC",
            )
            with pytest.raises(VenueRejected) as caught:
                await there.adapter.transfers.submit(order)
            assert caught.value.cause == "address" and there.executed("d" * 32) == 0

    asyncio.run(run())


def test_routes_that_do_not_exist_are_unsupported_before_anything_is_sent() -> None:
    async def run() -> None:
        async with hosted() as there:
            elsewhere = TransferOrder(
                key="d" * 32,
                source="binance/alpha",
                destination="okx/main",
                asset="BTC",
                quantity=Decimal(1),
                network="BTC",
            )
            with pytest.raises(Unsupported):
                there.adapter.transfers.guarantees(elsewhere)
            with pytest.raises(Unsupported):
                await there.adapter.transfers.submit(elsewhere)
            with pytest.raises(Unsupported):
                await there.adapter.what_if.simulate("alpha", {})
            with pytest.raises(Unsupported):
                await there.adapter.accounts.snapshot("nobody")

    asyncio.run(run())


def test_reductions_shrink_a_position_once_and_are_found_by_their_key() -> None:
    async def run() -> None:
        async with hosted() as there:
            actions, account = there.adapter.actions, there.venue.book.account("alpha")
            held = account.positions["BTCUSDT"].quantity
            order = ReduceOrder(
                key="b" * 32,
                account_id="alpha",
                instrument_id="binance:BTCUSDT",
                side="sell",
                quantity=Decimal("2.5"),
            )
            done = await actions.reduce(order)
            assert done.status == "filled" and done.filled_quantity == Decimal("2.5")
            assert account.positions["BTCUSDT"].quantity == held - Decimal("2.5")
            with pytest.raises(VenueRejected) as caught:
                await actions.reduce(order)
            assert caught.value.cause == "duplicate_key"
            assert there.executed("b" * 32) == 1

    asyncio.run(run())


def test_an_order_of_another_process_is_found_by_its_key() -> None:
    async def run() -> None:
        async with hosted() as there:
            order = ReduceOrder(
                key="c" * 32,
                account_id="alpha",
                instrument_id="binance:SOLUSDC",
                side="sell",
                quantity=Decimal(400),
            )
            await there.adapter.actions.reduce(order)
            async with hosted() as other:
                assert await other.adapter.actions.find_order("alpha", "c" * 32) is None
            # The process that sent it is gone; the position is closed.
            there.adapter.actions._sent.clear()
            found = await there.adapter.actions.find_order("alpha", "c" * 32)
            assert found is not None and found.status == "filled"

    asyncio.run(run())


def test_an_order_that_would_increase_is_refused_as_that() -> None:
    async def run() -> None:
        async with hosted() as there:
            order = ReduceOrder(
                key="b" * 32,
                account_id="alpha",
                instrument_id="binance:BTCUSDT",
                side="buy",
                quantity=Decimal(1),
            )
            with pytest.raises(VenueRejected) as caught:
                await there.adapter.actions.reduce(order)
            assert caught.value.cause == "reduce_only" and caught.value.was_sent == "no"

    asyncio.run(run())


def test_cancel_all_leaves_no_order_in_any_contract() -> None:
    async def run() -> None:
        async with hosted() as there:
            book = there.venue.book
            account = book.account("alpha")
            for symbol, limit in (("BTCUSDT", 90_000), ("BTCUSDT", 91_000), ("SOLUSDC", 500)):
                resting = OrderRequest(
                    symbol=symbol,
                    side="sell",
                    quantity=Decimal(1),
                    limit_price=Decimal(limit),
                )
                place(book, account, resting)
            assert await there.adapter.actions.cancel_all("alpha") == 3
            assert account.open_orders() == []

    asyncio.run(run())


def test_the_venues_count_of_weight_is_known() -> None:
    async def run() -> None:
        async with hosted() as there:
            await there.adapter.accounts.snapshot("alpha")
            client = there.adapter._clients["alpha"]
            assert client._futures.limiter.venue_count >= 45

    asyncio.run(run())


def test_a_deposit_is_found_by_its_hash_once_it_is_booked() -> None:
    async def run() -> None:
        async with hosted() as there:
            deposits, account = there.adapter.deposits, there.venue.book.account("main")
            own = there.venue.rails.deposit_address(account, "BTC", wallet="spot").address
            sent = there.town.chain.send(
                "custody/vault", "BTC", Decimal("0.12345678"), own, network="BTC", key="in"
            )
            assert await deposits.received("binance/main-spot", "BTC", sent.tx_hash) is None
            await there.town.step(60)
            found = await deposits.received("binance/main-spot", "BTC", sent.tx_hash)
            assert found == Decimal("0.12345678")
            assert await deposits.received("binance/main-spot", "ETH", sent.tx_hash) is None

    asyncio.run(run())
