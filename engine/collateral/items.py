"""Value of single collateral items after haircuts, each with its own rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.collateral.haircuts import (
    deposit_scaled_haircut,
    haircut_to_tick,
    size_penalised_haircut,
    tiered_haircut,
)
from engine.errors import ModelInputError
from engine.rules import HaircutTier

TierBasis = Literal["value", "quantity"]
HaircutCombination = Literal["additive", "multiplicative"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralItem:
    """One holding of collateral and what reduces its value.

    Attributes
    ----------
    asset : str
        Name of the asset.
    market_value : float, optional
        Value before haircut; ``quantity * mark_price`` when absent. [quote currency]
    quantity, mark_price : float, optional
        Units held and price of one.
    haircut : float
        Flat haircut, used when there are no tiers. [-]
    haircut_tiers : tuple of HaircutTier
        Marginal haircuts instead of the flat one.
    tier_basis : {"value", "quantity"}
        What the floors of the tiers are expressed in.
    fx_haircut : float
        Haircut for a currency mismatch. [-]
    size_penalty : float
        Penalty per root unit of ``quantity``; 0 = none.
    total_deposits, deposit_scale_start : float, optional
        Platform-wide deposits [units] and the value above which the weight shrinks.
    """

    asset: str
    market_value: float | None = None
    quantity: float | None = None
    mark_price: float | None = None
    haircut: float = 0.0
    haircut_tiers: tuple[HaircutTier, ...] = ()
    tier_basis: TierBasis = "value"
    fx_haircut: float = 0.0
    size_penalty: float = 0.0
    total_deposits: float | None = None
    deposit_scale_start: float | None = None


@dataclass(frozen=True, slots=True)
class ItemValue:
    """Value of one item before and after haircut; ``haircut`` excludes the currency mismatch."""

    asset: str
    market_value: float
    haircut: float
    collateral_value: float


@dataclass(frozen=True, slots=True)
class CollateralValuation:
    """Values of all items and their sum. [quote currency]"""

    items: tuple[ItemValue, ...]
    collateral_value: float


def collateral_value(
    items: Sequence[CollateralItem],
    *,
    combination: HaircutCombination = "additive",
    haircut_tick: float | None = None,
) -> CollateralValuation:
    """Return the value of each item after haircuts and the sum.

    The haircut of an item is the flat or tiered one, raised by the size penalty, then by the
    deposit scale, then rounded up to ``haircut_tick``.

    Parameters
    ----------
    items : sequence of CollateralItem
        Holdings.
    combination : {"additive", "multiplicative"}
        Additive as in regulation, value * (1 - haircut - fx_haircut), never below 0 [1]_; or
        multiplicative, value * (1 - haircut) * (1 - fx_haircut).
    haircut_tick : float, optional
        Haircuts are rounded up to it.

    Returns
    -------
    CollateralValuation
        Values >= 0, not rounded. [quote currency]

    Raises
    ------
    ModelInputError
        If an item lacks what its rule needs.

    References
    ----------
    .. [1] Commission Delegated Regulation (EU) 2016/2251, annex II: C_value = C (1 - HC - HFX).

    Examples
    --------
    >>> bond = CollateralItem(asset="bond", market_value=1e6, haircut=0.02, fx_haircut=0.08)
    >>> collateral_value([bond]).collateral_value
    900000.0
    """
    valued = tuple(_value_item(item, combination, haircut_tick) for item in items)
    return CollateralValuation(
        items=valued, collateral_value=math.fsum(item.collateral_value for item in valued)
    )


def _value_item(
    item: CollateralItem, combination: HaircutCombination, haircut_tick: float | None
) -> ItemValue:
    market_value = item.market_value
    if market_value is None:
        market_value = _needed(item, "quantity") * _needed(item, "mark_price")
    if not math.isfinite(market_value):
        raise ModelInputError(
            f"value of collateral item {item.asset} is not finite", identifier=item.asset
        )
    haircut = _haircut(item, market_value)
    if haircut_tick is not None:
        haircut = haircut_to_tick(haircut, haircut_tick)
    if combination == "additive":
        weight = max(1.0 - haircut - item.fx_haircut, 0.0)
    else:
        weight = (1.0 - haircut) * (1.0 - item.fx_haircut)
    return ItemValue(item.asset, market_value, haircut, market_value * weight)


def _haircut(item: CollateralItem, market_value: float) -> float:
    haircut = item.haircut
    if item.haircut_tiers:
        by_value = item.tier_basis == "value"
        basis = market_value if by_value else _needed(item, "quantity")
        haircut = tiered_haircut(basis, item.haircut_tiers)
    if item.size_penalty > 0.0:
        haircut = size_penalised_haircut(
            haircut, quantity=_needed(item, "quantity"), size_penalty=item.size_penalty
        )
    if item.deposit_scale_start is not None:
        deposits = _needed(item, "total_deposits") * _needed(item, "mark_price")
        haircut = deposit_scaled_haircut(
            haircut, deposits_value=deposits, scale_start=item.deposit_scale_start
        )
    return haircut


def _needed(item: CollateralItem, name: str) -> float:
    value: float | None = getattr(item, name)
    if value is None:
        raise ModelInputError(f"collateral item {item.asset} needs {name}", identifier=item.asset)
    return value
