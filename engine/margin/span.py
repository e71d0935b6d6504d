"""SPAN: sixteen scenarios of a combined commodity, and how its components combine.

What is read off deltas (spreads, short-option minimum) is in ``span_spreads``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt

from engine.arrays import Float64Array1D, Float64Array2D, ObjectArray1D
from engine.errors import ModelInputError, ParameterError
from engine.kernels.exact_sums import grouped_sums, rounded
from engine.limits import STRICT, Fraction, NonNegative
from engine.margin.scenario_book import Holdings, bucket_scenario_pnl
from engine.margin.scenario_cells import ScenarioCells
from engine.margin.scenario_pnl import (
    ScenarioInstruments,
    faults,
    unit_option_value,
    unit_scenario_pnl,
)

__all__ = [
    "N_SCENARIOS",
    "SpanCharges",
    "SpanParameters",
    "SpanRequirement",
    "SpanRevaluation",
    "SpanScenarios",
    "revalue_span",
    "span_losses",
    "span_requirement",
    "span_scenarios",
]

N_SCENARIOS: Final = 16
# Scenarios 1 to 14 in thirds of the price scan range, each with volatility up, then down; 15 and
# 16 are the extreme moves with unchanged volatility. CME SPAN component pages.
_THIRDS: Final = (0, 1, -1, 2, -2, 3, -3)
_VOLATILITY_UP, _VOLATILITY_DOWN, _VOLATILITY_UNCHANGED = range(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanParameters:
    """Scan ranges and charges of one combined commodity.

    Attributes
    ----------
    price_scan_range : float
        Relative price move of scenarios 11 to 14, below 1. [-]
    volatility_scan_range : float
        Change of the annual volatility; a fall ends no lower than zero. [1/sqrt(year), or a share
        of each option's own where ``volatility_scan`` is ``relative``]
    extreme_move_multiplier : float
        Price move of scenarios 15 and 16 in price scan ranges; the fall must stay below 1. [-]
    extreme_cover_fraction : float
        Share of their loss that counts. [-]
    volatility_scan : {"absolute", "relative"}
    extreme_fall_max : float, optional
        Where the extreme fall ends: ranges above a third need it, no price falls by more than all
        of it. [-]
    inter_month_charge_rate : float
        Charge per unit of underlying held long in one month against short in another. [price]
    short_option_minimum_rate : float
        Least charge per unit of underlying of a short option. [price scan range]
    initial_margin_factor : float
        What a client brings before it opens a position, over what the house maintains. [-]

    Raises
    ------
    ParameterError
        If the extreme fall reaches the whole price.
    """

    __pydantic_config__ = STRICT
    price_scan_range: Annotated[float, Gt(0.0), Lt(1.0)]
    volatility_scan_range: NonNegative
    extreme_move_multiplier: Annotated[float, Gt(0.0)] = 3.0
    extreme_cover_fraction: Fraction = 0.33
    volatility_scan: Literal["absolute", "relative"] = "absolute"
    extreme_fall_max: Annotated[float, Gt(0.0), Lt(1.0)] | None = None
    inter_month_charge_rate: NonNegative = 0.0
    short_option_minimum_rate: NonNegative = 0.0
    initial_margin_factor: Annotated[float, Ge(1.0)] = 1.0

    def __post_init__(self) -> None:
        extreme = self.extreme_move_multiplier * self.price_scan_range
        if extreme >= 1.0 and self.extreme_fall_max is None:
            raise ParameterError(
                f"the extreme fall is {extreme} of the price, limit < 1: price_scan_range "
                f"{self.price_scan_range} times extreme_move_multiplier "
                f"{self.extreme_move_multiplier}; state where it ends with extreme_fall_max",
                identifier="extreme_move_multiplier",
                value=extreme,
                limit="< 1",
            )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SpanScenarios:
    """Scenario losses and option value of each combined commodity.

    Attributes
    ----------
    scenario_losses : Float64Array2D, shape (n_commodities, 16)
        Loss > 0, gain < 0; the extremes weighted. [settlement currency]
    net_option_value : Float64Array1D, shape (n_commodities,)
        Long minus short option value. [settlement currency]
    """

    scenario_losses: Float64Array2D
    net_option_value: Float64Array1D


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanCharges:
    """What SPAN adds to and takes from the scan risk; amounts >= 0 but the option value."""

    intra_commodity_charge: float = 0.0
    delivery_charge: float = 0.0
    inter_commodity_credit: float = 0.0
    short_option_minimum: float = 0.0
    net_option_value: float = 0.0


@dataclass(frozen=True, slots=True)
class SpanRequirement:
    """Requirement of one combined commodity, not rounded. [settlement currency]"""

    scan_risk: float
    risk_margin: float
    margin_requirement: float


@dataclass(frozen=True, slots=True, eq=False)
class SpanRevaluation:
    """One contract of each instrument in the sixteen scenarios.

    Attributes
    ----------
    parameters : SpanParameters
    symbol : ObjectArray1D of str
    cells : ScenarioCells
    unit_pnl : Float64Array2D, shape (n_instruments, 16)
        Profit (+) or loss (-), the extremes weighted; NaN with a fault. [settlement currency]
    unit_option_value : Float64Array1D, shape (n_instruments,)
        Zero for others than options. [settlement currency]
    fault : tuple of str
        Why an instrument cannot be revalued, or empty text.
    """

    parameters: SpanParameters
    symbol: ObjectArray1D
    cells: ScenarioCells
    unit_pnl: Float64Array2D
    unit_option_value: Float64Array1D
    fault: tuple[str, ...]


def revalue_span(instruments: ScenarioInstruments, parameters: SpanParameters) -> SpanRevaluation:
    """Return the sixteen scenarios of every instrument, which serve any number of books [1]_.

    1 and 2 move the volatility alone, up then down; 3 to 14 add a third, two thirds and the whole
    of the price scan range, up before down; 15 and 16 are the extreme moves, of which a share
    counts. Futures are exact and options repriced; no time passes.

    References
    ----------
    .. [1] CME Group, SPAN component pages and advisories 20-251 and 20-319. Evidence: documented.
    """
    cells = _cells(parameters)
    held = instruments.volatility
    is_relative = parameters.volatility_scan == "relative"
    step = parameters.volatility_scan_range * (held if is_relative else np.ones(len(held)))
    volatilities = np.stack((held + step, np.maximum(held - step, 0.0), held))
    return SpanRevaluation(
        parameters=parameters,
        symbol=instruments.symbol,
        cells=cells,
        unit_pnl=unit_scenario_pnl(instruments, cells, volatilities),
        unit_option_value=unit_option_value(instruments),
        fault=faults(instruments),
    )


def span_scenarios(
    instruments: ScenarioInstruments,
    holdings: Holdings,
    n_commodities: int,
    parameters: SpanParameters,
) -> SpanScenarios:
    """Return the sixteen losses and the option value of each combined commodity.

    Parameters
    ----------
    holdings : Holdings
        Positions; the bucket of each is its combined commodity.

    Raises
    ------
    ModelInputError
        If a held instrument cannot be revalued or a quantity is not finite.
    """
    return span_losses(revalue_span(instruments, parameters), holdings, n_commodities)


def span_losses(
    revaluation: SpanRevaluation, holdings: Holdings, n_commodities: int
) -> SpanScenarios:
    """Return ``span_scenarios`` of instruments that are revalued already."""
    for row in np.unique(holdings.instrument):
        if revaluation.fault[row]:
            raise ModelInputError(revaluation.fault[row], identifier=str(revaluation.symbol[row]))
    pnl = rounded(
        bucket_scenario_pnl(revaluation.unit_pnl, holdings, revaluation.cells, n_commodities)
    )
    value = holdings.quantity * revaluation.unit_option_value[holdings.instrument]
    return SpanScenarios(
        scenario_losses=0.0 - pnl,
        net_option_value=rounded(grouped_sums(value, holdings.bucket, n_commodities)),
    )


def span_requirement(
    scenario_losses: Sequence[float] | Float64Array1D, charges: SpanCharges
) -> SpanRequirement:
    """Return the requirement of one combined commodity from its components [1]_.

    ``scan_risk = max(0, losses)``; ``risk_margin = max(scan_risk + intra-commodity + delivery
    charge - inter-commodity credit, short-option minimum)``; ``margin_requirement = max(0,
    risk_margin - net option value)``.

    Parameters
    ----------
    scenario_losses : sequence of float, 16 items
        Loss > 0, gain < 0; the extremes 15 and 16 already weighted.

    Raises
    ------
    ModelInputError
        If there are not 16 finite losses, or a charge is negative or not finite.

    References
    ----------
    .. [1] CME Group, SPAN component pages. Evidence: published example.
    """
    losses = np.asarray(scenario_losses, dtype=np.float64)
    if losses.shape != (N_SCENARIOS,) or not np.isfinite(losses).all():
        raise ModelInputError(
            f"scenario_losses need {N_SCENARIOS} finite numbers, found shape {losses.shape}",
            identifier="scenario_losses",
            value=losses.size,
            limit=f"{N_SCENARIOS} finite numbers",
        )
    for name in (
        "intra_commodity_charge",
        "delivery_charge",
        "inter_commodity_credit",
        "short_option_minimum",
        "net_option_value",
    ):
        amount = getattr(charges, name)
        if not np.isfinite(amount) or (amount < 0.0 and name != "net_option_value"):
            raise ModelInputError(
                f"{name} is {amount}, limit: finite and >= 0", identifier=name, value=amount
            )
    scan_risk = max(0.0, float(losses.max()))
    risk_margin = max(
        scan_risk
        + charges.intra_commodity_charge
        + charges.delivery_charge
        - charges.inter_commodity_credit,
        charges.short_option_minimum,
    )
    return SpanRequirement(scan_risk, risk_margin, max(0.0, risk_margin - charges.net_option_value))


def _cells(parameters: SpanParameters) -> ScenarioCells:
    thirds = np.repeat(np.array(_THIRDS, dtype=np.float64), 2)
    extremes = parameters.extreme_move_multiplier * np.array([3.0, -3.0])
    shock = np.concatenate([thirds, extremes]) * (parameters.price_scan_range / 3.0)
    if parameters.extreme_fall_max is not None:
        shock = np.maximum(shock, -parameters.extreme_fall_max)
    move = [_VOLATILITY_UP, _VOLATILITY_DOWN] * len(_THIRDS) + [_VOLATILITY_UNCHANGED] * 2
    weight = np.ones(N_SCENARIOS)
    weight[-2:] = parameters.extreme_cover_fraction
    return ScenarioCells(
        price_shock=shock,
        move=np.array(move, dtype=np.int8),
        weight=weight,
        inverse_weight=weight,
        dampener=np.zeros(N_SCENARIOS),
        dampener_price=np.ones(N_SCENARIOS),
    )
