"""Transfers out of Fireblocks' vaults, to other vaults and to whitelisted addresses.

developers.fireblocks.com, "API idempotency", "Create a new transaction": an ``externalTxId`` is
executed at most once, for ever; a repeated ``Idempotency-Key`` gets the first answer for 24 hours,
and a refusal where the first attempt ended in an internal error. Both are our key.

COMPLETED says that the chain has confirmed, not that the destination has booked: that is asked of
the destination's own history, by the hash of the chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from engine.errors import BadPayload, OutcomeUnknown, Unsupported, VenueError
from engine.ports import (
    DepositHistory,
    HeldBalance,
    Reading,
    RouteGuarantees,
    TransferOrder,
    TransferReport,
    TransferStatus,
)
from infra.custody.fireblocks import wire
from infra.custody.fireblocks.assets import CUSTODIAN, CustodyAsset, CustodyAssets
from infra.custody.fireblocks.client import Answered, Call, FireblocksClient
from infra.custody.fireblocks.places import is_here, vault_of
from infra.custody.fireblocks.signing import LIFE
from infra.custody.fireblocks.wallets import Destinations
from infra.venues.payloads import instant, plain

# The token may be a little ahead of the custodian's clock, as far as that tolerates.
REQUEST_EXPIRY: Final = LIFE + timedelta(seconds=5)
SETTLE_WINDOW: Final = timedelta(minutes=2)
KEY_CHARACTERS_MAX: Final = 40
_CREATED: Final = msgspec.json.Decoder(wire.Created)
_CANCELLED: Final = msgspec.json.Decoder(wire.Cancelled)
_TRANSACTION: Final = msgspec.json.Decoder(wire.Transaction)
_TRANSACTIONS: Final = msgspec.json.Decoder(list[wire.Transaction])
_BALANCE: Final = msgspec.json.Decoder(wire.VaultAsset)
_STATUS: Final[Mapping[str, TransferStatus]] = {
    **dict.fromkeys(
        (
            "SUBMITTED", "PENDING_AML_SCREENING", "PENDING_ENRICHMENT", "PENDING_AUTHORIZATION",
            "QUEUED", "PENDING_SIGNATURE", "PENDING_3RD_PARTY_MANUAL_APPROVAL",
            "PENDING_3RD_PARTY", "BROADCASTING", "CONFIRMING", "CANCELLING",
        ),
        "pending",
    ),
    "COMPLETED": "done",
    "CANCELLED": "cancelled",
    "REJECTED": "rejected",
    "BLOCKED": "rejected",
    "FAILED": "rejected",
}  # fmt: skip
_DROPPED: Final = "DROPPED_BY_BLOCKCHAIN"


class FireblocksTransfers:
    """The rails that start at vaults.

    Parameters
    ----------
    deposits : mapping of str to DepositHistory
        By venue: whose history proves that a transfer has arrived.
    """

    def __init__(
        self,
        client: FireblocksClient,
        assets: CustodyAssets,
        deposits: Mapping[str, DepositHistory],
    ) -> None:
        self._client, self._assets, self._deposits = client, assets, deposits
        self._destinations = Destinations(client)

    def guarantees(self, order: TransferOrder) -> RouteGuarantees:
        """Return what the route of an order promises; raises Unsupported if there is none."""
        asset = self._require_route(order)
        return RouteGuarantees(
            is_keyed=True,
            duplicate_answer="original",
            has_lookup=True,
            request_expiry=REQUEST_EXPIRY,
            settle_window=SETTLE_WINDOW,
            fee_max=asset.fee_max,
            amount_min=asset.amount_min,
            needs_whitelist=not is_here(order.destination),
            is_cancellable=True,
        )

    async def submit(self, order: TransferOrder) -> TransferReport:
        """Send once, after the destination was found on the custodian's whitelist.

        Raises
        ------
        Unsupported
            If there is no such route; nothing was sent.
        VenueRejected
            ``address`` if the destination is not whitelisted; ``duplicate_key`` if the key was
            used before, in which case a lookup says what became of it.
        VenueError
            With ``was_sent`` "no" if it had no effect; else ``OutcomeUnknown``.
        """
        asset = self._require_route(order)
        body: dict[str, object] = {
            "operation": "TRANSFER",
            "externalTxId": order.key,
            "assetId": asset.asset_id,
            "amount": plain(order.quantity),
            "source": {"type": "VAULT_ACCOUNT", "id": vault_of(order.source)},
            "destination": await self._destinations.peer(order, asset),
            # What leaves is the amount, fee included, as in the ledger.
            "treatAsGrossAmount": asset.is_base,
        }
        call = Call(method="POST", path="/v1/transactions", body=body, key=order.key)
        made = await self._client.write(call, _CREATED)
        status = _STATUS.get(made.content.status)
        if status is None:
            raise OutcomeUnknown(
                f"{CUSTODIAN} transfer {order.key}: status {made.content.status!r} is none we "
                "know; look it up by its key, do not send it anew",
                identifier=order.key,
                value=made.content.status,
            )
        return TransferReport(
            key=order.key,
            venue_transfer_id=made.content.id,
            # An answer to the sending is never yet the end of the way.
            status="pending" if status == "done" else status,
            quantity=order.quantity,
            reading=Reading(source=CUSTODIAN, received_at=made.received_at),
            is_debited=False if status in ("rejected", "cancelled") else None,
            is_credited=False if status in ("rejected", "cancelled") else None,
            reason=made.content.status,
        )

    async def find(self, order: TransferOrder) -> TransferReport | None:
        """Return the transaction of a key; None is "not found", which proves nothing alone.

        Raises
        ------
        BadPayload
            If what is found under the key is another movement.
        """
        asset = self._require_route(order)
        found = await self._transaction(order)
        if found is None:
            return None
        _require_same(order, asset, found.content)
        return await self._report(order, asset, found)

    async def cancel(self, order: TransferOrder) -> bool:
        """Ask to call a transaction back; return whether the custodian took the request.

        What became of it ``find`` says. Each call is one attempt.
        """
        found = await self._transaction(order)
        if found is None:
            return False
        call = Call(method="POST", path=f"/v1/transactions/{found.content.id}/cancel")
        answered = await self._client.write(call, _CANCELLED)
        return answered.content.success

    async def balance(self, place: str, asset: str) -> HeldBalance:
        """Return what a vault holds of an asset, and what of it may leave."""
        asset_id = self._assets.of(asset).asset_id
        call = Call(method="GET", path=f"/v1/vault/accounts/{vault_of(place)}/{asset_id}")
        held = (await self._client.read(call, _BALANCE)).content
        if held.id != asset_id:
            raise BadPayload(f"{CUSTODIAN} {place}: asked for {asset_id}, got {held.id}")
        return HeldBalance(asset=asset, quantity=held.total, available=held.available)

    async def received(self, place: str, asset: str, tx_hash: str) -> Decimal | None:
        """Return what a vault has received by a transaction of the chain; None is "not there"."""
        vault, asset_id = vault_of(place), self._assets.of(asset).asset_id
        call = Call(method="GET", path=f"/v1/transactions?txHash={tx_hash}")
        listed = await self._client.read(call, _TRANSACTIONS)
        arrived = [
            one.amount_info.net_amount or one.amount_info.amount
            for one in listed.content
            if one.tx_hash == tx_hash
            and one.asset_id == asset_id
            and one.status == "COMPLETED"
            and (one.destination.type, one.destination.id) == ("VAULT_ACCOUNT", vault)
        ]
        return sum(arrived, Decimal(0)) if arrived else None

    async def _transaction(self, order: TransferOrder) -> Answered[wire.Transaction] | None:
        call = Call(method="GET", path=f"/v1/transactions/external_tx_id/{order.key}")
        return await self._client.look(call, _TRANSACTION)

    async def _report(
        self, order: TransferOrder, asset: CustodyAsset, found: Answered[wire.Transaction]
    ) -> TransferReport:
        one = found.content
        status = _status(one)
        fee = _fee(asset, one)
        is_credited: bool | None = False if status in ("rejected", "cancelled") else None
        if status == "done":
            arrived = await self._arrived(order, one.tx_hash)
            if arrived is not None:
                if not 0 < arrived <= order.quantity:
                    raise BadPayload(
                        f"{order.destination}: {arrived} {order.asset} arrived by {one.tx_hash}, "
                        f"of {order.quantity}",
                        identifier=order.key,
                    )
                status, is_credited, fee = "credited", True, order.quantity - arrived
        return TransferReport(
            key=order.key,
            venue_transfer_id=one.id,
            status=status,
            quantity=one.amount_info.requested_amount or one.amount_info.amount,
            reading=Reading(
                source=CUSTODIAN,
                received_at=found.received_at,
                venue_time=instant(one.last_updated),
            ),
            fee=fee,
            is_debited=_is_debited(status, one),
            is_credited=is_credited,
            reason=" ".join(filter(None, (one.status, one.sub_status, one.tx_hash))),
        )

    async def _arrived(self, order: TransferOrder, tx_hash: str) -> Decimal | None:
        history = self._deposits.get(order.destination.partition("/")[0])
        if is_here(order.destination):
            history = self
        if history is None or not tx_hash:
            return None
        try:
            return await history.received(order.destination, order.asset, tx_hash)
        except VenueError:
            # The destination's silence is no word about the source, which has answered.
            return None

    def _require_route(self, order: TransferOrder) -> CustodyAsset:
        vault_of(order.source)
        asset = self._assets.of(order.asset, order.network)
        if is_here(order.destination):
            vault_of(order.destination)
        elif not order.address:
            raise Unsupported(
                f"{CUSTODIAN} to {order.destination} needs an address", identifier=order.key
            )
        if not 0 < len(order.key) <= KEY_CHARACTERS_MAX:
            raise Unsupported(
                f"{CUSTODIAN} keys have up to {KEY_CHARACTERS_MAX} characters, not {order.key!r}",
                identifier=order.key,
            )
        return asset


def _status(one: wire.Transaction) -> TransferStatus:
    status = _STATUS.get(one.status)
    if status is None:
        raise BadPayload(f"{CUSTODIAN} transaction {one.id}: status {one.status!r} is none we know")
    if status == "rejected" and one.tx_hash and one.sub_status != _DROPPED:
        # It had reached the chain: whether it came back, the chain says and a person reads.
        return "pending"
    return status


def _fee(asset: CustodyAsset, one: wire.Transaction) -> Decimal:
    if not asset.is_base:
        return Decimal(0)
    return one.fee_info.network_fee or Decimal(0)


def _is_debited(status: TransferStatus, one: wire.Transaction) -> bool | None:
    if status in ("rejected", "cancelled"):
        return False
    # From the broadcast on the vault's total is without it.
    return True if status in ("done", "credited") or one.status == "CONFIRMING" else None


def _require_same(order: TransferOrder, asset: CustodyAsset, one: wire.Transaction) -> None:
    source = (one.source.type, one.source.id)
    facts = (
        ("key", order.key, one.external_tx_id),
        ("asset", asset.asset_id, one.asset_id),
        ("source", ("VAULT_ACCOUNT", vault_of(order.source)), source),
    )
    for name, wanted, said in facts:
        if wanted != said:
            raise _another(order, name, said)
    if is_here(order.destination):
        if (one.destination.type, one.destination.id) != (
            "VAULT_ACCOUNT",
            vault_of(order.destination),
        ):
            raise _another(order, "destination", one.destination.id)
    elif one.destination_address not in ("", order.address):
        raise _another(order, "address", one.destination_address)


def _another(order: TransferOrder, name: str, said: object) -> BadPayload:
    return BadPayload(
        f"{CUSTODIAN} transfer {order.key}: what is found under the key has {name} {said}; a "
        "person has to look",
        identifier=order.key,
        value=said,
    )


def report_of_hint(key: str, tx_id: str, status: str, received_at: datetime) -> TransferReport:
    """Return a report that says no more than "look now"."""
    return TransferReport(
        key=key,
        venue_transfer_id=tx_id,
        status="pending",
        quantity=Decimal(0),
        reading=Reading(source=CUSTODIAN, received_at=received_at, is_complete=False),
        reason=status,
    )
