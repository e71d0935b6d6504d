"""Collateral after haircuts."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from engine.collateral.haircuts import AssetClass, CreditQualityStep, schedule_haircut
from engine.collateral.items import (
    CollateralItem,
    CollateralValuation,
    HaircutCombination,
    TierBasis,
    collateral_value,
)
from engine.rules import HaircutTier
from infra.compute.calculation import Calculation
from infra.compute.fields import (
    Body,
    Fraction,
    Inputs,
    NonNegative,
    NotEmpty,
    Positive,
    Text,
    drop,
    require,
    require_one_of,
)

_BONDS: Final = ("sovereign", "corporate")
_BOND_FIELDS: Final = ("credit_quality_step", "residual_maturity_years")


class HaircutTierInputs(Inputs):
    """One marginal tier."""

    floor: NonNegative = Field(description="lower bound of the tier")
    haircut: Fraction = Field(description="flat haircut")


class CollateralItemInputs(Inputs):
    """One collateral item: its value, and what reduces it."""

    asset: Text = Field(description="name of the asset, echoed")
    quantity: NonNegative | None = Field(None, description="units held")
    mark_price: Positive | None = Field(None, description="price of one unit")
    market_value: NonNegative | None = Field(None, description="instead of quantity and mark_price")
    haircut: Fraction | None = Field(None, description="flat haircut")
    haircut_tiers: NotEmpty[HaircutTierInputs] | None = Field(
        None, description="marginal haircuts, the first floor is 0"
    )
    tier_basis: TierBasis = Field(
        "value", description="tiers apply to the item's value or to its quantity"
    )
    asset_class: AssetClass | None = Field(
        None, description="standard schedule instead of a haircut"
    )
    credit_quality_step: CreditQualityStep | None = Field(None, description="for bonds")
    residual_maturity_years: NonNegative | None = Field(None, description="for bonds")
    fx_haircut: Fraction = Field(0.0, description="currency mismatch haircut")
    size_penalty: NonNegative = Field(0.0, description="penalty per root unit of quantity")
    total_deposits: NonNegative | None = Field(
        None,
        description="platform-wide deposits of the asset [units]; needed with deposit_scale_start",
    )
    deposit_scale_start: Positive | None = Field(
        None, description="value of the deposits above which the weight shrinks"
    )

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Require one value and one haircut, and what each adjustment rests on."""
        require_one_of(given, ("market_value",), ("quantity", "mark_price"))
        require_one_of(given, ("haircut",), ("haircut_tiers",), ("asset_class",))
        if "haircut_tiers" not in given:
            drop(given, "tier_basis")
        elif given.get("tier_basis") == "quantity":
            require(given, "quantity", by="tier_basis 'quantity'")
        if given.get("asset_class") in _BONDS:
            require(given, *_BOND_FIELDS, by="bonds")
        else:
            drop(given, *_BOND_FIELDS)
        if given.get("size_penalty", 0) != 0:
            require(given, "quantity", by="size_penalty")
        if "deposit_scale_start" in given:
            require(given, "total_deposits", "mark_price", by="deposit_scale_start")
        else:
            drop(given, "total_deposits")

    def item(self) -> CollateralItem:
        """Return the engine's item."""
        haircut = self.haircut or 0.0
        if self.asset_class is not None:
            haircut = schedule_haircut(
                self.asset_class, self.credit_quality_step, self.residual_maturity_years
            )
        return CollateralItem(
            asset=self.asset,
            market_value=self.market_value,
            quantity=self.quantity,
            mark_price=self.mark_price,
            haircut=haircut,
            haircut_tiers=tuple(
                HaircutTier(floor=tier.floor, haircut=tier.haircut)
                for tier in self.haircut_tiers or ()
            ),
            tier_basis=self.tier_basis,
            fx_haircut=self.fx_haircut,
            size_penalty=self.size_penalty,
            total_deposits=self.total_deposits,
            deposit_scale_start=self.deposit_scale_start,
        )


class CollateralValueInputs(Inputs):
    """Body of ``collateral_value``."""

    items: tuple[CollateralItemInputs, ...] = Field(description="collateral items")
    haircut_combination: HaircutCombination = Field(
        "additive", description="how haircut and fx_haircut combine"
    )
    haircut_tick: Positive | None = Field(None, description="haircuts are rounded up to it")


def _collateral_value(inputs: CollateralValueInputs) -> CollateralValuation:
    return collateral_value(
        [each.item() for each in inputs.items],
        combination=inputs.haircut_combination,
        haircut_tick=inputs.haircut_tick,
    )


CALCULATIONS = (
    Calculation(
        name="collateral_value",
        summary="Value of collateral after haircuts.",
        model=CollateralValueInputs,
        function=_collateral_value,
    ),
)
