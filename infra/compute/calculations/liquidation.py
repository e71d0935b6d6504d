"""Liquidation and close-out prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import Field

from engine.margin.close_out_price import (
    CloseOut,
    CloseOutParameters,
    IndexedPosition,
    close_out_price,
)
from engine.margin.liquidation_price import (
    CrossAccount,
    HeldPosition,
    LiquidationParameters,
    NotionalMaintenance,
    OpenOrder,
    OtherPosition,
    RiskFactorMaintenance,
    liquidation_price,
    liquidation_prices_with_orders,
)
from engine.settlement.position import PositionTerms, Settlement
from infra.compute.calculation import NO_FIGURE, Calculation
from infra.compute.calculations.tiered import MULTIPLIER_MEANING, SETTLEMENT_MEANING
from infra.compute.fields import (
    Body,
    FeeFraction,
    Fraction,
    Inputs,
    NonNegative,
    NonZero,
    NotEmpty,
    Number,
    Positive,
    PositiveFraction,
    Text,
    Uses,
    drop,
    keep_fields_of,
    require,
    require_one_of,
)

_QUANTITY_MEANING: Final = "signed number of contracts, long > 0"
_MARK_MEANING: Final = "current mark of the position (top level: needed with open_orders)"
_RATE_MEANING: Final = "fraction of notional; needed by the first two rules"
_DEDUCTION_MEANING: Final = "amount subtracted from rate x notional (the tier deduction)"


class HeldPositionInputs(Inputs):
    """The position to be liquidated."""

    quantity: Number = Field(description=_QUANTITY_MEANING)
    entry_price: Positive = Field(description="average entry price")
    contract_multiplier: Positive = Field(1.0, description=MULTIPLIER_MEANING)
    settlement: Settlement = Field("linear", description=SETTLEMENT_MEANING)

    def held(self) -> HeldPosition:
        """Return the engine's position."""
        terms = PositionTerms(self.settlement, self.contract_multiplier)
        return HeldPosition(self.quantity, self.entry_price, terms)


class OtherPositionInputs(Inputs):
    """A position that shares the collateral."""

    quantity: Number = Field(description=_QUANTITY_MEANING)
    entry_price: Positive = Field(description="average entry price")
    mark_price: Positive = Field(description=_MARK_MEANING)
    contract_multiplier: Positive = Field(1.0, description=MULTIPLIER_MEANING)
    settlement: Settlement = Field("linear", description=SETTLEMENT_MEANING)
    maintenance_margin_rate: Fraction = Field(description=_RATE_MEANING)
    maintenance_deduction: NonNegative = Field(0.0, description=_DEDUCTION_MEANING)

    def other(self) -> OtherPosition:
        """Return the engine's position."""
        terms = PositionTerms(self.settlement, self.contract_multiplier)
        return OtherPosition(
            held=HeldPosition(self.quantity, self.entry_price, terms),
            mark_price=self.mark_price,
            maintenance_margin_rate=self.maintenance_margin_rate,
            maintenance_deduction=self.maintenance_deduction,
        )


class FillableOrderInputs(Inputs):
    """One open order."""

    quantity: NonZero = Field(description=_QUANTITY_MEANING)
    limit_price: Positive | None = Field(
        None, description="price of a resting order; absent = market order"
    )


class LiquidationParametersInputs(Inputs):
    """How maintenance follows the price."""

    rule: Literal["mark_notional", "entry_notional", "risk_factor"] = Field(
        description="named rule, see above"
    )
    maintenance_margin_rate: NonNegative | None = Field(None, description=_RATE_MEANING)
    maintenance_deduction: NonNegative = Field(0.0, description=_DEDUCTION_MEANING)
    taker_fee_rate: FeeFraction = Field(
        0.0, description="fee charged on the notional at the liquidation price"
    )
    price_tick: Positive | None = Field(
        None,
        description="liquidation price is rounded to it: up for a long, down for a short",
    )
    risk_factor_long: NonNegative | None = Field(
        None, description="loss fraction of a long position"
    )
    risk_factor_short: NonNegative | None = Field(
        None, description="loss fraction of a short position"
    )
    linear_slippage_factor: NonNegative = Field(
        0.0, description="close-out slippage as a fraction of notional"
    )
    quadratic_slippage_factor: NonNegative = Field(
        0.0, description="slippage that grows with the size"
    )
    funding_charge_per_unit: Number = Field(
        0.0,
        description="risk_factor only: added to maintenance when quantity x charge > 0",
    )

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Keep the fields of the rule."""
        notional = Uses(needed=("maintenance_margin_rate",), optional=("maintenance_deduction",))
        slippage = ("linear_slippage_factor", "quadratic_slippage_factor")
        uses = {
            "mark_notional": notional,
            "entry_notional": notional,
            "risk_factor": Uses(
                needed=("risk_factor_long", "risk_factor_short"),
                optional=(*slippage, "funding_charge_per_unit"),
            ),
        }
        keep_fields_of(given, "rule", uses)

    def parameters(self) -> LiquidationParameters:
        """Return the engine's parameters."""
        if self.rule == "risk_factor":
            return RiskFactorMaintenance(
                risk_factor_long=self.risk_factor_long or 0.0,
                risk_factor_short=self.risk_factor_short or 0.0,
                linear_slippage_factor=self.linear_slippage_factor,
                quadratic_slippage_factor=self.quadratic_slippage_factor,
                funding_charge_per_unit=self.funding_charge_per_unit,
                taker_fee_rate=self.taker_fee_rate,
                price_tick=self.price_tick,
            )
        return NotionalMaintenance(
            rule=self.rule,
            maintenance_margin_rate=self.maintenance_margin_rate or 0.0,
            maintenance_deduction=self.maintenance_deduction,
            taker_fee_rate=self.taker_fee_rate,
            price_tick=self.price_tick,
        )


class LiquidationPriceInputs(Inputs):
    """Body of ``liquidation_price``."""

    position: HeldPositionInputs = Field(description="the position to be liquidated")
    collateral_balance: Number | None = Field(
        None,
        description="wallet balance behind the position, without its unrealised P&L; exactly one "
        "of this and leverage",
    )
    leverage: Positive | None = Field(
        None,
        description="isolated leverage; collateral_balance is then entry notional / leverage",
    )
    other_positions: tuple[OtherPositionInputs, ...] = Field(
        (), description="positions sharing the collateral; their mark_price stays fixed"
    )
    open_orders: tuple[FillableOrderInputs, ...] = Field((), description="risk_factor only")
    mark_price: Positive | None = Field(None, description=_MARK_MEANING)
    parameters: LiquidationParametersInputs = Field(description="model parameters")

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Require one source of collateral; orders matter to one rule and need the mark."""
        require_one_of(given, ("collateral_balance",), ("leverage",))
        parameters = given.get("parameters")
        rule = parameters.get("rule") if isinstance(parameters, dict) else None
        if rule in ("mark_notional", "entry_notional"):
            drop(given, "open_orders", "mark_price")
        elif given.get("open_orders", []) == []:
            drop(given, "mark_price")
        else:
            require(given, "mark_price", by="open_orders")


def _liquidation_price(inputs: LiquidationPriceInputs) -> Mapping[str, object]:
    held = inputs.position.held()
    balance = inputs.collateral_balance
    if balance is None:
        balance = held.terms.notional(held.quantity, held.entry_price) / (inputs.leverage or 1.0)
    account = CrossAccount(
        position=held,
        collateral_balance=balance,
        other_positions=[each.other() for each in inputs.other_positions],
    )
    parameters = inputs.parameters.parameters()
    found = liquidation_price(account, parameters)
    price = NO_FIGURE if found.liquidation_price is None else found.liquidation_price
    if isinstance(parameters, NotionalMaintenance):
        bankruptcy = found.bankruptcy_price
        return {
            "liquidation_price": price,
            "bankruptcy_price": NO_FIGURE if bankruptcy is None else bankruptcy,
            "other_maintenance_margin": found.other_maintenance_margin,
            "other_unrealized_pnl": found.other_unrealized_pnl,
        }
    if not inputs.open_orders or inputs.mark_price is None:
        return {"liquidation_price": price}
    buys, sells = liquidation_prices_with_orders(
        account,
        [OpenOrder(each.quantity, each.limit_price) for each in inputs.open_orders],
        parameters,
        mark_price=inputs.mark_price,
    )
    return {
        "liquidation_price": price,
        "liquidation_price_all_buys_filled": buys,
        "liquidation_price_all_sells_filled": sells,
    }


class IndexedPositionInputs(Inputs):
    """One position of the account in liquidation."""

    symbol: Text = Field(description="name that links a position to its parameters")
    quantity: Number = Field(description=_QUANTITY_MEANING)
    index_price: Positive = Field(description="oracle price")
    maintenance_margin_rate: PositiveFraction = Field(description="fraction of notional")


class CloseOutParametersInputs(Inputs):
    """Liquidation terms."""

    bankruptcy_adjustment: NonNegative = Field(
        1.0, description="scales how fast the price moves towards bankruptcy"
    )
    spread_to_maintenance_ratio: Fraction = Field(
        0.1, description="largest concession as a fraction of the maintenance margin"
    )
    amount_tick: Positive | None = Field(
        None, description="bankruptcy_amount is rounded up (towards +infinity) to it"
    )


class CloseOutPriceInputs(Inputs):
    """Body of ``close_out_price``."""

    positions: NotEmpty[IndexedPositionInputs] = Field(description="positions of the account")
    cash_balance: Number = Field(description="cash (negative = debt)")
    close_symbol: Text = Field(description="the position being closed")
    close_quantity: Number | None = Field(
        None, description="signed change that reduces the position; default: all of it"
    )
    parameters: CloseOutParametersInputs = Field(description="model parameters")


def _close_out_price(inputs: CloseOutPriceInputs) -> CloseOut:
    given = inputs.parameters
    return close_out_price(
        [
            IndexedPosition(
                symbol=each.symbol,
                quantity=each.quantity,
                index_price=each.index_price,
                maintenance_margin_rate=each.maintenance_margin_rate,
            )
            for each in inputs.positions
        ],
        CloseOutParameters(
            bankruptcy_adjustment=given.bankruptcy_adjustment,
            spread_to_maintenance_ratio=given.spread_to_maintenance_ratio,
            amount_tick=given.amount_tick,
        ),
        cash_balance=inputs.cash_balance,
        close_symbol=inputs.close_symbol,
        close_quantity=inputs.close_quantity,
    )


CALCULATIONS = (
    Calculation(
        name="liquidation_price",
        summary="The price at which the collateral of a position falls to its maintenance "
        "requirement.",
        model=LiquidationPriceInputs,
        function=_liquidation_price,
    ),
    Calculation(
        name="close_out_price",
        summary="The price at which an account in liquidation offers a position, and the cash "
        "that would leave it exactly bankrupt (dYdX v4).",
        model=CloseOutPriceInputs,
        function=_close_out_price,
    ),
)
