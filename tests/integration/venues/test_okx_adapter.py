"""What the OKX adapter reads, moves and reduces at a simulated OKX."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from data_contracts.registry import contract
from data_contracts.validation import validate
from engine.errors import BadPayload, ParameterError, Unsupported, VenueRejected
from engine.order_ports import ReduceOrder
from engine.ports import TransferOrder
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.trading import OrderRequest, place
from infra.venues.okx import OkxHosts
from tests.integration.venues.okx_town import KEY, hosted, transfer


def test_instruments_meet_their_contract() -> None:
    async def run() -> None:
        async with hosted() as there:
            frame = await there.adapter.catalog.instruments()
            checked = validate(contract("instruments"), frame)
            assert checked.refusal is None and checked.quarantined.empty
            rows = frame.set_index("venue_symbol")
            listed = there.venue.book.listings
            assert set(rows.index) == set(listed)
            for symbol, listing in listed.items():
                row = rows.loc[symbol]
                assert (row["kind"], row["payoff"]) == (listing.kind, listing.payoff)
                assert row["contract_multiplier"] == float(listing.contract_multiplier)
                assert row["settlement_asset"] == listing.settlement_asset

    asyncio.run(run())


def test_marks_come_exact_with_index_funding_and_volatility() -> None:
    async def run() -> None:
        async with hosted() as there:
            book = there.venue.book
            option = next(one.symbol for one in book.listings.values() if one.kind == "option")
            wanted = ["okx:BTC-USD-SWAP", f"okx:{option}", "okx:BTC-USDT", "okx:NO-SUCH-SWAP"]
            swap, call, spot = await there.adapter.market.marks(wanted)
            assert swap.mark_price == pytest.approx(
                book.quote("BTC-USD-SWAP").mark_price, rel=Decimal("0.001")
            )
            assert swap.funding_rate == Decimal("0.0001") and swap.mark_iv is None
            assert swap.index_price is not None and swap.reading.venue_time is not None
            assert call.mark_iv == book.quote(option).mark_iv and call.forward_price is not None
            assert spot.funding_rate is None and spot.index_price is not None

    asyncio.run(run())


@pytest.mark.parametrize(("account_id", "n_buckets"), [("alpha", 1), ("beta", 3)])
def test_a_snapshot_equals_the_venues_own_book(account_id: str, n_buckets: int) -> None:
    async def run() -> None:
        async with hosted() as there:
            book = there.venue.book
            account = book.account(account_id)
            book.adjust(account, "BTC", Decimal("0.123456789012345678"), "deposit")
            resting = OrderRequest(
                symbol="BTC-USD-SWAP", side="buy", quantity=Decimal(3),
                limit_price=Decimal(20_000), key="resting",
            )  # fmt: skip
            place(book, account, resting)
            held = await there.adapter.accounts.snapshot(account_id)
            assert {one.instrument_id: one.quantity for one in held.positions} == {
                f"okx:{one.symbol}": one.quantity for one in account.open_positions()
            }
            assert {one.asset: one.quantity for one in held.balances} == {
                asset: account.balance(asset) for asset in account.assets()
            }
            assert [one.client_order_id for one in held.orders] == ["resting"]
            assert len(held.margins) == n_buckets
            if n_buckets > 1:
                told = {one.bucket: one for one in held.margins}
                for bucket in book.margins(account):
                    assert told[bucket.bucket].maintenance_margin == pytest.approx(
                        bucket.maintenance_margin, rel=Decimal("0.01")
                    )
            else:
                assert held.margins[0].currency == "USD"

    asyncio.run(run())


def test_history_comes_once_each_and_goes_on_from_its_watermark() -> None:
    async def run() -> None:
        async with hosted() as there:
            accounts, book = there.adapter.accounts, there.venue.book
            account = book.account("alpha")
            for number in range(250):
                book.adjust(account, "USDT", Decimal(number + 1) / 100, "funding")
            first = await accounts.history("alpha")
            assert [line.line_id for line in first.lines] == [
                str(line.line_id) for line in account.lines
            ]
            assert first.lines[-1].balance_after == account.balance("USDT")
            again = await accounts.history("alpha", first.reading.watermark)
            assert again.lines == ()
            await there.adapter.transfers.submit(transfer())
            later = await accounts.history("alpha", again.reading.watermark)
            assert [line.change for line in later.lines] == [transfer().quantity]
            paid = await accounts.history("main-funding")
            assert paid.lines[-1].reference == KEY
            assert paid.lines[-1].change == -transfer().quantity

    asyncio.run(run())


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("okx/main-funding", "okx/main"),
        ("okx/main", "okx/main-funding"),
        ("okx/main-funding", "okx/alpha"),
        ("okx/alpha", "okx/main-funding"),
        ("okx/alpha", "okx/beta"),
    ],
)
def test_every_route_moves_once_and_is_followed_to_its_credit(
    source: str, destination: str
) -> None:
    async def run() -> None:
        async with hosted() as there:
            order = transfer("1.00000001", source=source, destination=destination)
            before = await there.adapter.transfers.balance(destination, "USDT")
            await there.adapter.transfers.submit(order)
            found = await there.adapter.transfers.find(order)
            after = await there.adapter.transfers.balance(destination, "USDT")
            assert found is not None and found.status == "credited" and found.is_debited
            assert after.quantity - before.quantity == order.quantity
            assert there.executed() == 1

    asyncio.run(run())


def test_a_client_id_counts_as_unkeyed_until_it_is_proven() -> None:
    async def run() -> None:
        async with hosted() as there:
            promised = there.adapter.transfers.guarantees(transfer())
            assert not promised.is_keyed and promised.has_lookup
            assert promised.quiescence.total_seconds() > 60
        async with hosted(is_client_id_once=True) as there:
            promised = there.adapter.transfers.guarantees(transfer())
            assert promised.is_keyed and promised.duplicate_answer == "rejected"

    asyncio.run(run())


def test_a_withdrawal_debits_the_quantity_and_delivers_it_less_the_fee() -> None:
    async def run() -> None:
        async with hosted() as there:
            book, rails = there.venue.book, there.venue.rails
            address = rails.deposit_address(book.account("beta"), "BTC").address
            order = TransferOrder(
                key="d" * 32, source="okx/main-funding", destination="custody/vault", asset="BTC",
                quantity=Decimal("1.5"), address=address, network="BTC-Bitcoin",
            )  # fmt: skip
            before = book.account("main").balance("BTC", "funding")
            made = await there.adapter.transfers.submit(order)
            assert (made.status, made.fee) == ("pending", Decimal("0.0001"))
            assert before - book.account("main").balance("BTC", "funding") == order.quantity
            await there.town.step(60)
            await there.town.step(1)
            done = await there.adapter.transfers.find(order)
            assert done is not None and done.status == "done" and done.is_credited is None
            assert (done.quantity, done.fee) == (order.quantity, Decimal("0.0001"))
            assert book.account("beta").balance("BTC") == Decimal(3) + Decimal("1.4999")

    asyncio.run(run())


def test_routes_that_do_not_exist_are_unsupported_before_anything_is_sent() -> None:
    async def run() -> None:
        async with hosted() as there:
            away = TransferOrder(
                key="d" * 32, source="okx/alpha", destination="binance/main", asset="BTC",
                quantity=Decimal(1), network="BTC-Bitcoin",
            )  # fmt: skip
            for order in (away, transfer(source="okx/main", destination="okx/main")):
                with pytest.raises(Unsupported):
                    there.adapter.transfers.guarantees(order)
                with pytest.raises(Unsupported):
                    await there.adapter.transfers.submit(order)
            with pytest.raises(Unsupported):
                await there.adapter.accounts.snapshot("nobody")

    asyncio.run(run())


def test_reductions_shrink_a_position_once_and_are_found_by_their_key() -> None:
    async def run() -> None:
        async with hosted() as there:
            actions, account = there.adapter.actions, there.venue.book.account("alpha")
            order = ReduceOrder(
                key="b" * 32, account_id="alpha", instrument_id="okx:BTC-USDT-SWAP", side="sell",
                quantity=Decimal("12.5"),
            )  # fmt: skip
            done = await actions.reduce(order)
            assert done.status == "filled" and done.filled_quantity == Decimal("12.5")
            assert account.positions["BTC-USDT-SWAP"].quantity == Decimal("837.5")
            with pytest.raises(VenueRejected) as caught:
                await actions.reduce(order)
            assert caught.value.cause == "duplicate_key" and there.executed("b" * 32) == 1
            # As another process would find it.
            actions._sent.clear()
            found = await actions.find_order("alpha", "b" * 32)
            assert found is not None and found.average_price == done.average_price
            assert await actions.find_order("alpha", "f" * 32) is None

    asyncio.run(run())


def test_an_order_that_would_increase_is_refused_as_that() -> None:
    async def run() -> None:
        async with hosted() as there:
            order = ReduceOrder(
                key="b" * 32, account_id="alpha", instrument_id="okx:BTC-USDT-SWAP", side="buy",
                quantity=Decimal(1),
            )  # fmt: skip
            with pytest.raises(VenueRejected) as caught:
                await there.adapter.actions.reduce(order)
            assert caught.value.cause == "reduce_only" and caught.value.was_sent == "no"

    asyncio.run(run())


def test_cancel_all_goes_beyond_one_batch() -> None:
    async def run() -> None:
        async with hosted() as there:
            book = there.venue.book
            account = book.account("alpha")
            for number in range(45):
                resting = OrderRequest(
                    symbol="ETH-USDT-SWAP", side="buy", quantity=Decimal(1),
                    limit_price=Decimal(1000 + number),
                )  # fmt: skip
                place(book, account, resting)
            assert await there.adapter.actions.cancel_all("alpha") == 45
            assert account.open_orders() == []

    asyncio.run(run())


def test_what_if_asks_the_venue_and_changes_nothing() -> None:
    async def run() -> None:
        async with hosted() as there:
            simulate = there.adapter.what_if.simulate
            account = there.venue.book.account("alpha")
            (now,) = await simulate("alpha", {})
            (less,) = await simulate("alpha", {"okx:BTC-USDT-SWAP": Decimal(-850)})
            (more,) = await simulate("alpha", {"okx:SOL-USDT-SWAP": Decimal(5000)})
            assert less.maintenance_margin < now.maintenance_margin < more.maintenance_margin
            assert account.positions["BTC-USDT-SWAP"].quantity == 850
            assert "SOL-USDT-SWAP" not in account.positions
            with pytest.raises(VenueRejected):
                await simulate("alpha", {"okx:NO-SUCH-SWAP": Decimal(1)})

    asyncio.run(run())


def test_an_address_of_another_network_is_refused_at_once() -> None:
    with pytest.raises(ParameterError):
        OkxHosts(rest="https://www.okx.com", stream="wss://ws.okx.com/ws/v5")


def test_a_contract_whose_size_changes_is_refused() -> None:
    """F39."""

    async def run() -> None:
        async with hosted() as there:
            await there.adapter.catalog.instruments()
            there.inject(
                Fault(kind=FaultKind.UNIT_CHANGE, venue="okx", parameters={"factor": "10"})
            )
            with pytest.raises(BadPayload, match="a contract was"):
                await there.adapter.catalog.instruments()

    asyncio.run(run())


def test_a_deposit_is_found_by_its_hash_once_it_is_booked() -> None:
    async def run() -> None:
        async with hosted() as there:
            deposits, account = there.adapter.deposits, there.venue.book.account("main")
            own = there.venue.rails.deposit_address(account, "BTC", wallet="funding").address
            sent = there.town.chain.send(
                "custody/vault", "BTC", Decimal("0.12345678"), own, network="BTC", key="in"
            )
            assert await deposits.received("okx/main-funding", "BTC", sent.tx_hash) is None
            await there.town.step(60)
            found = await deposits.received("okx/main-funding", "BTC", sent.tx_hash)
            assert found == Decimal("0.12345678")
            assert await deposits.received("okx/main-funding", "ETH", sent.tx_hash) is None

    asyncio.run(run())
