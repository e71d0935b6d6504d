"""What the simulated Fireblocks supports, and over which of the town's networks it goes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """An asset under its Fireblocks id. ``fee`` is in ``native``, which pays for the network.

    Venues of the town name one network in their own ways: ``networks`` are those under which an
    address may be registered, the custodian's own first.
    """

    asset_id: str
    name: str
    asset: str
    native: str
    decimals: int
    fee: Decimal
    networks: tuple[str, ...]

    @property
    def is_base(self) -> bool:
        """Return whether the asset pays its own network fee."""
        return self.asset_id == self.native


def _asset(asset_id: str, name: str, decimals: int, fee: str, *networks: str,
           asset: str = "", native: str = "") -> Asset:  # fmt: skip
    return Asset(
        asset_id=asset_id, name=name, asset=asset or asset_id, native=native or asset_id,
        decimals=decimals, fee=Decimal(fee), networks=networks,
    )  # fmt: skip


# Ids of developers.fireblocks.com, "List supported assets"; fees are an ordinary day's.
ASSETS: Final = {
    one.asset_id: one
    for one in (
        _asset("BTC", "Bitcoin", 8, "0.00005", "BTC"),
        _asset("ETH", "Ethereum", 18, "0.0004", "ETH"),
        _asset("SOL", "Solana", 9, "0.00001", "SOL"),
        _asset("USDC", "USD Coin", 6, "0.0009", "ETH", "USDC", native="ETH"),
        _asset("USDT_ERC20", "Tether USD (Ethereum)", 6, "0.0009", "ETH", "USDT",
               asset="USDT", native="ETH"),
    )
}  # fmt: skip


def told(one: Asset) -> dict[str, object]:
    """Return an asset as ``supported_assets`` lists it."""
    return {
        "id": one.asset_id, "name": one.name, "nativeAsset": one.native, "contractAddress": "",
        "type": "BASE_ASSET" if one.is_base else "ERC20", "decimals": one.decimals,
    }  # fmt: skip
