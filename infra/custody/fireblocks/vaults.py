"""What vaults hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from engine.errors import BadPayload
from engine.ports import HeldBalance
from infra.custody.fireblocks import wire
from infra.custody.fireblocks.assets import CUSTODIAN, CustodyAssets
from infra.custody.fireblocks.client import Call, FireblocksClient
from infra.custody.fireblocks.places import vault_of

_PAGE: Final = 200
_PAGES_MAX: Final = 100
_VAULT: Final = msgspec.json.Decoder(wire.Vault)
_VAULTS: Final = msgspec.json.Decoder(wire.VaultPage)


class FireblocksVaults:
    """Balances by vault; assets that the configuration does not name go under their own id."""

    def __init__(self, client: FireblocksClient, assets: CustodyAssets) -> None:
        self._client, self._assets = client, assets

    async def balances(self, place: str) -> tuple[HeldBalance, ...]:
        """Return all that a vault holds, by asset."""
        call = Call(method="GET", path=f"/v1/vault/accounts/{vault_of(place)}")
        return self._held((await self._client.read(call, _VAULT)).content)

    async def all_balances(self) -> Mapping[str, tuple[HeldBalance, ...]]:
        """Return what every vault holds, by place; raises BadPayload if the list has no end."""
        found: dict[str, tuple[HeldBalance, ...]] = {}
        after = ""
        for _ in range(_PAGES_MAX):
            query = f"limit={_PAGE}" + (f"&after={after}" if after else "")
            call = Call(method="GET", path=f"/v1/vault/accounts_paged?{query}")
            page = (await self._client.read(call, _VAULTS)).content
            found.update({f"{CUSTODIAN}/{one.id}": self._held(one) for one in page.accounts})
            after = page.paging.after
            if not after:
                return found
        raise BadPayload(f"{CUSTODIAN}: more than {_PAGES_MAX} pages of vaults")

    def _held(self, vault: wire.Vault) -> tuple[HeldBalance, ...]:
        held = []
        for one in vault.assets:
            known = self._assets.by_id(one.id)
            name = one.id if known is None else known.asset
            held.append(HeldBalance(asset=name, quantity=one.total, available=one.available))
        return tuple(sorted(held, key=lambda balance: balance.asset))
