"""The custodian's own Python package, unmodified, against the simulated one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from infra.simulator.venues.core.faults import FaultKind
from tests.integration.custody.fireblocks_town import KEY, TRANSACTIONS, Scene, scene

fireblocks = pytest.importorskip("fireblocks.client")
Result = TypeVar("Result")


def opened(s: Scene) -> Any:
    from fireblocks.client_configuration import ClientConfiguration

    configuration = ClientConfiguration(
        api_key=s.venue.api_key,
        secret_key=s.venue.secret_key,
        base_path=f"{s.town.address('fireblocks')}/v1",
    )
    return fireblocks.Fireblocks(configuration)


def with_package(work: Callable[[Any, Scene, Callable[[], None]], Result]) -> Result:
    """Run blocking work against a town that is driven from its own loop by ``complete``."""

    async def run() -> Result:
        async with scene() as s:
            loop = asyncio.get_running_loop()

            def complete() -> None:
                asyncio.run_coroutine_threadsafe(s.complete(), loop).result(10)

            def in_thread() -> Result:
                with opened(s) as client:
                    return work(client, s, complete)

            return await asyncio.to_thread(in_thread)

    return asyncio.run(run())


def request(s: Scene, key: str = KEY, amount: str = "1.5") -> Any:
    from fireblocks.models.destination_transfer_peer_path import DestinationTransferPeerPath
    from fireblocks.models.source_transfer_peer_path import SourceTransferPeerPath
    from fireblocks.models.transaction_request import TransactionRequest
    from fireblocks.models.transaction_request_amount import TransactionRequestAmount

    wallet = next(iter(s.venue.wallets.by_id.values()))
    return TransactionRequest(
        operation="TRANSFER",
        asset_id="BTC",
        external_tx_id=key,
        source=SourceTransferPeerPath(type="VAULT_ACCOUNT", id="0"),
        destination=DestinationTransferPeerPath(type="EXTERNAL_WALLET", id=wallet.wallet_id),
        amount=TransactionRequestAmount(amount),
        treat_as_gross_amount=True,
    )


def test_the_package_lists_vaults_assets_wallets_and_addresses() -> None:
    def work(client: Any, s: Scene, _: Callable[[], None]) -> None:
        page = client.vaults.get_paged_vault_accounts(limit=1).result().data
        assert [one.name for one in page.accounts] == ["Treasury"]
        after = page.paging.after
        rest = client.vaults.get_paged_vault_accounts(limit=1, after=after).result().data
        assert [one.name for one in rest.accounts] == ["Clients"]
        held = client.vaults.get_vault_account_asset("0", "BTC").result().data
        assert (held.total, held.available, held.locked_amount) == ("120", "120", "0")
        assert client.vaults.get_vault_account("1").result().data.name == "Clients"
        listed = client.vaults.get_vault_account_asset_addresses_paginated("0", "BTC").result()
        assert listed.data.addresses[0].address == s.venue.deposit_address("0", "BTC")
        assets = client.blockchains_assets.get_supported_assets().result().data
        assert {one.id for one in assets} >= {"BTC", "ETH", "USDC", "USDT_ERC20"}
        wallets = client.external_wallets.get_external_wallets().result().data
        assert s.address in {asset.address for one in wallets for asset in one.assets}

    with_package(work)


def test_the_package_creates_follows_lists_and_cancels_transactions() -> None:
    def work(client: Any, s: Scene, complete: Callable[[], None]) -> None:
        created = client.transactions.create_transaction(
            transaction_request=request(s), idempotency_key=KEY
        ).result()
        assert created.data.status == "SUBMITTED"
        again = client.transactions.create_transaction(
            transaction_request=request(s), idempotency_key=KEY
        ).result()
        assert again.data.id == created.data.id
        assert s.times() == 1
        complete()
        found = client.transactions.get_transaction(created.data.id).result().data
        assert (found.status, found.external_tx_id) == ("COMPLETED", KEY)
        assert (found.amount_info.amount, found.fee_info.network_fee) == ("1.5", "0.00005")
        other = client.transactions.create_transaction(
            transaction_request=request(s, "f" * 32)
        ).result()
        cancelled = client.transactions.cancel_transaction(other.data.id).result()
        assert cancelled.data.success
        listed = client.transactions.get_transactions(status="CANCELLED").result().data
        assert [one.id for one in listed] == [other.data.id]

    with_package(work)


def test_a_cut_after_the_commit_is_found_by_the_external_id() -> None:
    def work(client: Any, s: Scene, _: Callable[[], None]) -> None:
        s.inject(FaultKind.RESET_AFTER, TRANSACTIONS, times=1)
        pending = client.transactions.create_transaction(
            transaction_request=request(s), idempotency_key=KEY
        )
        with pytest.raises(Exception, match="onnection"):
            pending.result()
        assert s.times() == 1
        found = client.transactions.get_transaction_by_external_id(KEY).result().data
        assert (found.external_tx_id, found.status) == (KEY, "SUBMITTED")

    with_package(work)


def test_the_package_hears_the_codes_of_refusals() -> None:
    from fireblocks.exceptions import BadRequestException, NotFoundException

    def work(client: Any, s: Scene, _: Callable[[], None]) -> None:
        client.transactions.create_transaction(transaction_request=request(s)).result()
        with pytest.raises(BadRequestException, match="externalTxId"):
            client.transactions.create_transaction(transaction_request=request(s)).result()
        with pytest.raises(NotFoundException):
            client.transactions.get_transaction_by_external_id("e" * 32).result()
        s.inject(FaultKind.KEY_SPENT_BY_ERROR, TRANSACTIONS, times=1)
        for message in ("Internal Server Error", "after an internal error"):
            pending = client.transactions.create_transaction(
                transaction_request=request(s, "d" * 32), idempotency_key="d" * 32
            )
            with pytest.raises(Exception, match=message):
                pending.result()
        assert s.times("d" * 32) == 1

    with_package(work)
