"""Assets as Fireblocks names them: one id per asset and network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from engine.errors import Unsupported

CUSTODIAN: Final = "fireblocks"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyAsset:
    """An asset on a network.

    Attributes
    ----------
    asset, network : str
        Ours; an order without a network means the first one listed for its asset.
    asset_id : str
        The custodian's.
    is_base : bool
        Whether it pays its own network fee, which then comes out of the amount; the fee of a token
        is paid in another asset of the same vault and is no part of the transfer.
    fee_max, amount_min : Decimal
        Largest fee that is accepted, smallest amount. [asset]
    """

    asset: str
    network: str
    asset_id: str
    is_base: bool
    fee_max: Decimal
    amount_min: Decimal


def _base(asset: str, asset_id: str, fee_max: str) -> CustodyAsset:
    return CustodyAsset(
        asset=asset, network=asset, asset_id=asset_id, is_base=True, fee_max=Decimal(fee_max),
        amount_min=Decimal(fee_max) * 2,
    )  # fmt: skip


def _token(asset: str, asset_id: str) -> CustodyAsset:
    return CustodyAsset(
        asset=asset, network="ETH", asset_id=asset_id, is_base=False, fee_max=Decimal(0),
        amount_min=Decimal(1),
    )  # fmt: skip


# Ids of developers.fireblocks.com, "List supported assets". Fees bound what a crowded chain took.
LIVE_ASSETS: Final = (
    _base("BTC", "BTC", "0.001"), _base("ETH", "ETH", "0.02"), _base("SOL", "SOL", "0.01"),
    _token("USDC", "USDC"), _token("USDT", "USDT_ERC20"),
)  # fmt: skip
TEST_ASSETS: Final = (
    _base("BTC", "BTC_TEST", "0.001"), _base("ETH", "ETH_TEST5", "0.02"),
    _base("SOL", "SOL_TEST", "0.01"),
)  # fmt: skip


class CustodyAssets:
    """Looks assets up by our names and by the custodian's."""

    def __init__(self, assets: Iterable[CustodyAsset]) -> None:
        self._assets = tuple(assets)

    def of(self, asset: str, network: str = "") -> CustodyAsset:
        """Return an asset on a network; raises Unsupported if there is none."""
        for one in self._assets:
            if one.asset == asset and network in ("", one.network):
                return one
        raise Unsupported(
            f"{CUSTODIAN} is not told how {asset} goes over {network or 'any network'}",
            identifier=asset,
            value=network,
        )

    def by_id(self, asset_id: str) -> CustodyAsset | None:
        """Return the asset of a custodian's id, None if it is none of ours."""
        return next((one for one in self._assets if one.asset_id == asset_id), None)
