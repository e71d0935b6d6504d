"""Answers of Fireblocks, as far as they are read; amounts are texts, and exact."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from infra.venues.payloads import Wire


class Refusal(Wire):
    """An error."""

    code: int
    message: str = ""


class Created(Wire):
    """Answer to a new transaction."""

    id: str
    status: str


class Cancelled(Wire):
    """Answer to a cancellation."""

    success: bool


class Peer(Wire):
    """Source or destination of a transaction."""

    type: str
    id: str = ""


class Amounts(Wire):
    """``amountInfo``."""

    amount: Decimal
    requested_amount: Decimal | None = None
    net_amount: Decimal | None = None


class Fees(Wire):
    """``feeInfo``; empty until the fee is known."""

    network_fee: Decimal | None = None
    service_fee: Decimal | None = None


class Transaction(Wire):
    """A transaction."""

    id: str
    status: str
    asset_id: str
    source: Peer
    destination: Peer
    amount_info: Amounts
    created_at: int
    last_updated: int
    external_tx_id: str = ""
    sub_status: str = ""
    tx_hash: str = ""
    destination_address: str = ""
    destination_tag: str = ""
    treat_as_gross_amount: bool = False
    fee_info: Fees = msgspec.field(default_factory=Fees)
    fee_currency: str = ""


class VaultAsset(Wire):
    """What a vault holds of an asset."""

    id: str
    total: Decimal
    available: Decimal | None = None


class Vault(Wire):
    """A vault account."""

    id: str
    name: str
    assets: list[VaultAsset]


class Paging(Wire):
    """Where the next page begins."""

    after: str = ""


class VaultPage(Wire):
    """A page of vault accounts."""

    accounts: list[Vault]
    paging: Paging = msgspec.field(default_factory=Paging)


class WalletAsset(Wire):
    """An address of a whitelisted wallet; ``activation_time`` in milliseconds."""

    id: str
    status: str
    address: str = ""
    tag: str = ""
    activation_time: str = ""


class ExternalWallet(Wire):
    """A whitelisted wallet."""

    id: str
    name: str
    assets: list[WalletAsset]


class PublishedKey(msgspec.Struct):
    """A key of the JWKS."""

    kty: str
    kid: str
    n: str
    e: str
    alg: str = ""
    use: str = ""


class KeySet(msgspec.Struct):
    """A JWKS."""

    keys: list[PublishedKey]


class Notice(Wire):
    """A webhook of version 2, before its data are read; ``created_at`` in milliseconds."""

    id: str
    event_type: str
    created_at: int
    workspace_id: str = ""
    resource_id: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")
