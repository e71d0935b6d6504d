"""The destination of an order at Fireblocks: a vault, or a whitelisted wallet with the address."""

from __future__ import annotations

from typing import Final

import msgspec

from engine.errors import NotSent, VenueError, VenueRejected
from engine.ports import TransferOrder
from infra.custody.fireblocks import wire
from infra.custody.fireblocks.assets import CUSTODIAN, CustodyAsset
from infra.custody.fireblocks.client import Call, FireblocksClient
from infra.custody.fireblocks.places import is_here, vault_of
from infra.venues.payloads import instant

_WALLETS: Final = msgspec.json.Decoder(list[wire.ExternalWallet])
_APPROVED: Final = "APPROVED"


class Destinations:
    """Finds the custodian's own name of a destination; nothing is ever sent to a bare address."""

    def __init__(self, client: FireblocksClient) -> None:
        self._client = client

    async def peer(self, order: TransferOrder, asset: CustodyAsset) -> dict[str, object]:
        """Return the destination as a transaction names it.

        Raises
        ------
        VenueRejected
            Cause ``address``: no wallet of the whitelist has the address, or its approval or
            cool-off is pending.
        NotSent
            If the whitelist could not be read.
        """
        if is_here(order.destination):
            return {"type": "VAULT_ACCOUNT", "id": vault_of(order.destination)}
        call = Call(method="GET", path="/v1/external_wallets")
        try:
            listed = await self._client.read(call, _WALLETS)
        except VenueError as error:
            if error.was_sent == "no":
                raise
            raise NotSent(
                f"{CUSTODIAN} transfer {order.key}: not sent, the whitelist was not read: {error}",
                identifier=order.key,
            ) from error
        why = "is in no whitelisted wallet"
        for wallet in listed.content:
            for one in wallet.assets:
                if (one.id, one.address, one.tag) != (asset.asset_id, order.address, order.memo):
                    continue
                if one.status != _APPROVED:
                    why = f"is {one.status} in wallet {wallet.name}"
                elif one.activation_time and instant(one.activation_time) > listed.received_at:
                    why = f"cools off until {instant(one.activation_time)} in {wallet.name}"
                else:
                    return {"type": "EXTERNAL_WALLET", "id": wallet.id}
        raise VenueRejected(
            f"{CUSTODIAN} transfer {order.key}: {asset.asset_id} address {order.address} {why}; "
            "have it whitelisted there, or wait",
            cause="address",
            identifier=order.key,
            value=order.address,
        )
