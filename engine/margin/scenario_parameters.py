"""Parameters of portfolio margin by scenario grid, as venues publish them.

Field names are those of the venues' conformance vectors; rates, shocks and fractions are fractions.
What follows ``gain_offset_max`` goes beyond them and is off by default; each such field states how
well its rule is supported.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge, Gt, MinLen

from engine.errors import ParameterError
from engine.limits import STRICT, Fraction, NonNegative

PriceShock: TypeAlias = Annotated[float, Gt(-1.0)]
VolatilityMove: TypeAlias = Literal["down", "unchanged", "up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraScenario:
    """One cell after the grid.

    Attributes
    ----------
    price_shock : float
        Relative move of the underlying, -0.1 = down 10 %. [-]
    volatility_move : {"down", "unchanged", "up"}
    weight : float
        Multiplies the profit and loss of the cell. [-]
    """

    __pydantic_config__ = STRICT
    price_shock: PriceShock
    volatility_move: VolatilityMove = "unchanged"
    weight: NonNegative = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DepegTier:
    """Marginal rate on the notional hedged across two stablecoins, from ``notional_floor`` on."""

    __pydantic_config__ = STRICT
    notional_floor: NonNegative
    rate: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOn:
    """Fixed amounts that a venue adds at the end. [settlement currency]"""

    __pydantic_config__ = STRICT
    name: str
    initial_margin: NonNegative
    maintenance_margin: NonNegative


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeTier:
    """Marginal multiplier of the raw minimum charge, from ``charge_floor`` on."""

    __pydantic_config__ = STRICT
    charge_floor: NonNegative
    multiplier: Annotated[float, Ge(1.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioGridParameters:
    """Grid, volatility shocks, contingencies and factors of one portfolio margin model.

    Cells are every price shock with every volatility move, weight 1, then ``extra_scenarios``,
    then ``extended_price_shocks``. Amounts are in the settlement currency of the book.

    Attributes
    ----------
    price_shocks : tuple of float
        Relative moves of the grid, above -1. [-]
    volatility_moves : tuple of {"down", "unchanged", "up"}
        Volatility states of the grid.
    extra_scenarios : tuple of ExtraScenario
        Further cells.
    volatility_shock_up, volatility_shock_down : float
        Relative rise and fall at 30 days. [-]
    volatility_power_short, volatility_power_long : float
        Power of 30/days below 30 days, and from there on. [-]
    days_to_expiry_min : float
        Floor of the days in 30/days. [days]
    volatility_min : float
        Floor of the volatility after a rise. [1/sqrt(year)]
    annualised_move_risk, annualised_move_min : float
        Roll contingency: rate ``exp(risk * years) - 1``, and its floor. [1/year], [-]
    futures_gross_rate, futures_offset_rate : float
        Of the gross notional of futures, and of the smaller of its long and short side. [-]
    option_gross_rate, net_short_option_rate : float
        Of the gross notional of options, and of what is net short per expiry and strike. [-]
    minimum_charge_rate : float
        Of the gross notional of futures: a floor of the risk margin. [-]
    depeg_hedged_notional : float
        Notional hedged across two stablecoins.
    depeg_tiers : tuple of DepegTier
        Marginal rates on it; ascending floors, nothing is charged below the first.
    add_ons : tuple of AddOn
        Added after the factors.
    contingency_amount : float
        Contingencies that the venue reports as an amount.
    initial_margin_factor, maintenance_margin_factor : float
        Multiply the risk margin. [-]
    gain_offset_fraction, gain_offset_max : float, optional
        Share of a bucket's best gain that may offset losses of other buckets, and its cap.
    extended_price_shocks : tuple of float
        Tail cells, volatility up (Deribit extended table, -66 % to +500 %; Derive's tails have
        the same form). With R the largest absolute grid shock, a cell counts
        ``extended_fraction * R / |s|``; for an inverse book, whose loss in coin is one in quote
        currency at the moved price, also times ``(1 + s) / (1 +- R)``. Evidence: published example
        (Deribit ``private/pme/simulate`` sample of 17 Jun 2024) for futures, inferred for options.
    extended_fraction : float
        See there; Deribit ``extended_table_factor``. [-]
    extended_dampener : float
        Subtracted from the size of a tail cell's profit or loss, times ``|s| / R - 1`` where that
        is positive, to no less than zero. Evidence: inferred; consistent with the same sample.
        [quote currency]
    delta_shock_threshold : float, optional
        Notional of the net delta from which it is a concentration (Deribit
        ``delta_total_liq_shock_threshold``); none switches the charge off. Evidence: inferred.
        [quote currency]
    delta_shock_slope, delta_shock_max : float
        Rate on the whole net delta: ``min(slope * delta above the threshold, max)``. [1/unit of
        underlying], [-]
    minimum_charge_tiers : tuple of ChargeTier
        Marginal multipliers of the raw minimum charge (OKX MR7, table in force until 15 Jan 2025);
        ascending floors, the first is 0. That they are marginal is inferred.

    Raises
    ------
    ParameterError
        If there is no cell, tiers do not ascend, a tail cell lies within the grid or has no
        fraction, or the delta shock is given in part.
    """

    __pydantic_config__ = STRICT
    price_shocks: Annotated[tuple[PriceShock, ...], MinLen(1)]
    volatility_moves: tuple[VolatilityMove, ...] = ("unchanged",)
    extra_scenarios: tuple[ExtraScenario, ...] = ()
    volatility_shock_up: NonNegative = 0.0
    volatility_shock_down: NonNegative = 0.0
    volatility_power_short: float = 0.0
    volatility_power_long: float = 0.0
    days_to_expiry_min: NonNegative = 0.0
    volatility_min: NonNegative = 0.0
    annualised_move_risk: NonNegative = 0.0
    annualised_move_min: NonNegative = 0.0
    futures_gross_rate: NonNegative = 0.0
    futures_offset_rate: NonNegative = 0.0
    option_gross_rate: NonNegative = 0.0
    net_short_option_rate: NonNegative = 0.0
    minimum_charge_rate: NonNegative = 0.0
    depeg_hedged_notional: NonNegative = 0.0
    depeg_tiers: tuple[DepegTier, ...] = ()
    add_ons: tuple[AddOn, ...] = ()
    contingency_amount: NonNegative = 0.0
    initial_margin_factor: NonNegative = 1.0
    maintenance_margin_factor: NonNegative = 1.0
    gain_offset_fraction: Fraction | None = None
    gain_offset_max: NonNegative | None = None
    extended_price_shocks: tuple[PriceShock, ...] = ()
    extended_fraction: NonNegative = 0.0
    extended_dampener: NonNegative = 0.0
    delta_shock_threshold: NonNegative | None = None
    delta_shock_slope: NonNegative = 0.0
    delta_shock_max: NonNegative = 0.0
    minimum_charge_tiers: tuple[ChargeTier, ...] = ()

    def __post_init__(self) -> None:
        n_cells = len(self.price_shocks) * len(self.volatility_moves)
        if not n_cells + len(self.extra_scenarios) + len(self.extended_price_shocks):
            raise ParameterError(
                f"{len(self.price_shocks)} price_shocks with {len(self.volatility_moves)} "
                "volatility_moves and no extra scenario have no cell, limit: at least one",
                identifier="volatility_moves",
                value=0,
                limit="at least one cell",
            )
        _require_ascending("depeg_tiers", [tier.notional_floor for tier in self.depeg_tiers])
        floors = [tier.charge_floor for tier in self.minimum_charge_tiers]
        _require_ascending("minimum_charge_tiers", floors)
        if floors and floors[0] != 0.0:
            raise ParameterError(
                f"minimum_charge_tiers start at {floors[0]}, limit: 0, for below it there is no "
                "multiplier",
                identifier="minimum_charge_tiers",
                value=floors[0],
                limit="0",
            )
        self._require_tails_beyond_the_grid()
        is_given_in_part = not (self.delta_shock_slope and self.delta_shock_max)
        if self.delta_shock_threshold is not None and is_given_in_part:
            raise ParameterError(
                f"delta_shock_threshold is {self.delta_shock_threshold} with slope "
                f"{self.delta_shock_slope} and max {self.delta_shock_max}, limit: both above 0",
                identifier="delta_shock_threshold",
                value=self.delta_shock_threshold,
                limit="delta_shock_slope and delta_shock_max above 0",
            )

    def _require_tails_beyond_the_grid(self) -> None:
        if self.extended_price_shocks and not 0.0 < self.price_range < 1.0:
            raise ParameterError(
                f"extended_price_shocks scale by the grid's range {self.price_range}, limit: "
                "above 0, below 1",
                identifier="price_shocks",
                value=self.price_range,
                limit="above 0, below 1",
            )
        for shock in self.extended_price_shocks:
            if shock == 0.0 or abs(shock) < self.price_range:
                raise ParameterError(
                    f"extended_price_shocks hold {shock}, limit: not 0 and at least the grid's "
                    f"{self.price_range} in size",
                    identifier="extended_price_shocks",
                    value=shock,
                    limit=f">= {self.price_range} in size",
                )
        if self.extended_price_shocks and not self.extended_fraction > 0.0:
            raise ParameterError(
                f"extended_fraction is {self.extended_fraction} with "
                f"{len(self.extended_price_shocks)} extended_price_shocks, limit > 0",
                identifier="extended_fraction",
                value=self.extended_fraction,
                limit="> 0",
            )

    @property
    def price_range(self) -> float:
        """Largest absolute price shock of the grid. [-]"""
        return max((abs(shock) for shock in self.price_shocks), default=0.0)


def _require_ascending(name: str, floors: list[float]) -> None:
    if any(upper <= lower for lower, upper in itertools.pairwise(floors)):
        raise ParameterError(
            f"{name} have the floors {floors}, limit: strictly increasing",
            identifier=name,
            value=floors,
            limit="strictly increasing",
        )
