"""Fireblocks behind the ports, wired in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from engine.ports import DepositHistory
from infra.clock import Clock, utc_now
from infra.custody.fireblocks.assets import LIVE_ASSETS, CustodyAsset, CustodyAssets
from infra.custody.fireblocks.client import FireblocksClient
from infra.custody.fireblocks.holdings import FireblocksHoldings
from infra.custody.fireblocks.hosts import FireblocksHosts
from infra.custody.fireblocks.transfers import FireblocksTransfers
from infra.custody.fireblocks.vaults import FireblocksVaults
from infra.secrets import Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class FireblocksConfiguration:
    """What the adapter needs to know.

    Attributes
    ----------
    credential : Credential
        API key, and the RSA private key in PEM as its secret.
    deposits : mapping of str to DepositHistory
        By venue: whose own history says that a transfer has arrived there.
    """

    hosts: FireblocksHosts
    credential: Credential
    assets: Sequence[CustodyAsset] = LIVE_ASSETS
    deposits: Mapping[str, DepositHistory] = field(default_factory=dict)


class Fireblocks:
    """One object for each port; use as ``async with``."""

    def __init__(self, configuration: FireblocksConfiguration, clock: Clock = utc_now) -> None:
        assets = CustodyAssets(configuration.assets)
        self._client = FireblocksClient(configuration.hosts, configuration.credential, clock=clock)
        self.transfers = FireblocksTransfers(self._client, assets, configuration.deposits)
        self.vaults = FireblocksVaults(self._client, assets)
        self.deposits = self.transfers
        self.accounts = FireblocksHoldings(self._client, assets, self.vaults, clock)

    async def close(self) -> None:
        """Close connections."""
        await self._client.close()

    async def __aenter__(self) -> Fireblocks:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
