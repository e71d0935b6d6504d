"""What the simulated Fireblocks answers under ``/v1``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from infra.simulator.venues.core.accounts import Account
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.chain import Chain, ChainTransfer, Registration
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.fireblocks import errors, showing
from infra.simulator.venues.fireblocks.assets import ASSETS, Asset, told
from infra.simulator.venues.fireblocks.errors import ApiError
from infra.simulator.venues.fireblocks.requests import Answer, Call
from infra.simulator.venues.fireblocks.transactions import Transaction, Transactions, Wanted
from infra.simulator.venues.fireblocks.wallets import Wallets
from infra.simulator.venues.fireblocks.webhooks import Subscription, Webhooks

_PAGE: Final = 200


class Endpoints:
    """Vaults, wallets, transactions and webhooks of one workspace."""

    def __init__(
        self,
        book: VenueBook,
        chain: Chain,
        transactions: Transactions,
        wallets: Wallets,
        webhooks: Webhooks,
    ) -> None:
        self._book, self._chain = book, chain
        self._transactions, self._wallets, self._webhooks = transactions, wallets, webhooks

    def routes(self) -> list[tuple[str, str, Answer]]:
        """Return method, path and answer of each endpoint."""
        vaults, wallets = "/v1/vault/accounts", "/v1/external_wallets"
        sent = "/v1/transactions"
        return [
            ("GET", "/v1/supported_assets", lambda _: [told(one) for one in ASSETS.values()]),
            ("GET", f"{vaults}_paged", self._vaults),
            ("POST", vaults, self._open_vault),
            ("GET", f"{vaults}/{{vault}}", self._vault),
            ("GET", f"{vaults}/{{vault}}/{{asset}}", self._vault_asset),
            ("GET", f"{vaults}/{{vault}}/{{asset}}/addresses_paginated", self._addresses),
            ("GET", wallets, self._external_wallets),
            ("POST", wallets, self._open_wallet),
            ("GET", f"{wallets}/{{wallet}}", self._wallet),
            ("POST", f"{wallets}/{{wallet}}/{{asset}}", self._add_address),
            ("POST", sent, self._create),
            ("GET", sent, self._list),
            ("GET", f"{sent}/external_tx_id/{{external}}", self._by_external_id),
            ("GET", f"{sent}/{{id}}", self._by_id),
            ("POST", f"{sent}/{{id}}/cancel", self._cancel),
            ("GET", "/v1/webhooks", self._subscriptions),
            ("POST", "/v1/webhooks", self._subscribe),
        ]

    def deposit_address(self, account: Account, one: Asset) -> Registration:
        """Return the address under which a vault receives an asset."""

        def credit(transfer: ChainTransfer) -> None:
            asset = next((each for each in ASSETS.values() if each.asset == transfer.asset), one)
            self._book.adjust(account, transfer.asset, transfer.quantity, "deposit",
                              reference=transfer.tx_hash)  # fmt: skip
            if transfer.source.partition("/")[0] != self._book.venue:
                # Between two vaults there is one transaction, which names them both.
                self._transactions.received(account, asset, transfer)

        def reverse(transfer: ChainTransfer) -> None:
            self._book.adjust(account, transfer.asset, -transfer.quantity, "deposit_reversed",
                              reference=transfer.tx_hash)  # fmt: skip

        place = f"{self._book.venue}/{account.account_id}"
        return self._chain.register(place, one.networks[0], credit, on_reversal=reverse)

    def show(self, one: Transaction) -> dict[str, object]:
        """Return a transaction as the API and webhooks show it."""
        names = {name: account.name for name, account in self._book.accounts.items()}
        return showing.transaction(one, names)

    def _vaults(self, call: Call) -> object:
        prefix = call.query.get("namePrefix", "")
        after = call.query.get("after", "")
        limit = int(call.query.get("limit", _PAGE))
        found = [one for one in self._book.accounts.values() if one.name.startswith(prefix)]
        if after:
            found = [one for one in found if int(one.account_id) > int(after)]
        page = found[:limit]
        paging = {"after": page[-1].account_id} if len(found) > limit else {}
        shown = [showing.vault(one, self._transactions) for one in page]
        return {"accounts": shown, "paging": paging}

    def _open_vault(self, call: Call) -> object:
        number = str(len(self._book.accounts))
        account = self._book.open_account(number, name=call.text("name"))
        return showing.vault(account, self._transactions)

    def _vault(self, call: Call) -> object:
        return showing.vault(self._account(call.path["vault"]), self._transactions)

    def _vault_asset(self, call: Call) -> object:
        account, one = self._account(call.path["vault"]), _asset(call.path["asset"])
        return showing.vault_asset(account, one, self._transactions)

    def _addresses(self, call: Call) -> object:
        account, one = self._account(call.path["vault"]), _asset(call.path["asset"])
        found = self.deposit_address(account, one)
        shown = {"assetId": one.asset_id, "address": found.address, "tag": found.memo,
                 "description": "", "type": "Permanent", "bip44AddressIndex": 0}  # fmt: skip
        return {"addresses": [shown], "paging": {}}

    def _external_wallets(self, _: Call) -> object:
        return [self._wallets.told(one) for one in self._wallets.by_id.values()]

    def _wallet(self, call: Call) -> object:
        return self._wallets.told(self._wallets.wallet(call.path["wallet"]))

    def _open_wallet(self, call: Call) -> object:
        return self._wallets.told(self._wallets.create(call.text("name")))

    def _add_address(self, call: Call) -> object:
        added = self._wallets.add(call.path["wallet"], call.path["asset"], call.text("address"),
                                  str(call.body.get("tag", "")))  # fmt: skip
        return self._wallets.told_asset(added)

    def _create(self, call: Call) -> object:
        if call.body.get("operation", "TRANSFER") != "TRANSFER":
            raise ApiError(errors.BAD_REQUEST, "only TRANSFER is possible here")
        one = _asset(call.text("assetId"))
        source = _peer(call.body, "source")
        if source.get("type") != "VAULT_ACCOUNT":
            raise ApiError(errors.BAD_REQUEST, "source has to be a vault account")
        account = self._account(str(source.get("id", "")))
        destination = _peer(call.body, "destination")
        peer, address, tag = self._destination(destination, one, account)
        made = self._transactions.create(
            Wanted(
                external_id=str(call.body.get("externalTxId", "")), asset=one,
                quantity=_amount(call.body.get("amount"), one),
                is_gross=bool(call.body.get("treatAsGrossAmount", False)),
                vault_id=account.account_id, peer=peer, address=address, tag=tag,
                note=str(call.body.get("note", "")),
            )
        )  # fmt: skip
        return {"id": made.tx_id, "status": made.status}

    def _destination(
        self, named: dict[str, Any], one: Asset, source: Account
    ) -> tuple[tuple[str, str, str], str, str]:
        kind, peer_id = str(named.get("type", "")), str(named.get("id", ""))
        if kind == "EXTERNAL_WALLET":
            found = self._wallets.require_open(peer_id, one.asset_id)
            name = self._wallets.wallet(peer_id).name
            return (kind, peer_id, name), found.address, found.tag
        if kind == "VAULT_ACCOUNT":
            account = self._account(peer_id)
            if account is source:
                raise ApiError(errors.BAD_REQUEST, "source and destination are the same")
            address = self.deposit_address(account, one).address
            return (kind, peer_id, account.name), address, ""
        # One-time addresses are switched off in this workspace, as they are in a careful one.
        raise ApiError(errors.BAD_DESTINATION, kind)

    def _list(self, call: Call) -> object:
        query = call.query
        is_updated = query.get("orderBy") == "lastUpdated"
        stamped = sorted(
            ((one.updated_ms if is_updated else one.created_ms, number, one)
             for number, one in enumerate(self._transactions.by_id.values())),
            reverse=query.get("sort", "DESC") != "ASC",
        )  # fmt: skip
        after = int(query.get("after", 0))
        found = [
            one
            for stamp, _, one in stamped
            if stamp > after
            and query.get("externalTxId") in (None, one.wanted.external_id)
            and query.get("txHash") in (None, one.tx_hash)
            and query.get("status") in (None, one.status)
            and _is_peer(query, "source", "UNKNOWN" if one.is_incoming else one.wanted.vault_id)
            and _is_peer(query, "dest", _receiver(one))
            and not self._is_hidden(one, "/v1/transactions")
        ]
        return [self.show(one) for one in found[: int(query.get("limit", _PAGE))]]

    def _by_external_id(self, call: Call) -> object:
        found = self._transactions.by_external_id.get(call.path["external"])
        if found is None or self._is_hidden(found, "/v1/transactions/external_tx_id"):
            raise ApiError(errors.NO_TRANSACTION, call.path["external"])
        return self.show(found)

    def _by_id(self, call: Call) -> object:
        return self.show(self._transactions.find(call.path["id"]))

    def _cancel(self, call: Call) -> object:
        self._transactions.cancel(call.path["id"])
        return {"success": True}

    def _subscriptions(self, _: Call) -> object:
        return {"data": [self._shown(one) for one in self._webhooks.subscriptions]}

    def _subscribe(self, call: Call) -> object:
        return self._shown(self._webhooks.subscribe(call.text("url")))

    def _shown(self, one: Subscription) -> dict[str, object]:
        now = self._book.clock.wall_ms()
        events = ["transaction.created", "transaction.status.updated"]
        return {"id": one.webhook_id, "url": one.url, "events": events, "status": "ENABLED",
                "createdAt": now, "updatedAt": now}  # fmt: skip

    def _is_hidden(self, one: Transaction, endpoint: str) -> bool:
        scope = Scope(venue=self._book.venue, account=one.wanted.vault_id, endpoint=endpoint)
        stale = self._book.plan.draw(FaultKind.LISTING_STALE, scope)
        if stale is None:
            return False
        return self._book.clock.wall_ms() - one.created_ms < stale.seconds("seconds", 5.0) * 1000

    def _account(self, vault_id: str) -> Account:
        found = self._book.accounts.get(vault_id)
        if found is None:
            raise ApiError(errors.NO_VAULT, vault_id)
        return found


def workspace_of(seed: int) -> str:
    """Return the workspace of a town."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"fireblocks/{seed}"))


def _asset(asset_id: str) -> Asset:
    found = ASSETS.get(asset_id)
    if found is None:
        raise ApiError(errors.NO_ASSET, asset_id)
    return found


def _receiver(one: Transaction) -> str:
    if one.is_incoming:
        return one.wanted.vault_id
    kind, peer_id, _ = one.wanted.peer
    return peer_id if kind == "VAULT_ACCOUNT" else "UNKNOWN"


def _is_peer(query: Mapping[str, str], side: str, vault_id: str) -> bool:
    """Return whether a side is the vault that was asked for, if one was."""
    return query.get(f"{side}Id") in (None, vault_id)


def _peer(body: Any, name: str) -> dict[str, Any]:
    found = body.get(name)
    if not isinstance(found, dict):
        raise ApiError(errors.BAD_REQUEST, f"{name} is missing")
    return found


def _amount(given: object, one: Asset) -> Decimal:
    try:
        amount = Decimal(str(given))
    except InvalidOperation as error:
        raise ApiError(errors.BAD_REQUEST, "amount is no number") from error
    step = Decimal(1).scaleb(-one.decimals)
    if not amount.is_finite() or amount <= 0 or amount % step:
        raise ApiError(errors.BAD_REQUEST, f"amount needs to be above 0, in steps of {step:f}")
    return amount
