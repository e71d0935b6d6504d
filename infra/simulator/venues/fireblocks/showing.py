"""Transactions and vaults as the API and webhooks show them: amounts are texts."""

from __future__ import annotations

from decimal import Decimal

from infra.simulator.venues.core.accounts import Account
from infra.simulator.venues.fireblocks.assets import ASSETS, Asset
from infra.simulator.venues.fireblocks.transactions import Transaction, Transactions

_PUBLIC_FROM = ("CONFIRMING", "COMPLETED", "FAILED")


def figure(quantity: Decimal) -> str:
    """Return a figure without exponent and needless zeros."""
    text = format(quantity, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def transaction(one: Transaction, vault_names: dict[str, str]) -> dict[str, object]:
    """Return a transaction as ``GET /v1/transactions/{id}`` does."""
    wanted = one.wanted
    kind, peer_id, peer_name = wanted.peer
    vault = {"type": "VAULT_ACCOUNT", "id": wanted.vault_id,
             "name": vault_names.get(wanted.vault_id, ""), "subType": ""}  # fmt: skip
    peer: dict[str, object] = {"type": kind, "name": peer_name, "subType": ""}
    if peer_id:
        peer["id"] = peer_id
    unknown = {"type": "UNKNOWN", "name": "External", "subType": ""}
    is_public = bool(one.tx_hash) and one.status in _PUBLIC_FROM
    quantity = figure(wanted.quantity)
    told: dict[str, object] = {
        "id": one.tx_id, "status": one.status, "subStatus": one.sub_status,
        "txHash": one.tx_hash, "operation": "TRANSFER", "note": wanted.note,
        "assetId": wanted.asset.asset_id,
        "source": unknown if one.is_incoming else vault,
        "destination": vault if one.is_incoming else peer,
        "destinationAddress": wanted.address if is_public else "",
        "destinationTag": wanted.tag,
        "amountInfo": {"amount": quantity, "requestedAmount": quantity,
                       "netAmount": figure(one.net)},
        "treatAsGrossAmount": wanted.is_gross,
        "feeInfo": {"networkFee": figure(one.fee)} if is_public else {},
        "feeCurrency": wanted.asset.native,
        "createdAt": one.created_ms, "lastUpdated": one.updated_ms, "createdBy": "api",
        "numOfConfirmations": 1 if one.status == "COMPLETED" else 0,
    }  # fmt: skip
    return {**told, "externalTxId": wanted.external_id} if wanted.external_id else told


def vault(account: Account, transactions: Transactions) -> dict[str, object]:
    """Return a vault account with its assets."""
    held = account.assets()
    assets = [vault_asset(account, one, transactions) for one in ASSETS.values()
              if one.asset in held]  # fmt: skip
    return {"id": account.account_id, "name": account.name, "hiddenOnUI": False,
            "autoFuel": False, "assets": assets}  # fmt: skip


def vault_asset(account: Account, one: Asset, transactions: Transactions) -> dict[str, object]:
    """Return what a vault holds of an asset; locked is in transactions not yet on the chain."""
    total, locked = account.balance(one.asset), transactions.locked(account, one.asset)
    return {
        "id": one.asset_id, "total": figure(total), "balance": figure(total),
        "available": figure(max(total - locked, Decimal(0))), "pending": "0", "frozen": "0",
        "lockedAmount": figure(locked),
    }  # fmt: skip
