"""Portfolio margin over a grid of price and volatility moves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt
from pydantic import Field

from engine.arrays import Float64Array1D
from engine.errors import ModelInputError
from engine.margin.scenario_grid import (
    INSTRUMENT_TYPES,
    AddOn,
    Buckets,
    DepegTier,
    ExtraScenario,
    GridRevaluation,
    Holdings,
    ScenarioGridParameters,
    ScenarioInstruments,
    VolatilityMove,
    revalue_grid,
    scenario_margin,
)
from engine.pricing.terms import Settlement
from infra.compute.calculation import Calculation
from infra.compute.fields import (
    Body,
    Fraction,
    Inputs,
    Instant,
    NonNegative,
    NotEmpty,
    Number,
    Positive,
    Text,
    Uses,
    keep_fields_of,
    require,
)

Shock = Annotated[Number, Gt(-1.0)]
_OPTION_FIELDS = (
    "expiry",
    "option_type",
    "strike_price",
    "volatility",
    "forward_price",
    "risk_free_rate",
)
_SECONDS_PER_YEAR = 31_536_000.0


class ScenarioPositionInputs(Inputs):
    """One position."""

    symbol: Text = Field(description="name that links a position to its parameters")
    instrument_type: Literal["perpetual", "future", "option", "spot"] = Field(
        description="kind of instrument"
    )
    quantity: Number = Field(description="signed number of contracts, long > 0")
    mark_price: Positive | None = Field(
        None,
        description="price to which the shock is applied; needed for futures and perpetuals, "
        "spot defaults to index_price",
    )
    contract_multiplier: Positive = Field(
        1.0,
        description="units of underlying per contract (linear) or quote currency per contract "
        "(inverse)",
    )
    settlement: Settlement = Field(
        "linear",
        description="linear: paid in the quote currency; inverse: paid in the underlying coin",
    )
    expiry: Instant | None = Field(None, description="expiry instant, ISO 8601 with offset")
    option_type: Literal["call", "put"] | None = Field(
        None, description="right to buy (call) or to sell (put)"
    )
    strike_price: Positive | None = Field(None, description="strike [quote currency]")
    volatility: Positive | None = Field(
        None, description="annual log-normal volatility, 0.55 = 55%"
    )
    forward_price: Positive | None = Field(None, description="option forward, default index_price")
    risk_free_rate: Number = Field(0.0, description="continuous annual rate used for discounting")
    scenario_pnl: tuple[Number, ...] | None = Field(
        None,
        description="the venue's own P&L, one number per scenario before weights; replaces the "
        "revaluation",
    )

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Keep the fields of the kind of instrument."""
        is_given = "scenario_pnl" in given
        priced = ("expiry", "option_type", "strike_price", "volatility")
        option = (
            Uses(optional=_OPTION_FIELDS)
            if is_given
            else Uses(needed=priced, optional=("forward_price", "risk_free_rate"))
        )
        uses = {
            "perpetual": Uses(needed=("mark_price",)),
            "future": Uses(needed=("mark_price", "expiry")),
            "option": option,
            "spot": Uses(optional=("mark_price",)),
        }
        keep_fields_of(given, "instrument_type", uses)

    @property
    def is_repriced_option(self) -> bool:
        """Whether the position is an option that the grid reprices."""
        return self.instrument_type == "option" and self.scenario_pnl is None


class ExtraScenarioInputs(Inputs):
    """One cell after the grid."""

    price_shock: Shock = Field(description="relative move of the underlying, -0.1 = down 10%")
    volatility_move: VolatilityMove = Field(
        "unchanged", description="volatility state of the scenario"
    )
    weight: NonNegative = Field(1.0, description="multiplies the P&L of the scenario")


class DepegTierInputs(Inputs):
    """One tier of the depeg charge."""

    notional_floor: NonNegative = Field(description="lower bound of the tier")
    rate: Fraction = Field(description="fraction charged in the tier")


class AddOnInputs(Inputs):
    """Fixed amounts."""

    name: Text = Field(description="free text")
    initial_margin: NonNegative = Field(description="amount added to initial margin")
    maintenance_margin: NonNegative = Field(description="amount added to maintenance margin")


class ScenarioParameterInputs(Inputs):
    """Grid, contingencies and factors."""

    price_shocks: NotEmpty[Shock] = Field(description="relative moves of the grid")
    volatility_moves: tuple[VolatilityMove, ...] = Field(
        ("unchanged",), description='states of the grid, default ["unchanged"]'
    )
    extra_scenarios: tuple[ExtraScenarioInputs, ...] = Field(
        (), description="further cells after the grid"
    )
    volatility_shock_up: NonNegative = Field(0.0, description="relative rise at 30 days")
    volatility_shock_down: NonNegative = Field(0.0, description="relative fall at 30 days")
    volatility_power_short: Number = Field(0.0, description="power of 30/days below 30 days")
    volatility_power_long: Number = Field(0.0, description="power of 30/days from 30 days on")
    days_to_expiry_min: NonNegative = Field(0.0, description="floor of the days in 30/days")
    volatility_min: NonNegative = Field(0.0, description="floor of the volatility after a rise")
    annualised_move_risk: NonNegative = Field(0.0, description="A of the roll contingency")
    annualised_move_min: NonNegative = Field(0.0, description="floor of the roll contingency")
    futures_gross_rate: NonNegative = Field(0.0, description="x sum of absolute futures notional")
    futures_offset_rate: NonNegative = Field(
        0.0, description="x smaller of long and short futures notional"
    )
    option_gross_rate: NonNegative = Field(0.0, description="x sum of absolute option notional")
    net_short_option_rate: NonNegative = Field(
        0.0, description="x net short options per expiry and strike"
    )
    minimum_charge_rate: NonNegative = Field(
        0.0, description="x sum of absolute futures notional; a floor"
    )
    depeg_hedged_notional: NonNegative = Field(
        0.0, description="notional hedged across two stablecoins"
    )
    depeg_tiers: tuple[DepegTierInputs, ...] = Field((), description="marginal tiers on it")
    add_ons: tuple[AddOnInputs, ...] = Field((), description="fixed amounts added at the end")
    contingency_amount: NonNegative = Field(
        0.0, description="contingencies that the venue reports as an amount"
    )
    initial_margin_factor: NonNegative = Field(1.0, description="x risk margin")
    maintenance_margin_factor: NonNegative = Field(1.0, description="x risk margin")
    gain_offset_fraction: Fraction | None = Field(
        None, description="share of the best gain that may offset other books"
    )
    gain_offset_max: NonNegative | None = Field(None, description="cap of that gain")

    def grid(self) -> ScenarioGridParameters:
        """Return the parameters as the engine takes them."""
        plain = {name: getattr(self, name) for name in type(self).model_fields}
        plain["extra_scenarios"] = tuple(
            ExtraScenario(**each.model_dump()) for each in self.extra_scenarios
        )
        plain["depeg_tiers"] = tuple(DepegTier(**each.model_dump()) for each in self.depeg_tiers)
        plain["add_ons"] = tuple(AddOn(**each.model_dump()) for each in self.add_ons)
        return ScenarioGridParameters(**plain)


class ScenarioMarginInputs(Inputs):
    """Body of ``scenario_margin``."""

    valuation_time: Instant | None = Field(
        None, description="needed when an option is repriced or a dated future is present"
    )
    positions: tuple[ScenarioPositionInputs, ...] = Field(description="positions of the account")
    index_price: Positive = Field(description="spot reference [quote currency]")
    parameters: ScenarioParameterInputs = Field(description="model parameters")

    @classmethod
    def prepare(cls, given: Body) -> None:
        """Require the instant of the calculation where a position has a time to expiry."""
        positions = given.get("positions")
        for position in positions if isinstance(positions, list) else ():
            kind = position.get("instrument_type") if isinstance(position, dict) else None
            if kind == "future" or (kind == "option" and position.get("scenario_pnl") is None):
                require(given, "valuation_time", by=f"a position of type {kind!r}")


def _scenario_margin(inputs: ScenarioMarginInputs) -> Mapping[str, object]:
    rows = inputs.positions
    grid = revalue_grid(_instruments(inputs), inputs.parameters.grid())
    settlements = {row.settlement for row in rows}
    bucket = Buckets(
        index_price=np.array([inputs.index_price]),
        is_inverse=np.array([settlements == {"inverse"}]),
    )
    found = scenario_margin(grid, _holdings(inputs, grid), bucket)
    gain = found.offsettable_gain
    return {
        "scenario_pnl": [float(cell) for cell in found.scenario_pnl[0]],
        "worst_loss": float(found.worst_loss[0]),
        "roll_contingency": float(found.roll_contingency[0]),
        "futures_contingency": float(found.futures_contingency[0]),
        "option_contingency": float(found.option_contingency[0]),
        "depeg_contingency": float(found.depeg_contingency[0]),
        "minimum_charge": float(found.minimum_charge[0]),
        "risk_margin": float(found.risk_margin[0]),
        "initial_margin": float(found.initial_margin[0]),
        "maintenance_margin": float(found.maintenance_margin[0]),
        "shocked_volatilities": [
            {
                "symbol": row.symbol,
                "volatility_up": float(grid.volatilities[2, number]),
                "volatility_down": float(grid.volatilities[0, number]),
            }
            for number, row in enumerate(rows)
            if row.is_repriced_option
        ],
        "offsettable_gain": None if gain is None else float(gain[0]),
    }


def _instruments(inputs: ScenarioMarginInputs) -> ScenarioInstruments:
    rows = inputs.positions

    def numbers(values: list[float | None]) -> Float64Array1D:
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    return ScenarioInstruments(
        symbol=np.array([row.symbol for row in rows], dtype=object),
        kind=np.array([INSTRUMENT_TYPES.index(row.instrument_type) for row in rows], dtype=np.int8),
        is_inverse=np.array([row.settlement == "inverse" for row in rows], dtype=np.bool_),
        contract_multiplier=numbers([row.contract_multiplier for row in rows]),
        mark_price=numbers([row.mark_price or inputs.index_price for row in rows]),
        years=numbers([_years(row, inputs.valuation_time) for row in rows]),
        is_call=np.array([row.option_type == "call" for row in rows], dtype=np.bool_),
        strike_price=numbers([row.strike_price for row in rows]),
        forward_price=numbers([row.forward_price or inputs.index_price for row in rows]),
        volatility=numbers([row.volatility for row in rows]),
        risk_free_rate=numbers([row.risk_free_rate for row in rows]),
    )


def _years(row: ScenarioPositionInputs, valuation_time: datetime | None) -> float | None:
    if row.expiry is None or valuation_time is None:
        return None
    years = (row.expiry - valuation_time).total_seconds() / _SECONDS_PER_YEAR
    if years <= 0.0:
        raise ModelInputError(
            f"{row.symbol} expired at {row.expiry.isoformat()}, limit: after valuation_time "
            f"{valuation_time.isoformat()}",
            identifier=row.symbol,
        )
    return years


def _holdings(inputs: ScenarioMarginInputs, grid: GridRevaluation) -> Holdings:
    rows = inputs.positions
    given = np.full((len(rows), len(grid.cells)), np.nan)
    for number, row in enumerate(rows):
        if row.scenario_pnl is None:
            continue
        if len(row.scenario_pnl) != len(grid.cells):
            raise ModelInputError(
                f"scenario_pnl of {row.symbol} has {len(row.scenario_pnl)} numbers, the grid "
                f"{len(grid.cells)} scenarios",
                identifier=row.symbol,
                value=len(row.scenario_pnl),
                limit=f"{len(grid.cells)}",
            )
        given[number] = row.scenario_pnl
    everything = np.arange(len(rows))
    return Holdings(
        bucket=np.zeros(len(rows), dtype=np.int64),
        instrument=everything,
        quantity=np.array([row.quantity for row in rows], dtype=np.float64),
        scenario_pnl=given,
    )


CALCULATIONS = (
    Calculation(
        name="scenario_margin",
        summary="Portfolio margin: the worst loss over a grid of price and volatility moves, plus "
        "contingencies (Deribit, OKX, Bybit, Dederi, Paradex).",
        model=ScenarioMarginInputs,
        function=_scenario_margin,
    ),
)
