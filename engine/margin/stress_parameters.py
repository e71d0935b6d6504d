"""Parameters of the house's stress grid: price and volatility moves by class of underlying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from annotated_types import MinLen

from engine.limits import STRICT, NonNegative, Positive
from engine.margin.scenario_parameters import PriceShock, ScenarioGridParameters, VolatilityMove

StressClass: TypeAlias = Literal["major", "minor", "pegged"]
"""Class of an underlying; each has its own cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StressCells:
    """Cells of one class of underlying: every price shock with every volatility move, then tails.

    Names and meanings are those of ``ScenarioGridParameters``; what that has of contingencies,
    factors and charges is the venues' own and has no place here.
    """

    __pydantic_config__ = STRICT
    price_shocks: Annotated[tuple[PriceShock, ...], MinLen(1)]
    volatility_moves: Annotated[tuple[VolatilityMove, ...], MinLen(1)] = ("unchanged",)
    volatility_shock_up: NonNegative = 0.0
    volatility_shock_down: NonNegative = 0.0
    volatility_power_short: NonNegative = 0.0
    volatility_power_long: NonNegative = 0.0
    days_to_expiry_min: Positive = 1.0
    volatility_min: NonNegative = 0.0
    extended_price_shocks: tuple[PriceShock, ...] = ()
    extended_fraction: NonNegative = 0.0

    def __post_init__(self) -> None:
        # Whatever a grid refuses, these cells refuse.
        self.grid()

    def grid(self) -> ScenarioGridParameters:
        """Return the grid without contingencies."""
        return ScenarioGridParameters(
            price_shocks=self.price_shocks,
            volatility_moves=self.volatility_moves,
            volatility_shock_up=self.volatility_shock_up,
            volatility_shock_down=self.volatility_shock_down,
            volatility_power_short=self.volatility_power_short,
            volatility_power_long=self.volatility_power_long,
            days_to_expiry_min=self.days_to_expiry_min,
            volatility_min=self.volatility_min,
            extended_price_shocks=self.extended_price_shocks,
            extended_fraction=self.extended_fraction,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StressGrid:
    """The house's stress grid: reported beside every requirement, and its floor where it binds."""

    __pydantic_config__ = STRICT
    binds: bool
    """Whether the core model with its tools is never less than the stress grid's loss."""
    major: StressCells
    minor: StressCells
    pegged: StressCells
