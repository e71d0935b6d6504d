"""Equity after collateral rates against maintenance margin."""

from __future__ import annotations

from pydantic import Field

from engine.collateral.unified_margin_ratio import (
    UnifiedAccount,
    UnifiedAsset,
    UnifiedLoan,
    UnifiedMarginRatio,
    unified_margin_ratio,
)
from infra.compute.calculation import Calculation
from infra.compute.fields import Fraction, Inputs, NonNegative, Number, Positive, Text


class UnifiedAssetInputs(Inputs):
    """Balance of one asset."""

    asset: Text = Field(description="name of the asset, echoed")
    quantity: Number = Field(description="balance, may be negative (loans: amount owed)")
    mark_price: Positive = Field(description="price of one unit [USD]")
    collateral_rate: Fraction = Field(description="1 - haircut of the asset")


class UnifiedLoanInputs(Inputs):
    """One borrowing."""

    asset: Text = Field(description="name of the asset, echoed")
    quantity: NonNegative = Field(description="balance, may be negative (loans: amount owed)")
    mark_price: Positive = Field(description="price of one unit [USD]")
    maintenance_margin_rate: Fraction = Field(description="fraction of the loan")


class UnifiedMarginRatioInputs(Inputs):
    """Body of ``unified_margin_ratio``."""

    assets: tuple[UnifiedAssetInputs, ...] = Field(
        description="balances net of loans, plus futures wallet and unrealised P&L"
    )
    loans: tuple[UnifiedLoanInputs, ...] = Field(
        (), description="borrowings that carry maintenance margin"
    )
    positions_maintenance_margin_usd: NonNegative = Field(
        0.0, description="maintenance margin of all positions"
    )
    positions_initial_margin_usd: NonNegative | None = Field(
        None, description="initial margin of all positions"
    )
    open_order_loss_usd: NonNegative = Field(0.0, description="deducted from equity")
    rate_tick: Positive | None = Field(None, description="the two rates are truncated to it")


def _unified_margin_ratio(inputs: UnifiedMarginRatioInputs) -> UnifiedMarginRatio:
    return unified_margin_ratio(
        UnifiedAccount(
            assets=[UnifiedAsset(**each.model_dump()) for each in inputs.assets],
            loans=[UnifiedLoan(**each.model_dump()) for each in inputs.loans],
            positions_maintenance_margin_usd=inputs.positions_maintenance_margin_usd,
            positions_initial_margin_usd=inputs.positions_initial_margin_usd,
            open_order_loss_usd=inputs.open_order_loss_usd,
            rate_tick=inputs.rate_tick,
        )
    )


CALCULATIONS = (
    Calculation(
        name="unified_margin_ratio",
        summary="Equity after collateral rates against maintenance margin (Binance uniMMR, "
        "Hyperliquid health, Bybit account rates).",
        model=UnifiedMarginRatioInputs,
        function=_unified_margin_ratio,
    ),
)
