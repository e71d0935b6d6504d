"""Whitelisted wallets: approved by the workspace, then of use only after a cool-off."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Final, Literal

from infra.simulator.venues.core.clock import TownClock
from infra.simulator.venues.core.faults import FaultKind, FaultPlan, Scope
from infra.simulator.venues.fireblocks import errors
from infra.simulator.venues.fireblocks.assets import ASSETS
from infra.simulator.venues.fireblocks.errors import ApiError

COOL_OFF_SECONDS: Final = 30.0


@dataclass(slots=True, kw_only=True)
class WalletAsset:
    """An address of a wallet; ``active_at`` in town seconds, set by the approval."""

    asset_id: str
    address: str
    tag: str = ""
    status: Literal["WAITING_FOR_APPROVAL", "APPROVED", "REJECTED"] = "WAITING_FOR_APPROVAL"
    active_at: float = 0.0


@dataclass(slots=True)
class Wallet:
    """An unmanaged wallet outside the workspace."""

    wallet_id: str
    name: str
    assets: dict[str, WalletAsset] = field(default_factory=dict)


class Wallets:
    """External wallets of the workspace."""

    def __init__(self, venue: str, clock: TownClock, plan: FaultPlan) -> None:
        self._venue, self._clock, self._plan = venue, clock, plan
        self.cool_off_seconds = COOL_OFF_SECONDS
        self.by_id: dict[str, Wallet] = {}

    def create(self, name: str) -> Wallet:
        """Return a new wallet without addresses."""
        wallet = Wallet(str(uuid.uuid5(uuid.NAMESPACE_URL, f"wallet/{len(self.by_id)}")), name)
        self.by_id[wallet.wallet_id] = wallet
        return wallet

    def wallet(self, wallet_id: str) -> Wallet:
        """Return a wallet; raises ApiError if there is none."""
        found = self.by_id.get(wallet_id)
        if found is None:
            raise ApiError(errors.NO_WALLET, wallet_id)
        return found

    def add(self, wallet_id: str, asset_id: str, address: str, tag: str = "") -> WalletAsset:
        """Ask for an address; raises ApiError if the asset is unknown or has one already."""
        wallet = self.wallet(wallet_id)
        if asset_id not in ASSETS:
            raise ApiError(errors.NO_ASSET, asset_id)
        if asset_id in wallet.assets or not address:
            raise ApiError(errors.BAD_REQUEST, "an address per asset and wallet")
        added = WalletAsset(asset_id=asset_id, address=address, tag=tag)
        wallet.assets[asset_id] = added
        return added

    def whitelist(self, name: str, asset_id: str, address: str, tag: str = "") -> Wallet:
        """Return a wallet whose one address is approved and past its cool-off."""
        wallet = self.create(name)
        added = self.add(wallet.wallet_id, asset_id, address, tag)
        added.status, added.active_at = "APPROVED", self._clock.elapsed()
        return wallet

    def advance(self) -> None:
        """Approve what waits, unless the approvers are away."""
        for wallet in self.by_id.values():
            for one in wallet.assets.values():
                scope = Scope(venue=self._venue, account=wallet.wallet_id,
                              endpoint="external_wallets")  # fmt: skip
                if one.status != "WAITING_FOR_APPROVAL":
                    continue
                if self._plan.draw(FaultKind.APPROVAL_DENIED, scope):
                    one.status = "REJECTED"
                elif self._plan.draw(FaultKind.APPROVAL_PENDING, scope) is None:
                    one.status = "APPROVED"
                    one.active_at = self._clock.elapsed() + self.cool_off_seconds

    def require_open(self, wallet_id: str, asset_id: str) -> WalletAsset:
        """Return the address of a wallet that may receive now.

        Raises
        ------
        ApiError
            If there is no such wallet, it has no approved address of the asset, its cool-off is
            running, or it is locked by a fault.
        """
        wallet = self.by_id.get(wallet_id)
        found = None if wallet is None else wallet.assets.get(asset_id)
        if found is None or found.status != "APPROVED":
            raise ApiError(errors.BAD_DESTINATION, wallet_id)
        scope = Scope(venue=self._venue, account=wallet_id, endpoint="transactions")
        is_locked = self._plan.draw(FaultKind.ADDRESS_LOCKED, scope) is not None
        if is_locked or found.active_at > self._clock.elapsed():
            raise ApiError(errors.LOCKED_DESTINATION, wallet_id)
        return found

    def told(self, wallet: Wallet) -> dict[str, object]:
        """Return a wallet as the API shows it."""
        assets = [self.told_asset(one) for one in wallet.assets.values()]
        return {"id": wallet.wallet_id, "name": wallet.name, "assets": assets}

    def told_asset(self, one: WalletAsset) -> dict[str, object]:
        """Return an address of a wallet as the API shows it; times are of the wall."""
        left = max(one.active_at - self._clock.elapsed(), 0.0)
        active = self._clock.wall_ms() + int(left * 1000)
        return {
            "id": one.asset_id, "balance": "0", "lockedAmount": "0", "status": one.status,
            "address": one.address, "tag": one.tag, "activationTime": str(active),
        }  # fmt: skip
