"""Margin of futures and perpetuals whose rates grow with size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final, Literal

from pydantic import Field

from engine.margin.tiered import (
    NotionalTiers,
    OpenInterestScaled,
    SizeSlope,
    Tier,
    TieredParameters,
    TieredPosition,
    tiered_margin,
)
from engine.settlement.position import Settlement
from infra.compute.calculation import Calculation
from infra.compute.fields import (
    Body,
    Fraction,
    Inputs,
    NonNegative,
    NotEmpty,
    Number,
    Positive,
    Text,
    Uses,
    contract_fault,
    keep_fields_of,
)

MULTIPLIER_MEANING: Final = (
    "units of underlying per contract (linear) or quote currency per contract (inverse)"
)
SETTLEMENT_MEANING: Final = (
    "linear: paid in the quote currency; inverse: paid in the underlying coin"
)
_INITIAL_RATE_MEANING: Final = (
    "fraction of notional: of the tier, or the base rate of the other two rules"
)
_MAINTENANCE_RATE_MEANING: Final = (
    "fraction of notional; in a tier, default 1/(2 x leverage_max) when that is given"
)
_CAPS: Final = ("open_interest_lower_cap", "open_interest_upper_cap")


class TieredPositionInputs(Inputs):
    """One position."""

    symbol: Text = Field(description="name that links a position to its parameters")
    quantity: Number = Field(description="signed number of contracts, long > 0")
    mark_price: Positive = Field(description="price at which the venue margins the position")
    contract_multiplier: Positive = Field(1.0, description=MULTIPLIER_MEANING)
    settlement: Settlement = Field("linear", description=SETTLEMENT_MEANING)
    leverage: Positive | None = Field(None, description="leverage chosen by the account")
    open_interest: NonNegative | None = Field(
        None,
        description="open interest of the whole market [contracts]; needed when the caps differ",
    )


class TierInputs(Inputs):
    """One tier."""

    notional_floor: NonNegative = Field(description="lower bound of the tier [settlement currency]")
    maintenance_margin_rate: Fraction | None = Field(None, description=_MAINTENANCE_RATE_MEANING)
    initial_margin_rate: Fraction | None = Field(None, description=_INITIAL_RATE_MEANING)
    leverage_max: Positive | None = Field(None, description="largest leverage in this tier")


class TieredParametersInputs(Inputs):
    """Rule of one symbol."""

    rule: Literal["notional_tiers", "size_slope", "open_interest_scaled"] = Field(
        description="named rule, see above"
    )
    tiers: NotEmpty[TierInputs] | None = Field(
        None, description="for notional_tiers: ascending floors, the first is 0"
    )
    initial_margin_rate: Fraction | None = Field(None, description=_INITIAL_RATE_MEANING)
    maintenance_margin_rate: Fraction | None = Field(None, description=_MAINTENANCE_RATE_MEANING)
    rate_slope_per_unit: NonNegative | None = Field(
        None, description="for size_slope: added to both rates per unit of size above the threshold"
    )
    size_threshold: NonNegative = Field(0.0, description="size below which no slope applies")
    maintenance_fraction: Fraction | None = Field(
        None,
        description="for open_interest_scaled: maintenance rate = initial_margin_rate x this",
    )
    open_interest_lower_cap: NonNegative = Field(
        0.0, description="open interest value where the scaling starts [quote currency]"
    )
    open_interest_upper_cap: NonNegative = Field(
        0.0, description="value where the rate reaches 1; equal caps switch the scaling off"
    )
    rate_tick: Positive | None = Field(
        None, description="rates are rounded down to it (open_interest_scaled only)"
    )
    amount_tick: Positive | None = Field(None, description="margins are rounded up to it")

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Keep the fields of the rule."""
        rates = ("initial_margin_rate", "maintenance_margin_rate", "rate_slope_per_unit")
        scaled = ("initial_margin_rate", "maintenance_fraction")
        uses = {
            "notional_tiers": Uses(needed=("tiers",)),
            "size_slope": Uses(needed=rates, optional=("size_threshold",)),
            "open_interest_scaled": Uses(needed=scaled, optional=(*_CAPS, "rate_tick")),
        }
        keep_fields_of(given, "rule", uses)

    def parameters(self) -> TieredParameters:
        """Return the engine's parameters."""
        if self.rule == "notional_tiers":
            return NotionalTiers(
                tiers=tuple(
                    Tier(
                        notional_floor=tier.notional_floor,
                        maintenance_margin_rate=tier.maintenance_margin_rate,
                        initial_margin_rate=tier.initial_margin_rate,
                        leverage_max=tier.leverage_max,
                    )
                    for tier in self.tiers or ()
                ),
                amount_tick=self.amount_tick,
            )
        if self.rule == "size_slope":
            return SizeSlope(
                initial_margin_rate=self.initial_margin_rate or 0.0,
                maintenance_margin_rate=self.maintenance_margin_rate or 0.0,
                rate_slope_per_unit=self.rate_slope_per_unit or 0.0,
                size_threshold=self.size_threshold,
                amount_tick=self.amount_tick,
            )
        return OpenInterestScaled(
            initial_margin_rate=self.initial_margin_rate or 0.0,
            maintenance_fraction=self.maintenance_fraction or 0.0,
            open_interest_lower_cap=self.open_interest_lower_cap,
            open_interest_upper_cap=self.open_interest_upper_cap,
            rate_tick=self.rate_tick,
            amount_tick=self.amount_tick,
        )


class TieredMarginInputs(Inputs):
    """Body of ``tiered_margin``."""

    positions: tuple[TieredPositionInputs, ...] = Field(description="positions of the account")
    parameters: Mapping[Text, TieredParametersInputs] = Field(
        description="object: one entry per symbol"
    )

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Require the open interest where a rate depends on it; drop what a rule does not use."""
        positions, parameters = given.get("positions"), given.get("parameters")
        if isinstance(positions, list) and isinstance(parameters, dict):
            given["positions"] = [
                _used(position, parameters, row) for row, position in enumerate(positions)
            ]


def _used(position: object, parameters: Mapping[object, object], row: int) -> object:
    """Return a position with the fields that its symbol's rule uses."""
    symbol = position.get("symbol") if isinstance(position, dict) else None
    rules = parameters.get(symbol) if isinstance(symbol, str) else None
    if not isinstance(position, dict) or not isinstance(rules, dict):
        return position
    is_scaled = rules.get("rule") == "open_interest_scaled"
    unused = "leverage" if is_scaled else "open_interest"
    lower, upper = (0 if rules.get(cap) is None else rules[cap] for cap in _CAPS)
    if is_scaled and lower == upper:
        return {key: each for key, each in position.items() if key not in (unused, "open_interest")}
    if is_scaled and position.get("open_interest") is None:
        raise contract_fault(
            f"Field missing: positions[{row}].open_interest, needed when the caps differ"
        )
    return {key: each for key, each in position.items() if key != unused}


def _tiered_margin(inputs: TieredMarginInputs) -> Mapping[str, object]:
    positions = [
        TieredPosition(
            symbol=each.symbol,
            quantity=each.quantity,
            mark_price=each.mark_price,
            contract_multiplier=each.contract_multiplier,
            settlement=each.settlement,
            leverage=each.leverage,
            open_interest=each.open_interest,
        )
        for each in inputs.positions
    ]
    parameters = {symbol: each.parameters() for symbol, each in inputs.parameters.items()}
    margin = tiered_margin(positions, parameters)
    rows = [
        {name: value for name, value in asdict(each).items() if value is not None}
        for each in margin.positions
    ]
    return {
        "positions": rows,
        "maintenance_margin": margin.maintenance_margin,
        "initial_margin": margin.initial_margin,
    }


CALCULATIONS = (
    Calculation(
        name="tiered_margin",
        summary="Initial and maintenance margin of futures and perpetuals whose rates grow with "
        "size.",
        model=TieredMarginInputs,
        function=_tiered_margin,
    ),
)
