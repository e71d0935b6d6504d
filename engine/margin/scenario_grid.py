"""Portfolio margin by scenario grid: the worst loss over price and volatility moves.

Deribit, OKX, Bybit, Dederi and Paradex publish this model with different grids and contingencies;
`ScenarioGridParameters` holds them. The main path: `revalue_grid` once per market, then for any
number of buckets `scenario_margin`, or its parts, which a what-if keeps and adds candidates to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D
from engine.errors import ModelInputError
from engine.kernels.exact_sums import rounded
from engine.margin.scenario_book import (
    BucketExposures,
    Buckets,
    Holdings,
    bucket_exposures,
    bucket_scenario_pnl,
    netted,
    position_scenario_pnl,
    require_holdings,
)
from engine.margin.scenario_cells import ScenarioCells, grid_cells, shocked_volatilities
from engine.margin.scenario_parameters import (
    AddOn,
    ChargeTier,
    DepegTier,
    ExtraScenario,
    ScenarioGridParameters,
    VolatilityMove,
)
from engine.margin.scenario_pnl import (
    FUTURE,
    INSTRUMENT_TYPES,
    OPTION,
    PERPETUAL,
    SPOT,
    ScenarioInstruments,
    faults,
    unit_delta,
    unit_scenario_pnl,
)
from engine.margin.scenario_requirement import (
    BucketCharges,
    ScenarioRequirement,
    offset_buckets,
    scenario_requirement,
)

__all__ = [
    "FUTURE",
    "INSTRUMENT_TYPES",
    "OPTION",
    "PERPETUAL",
    "SPOT",
    "AddOn",
    "BucketCharges",
    "BucketExposures",
    "Buckets",
    "ChargeTier",
    "DepegTier",
    "ExtraScenario",
    "GridRevaluation",
    "Holdings",
    "ScenarioCells",
    "ScenarioGridParameters",
    "ScenarioInstruments",
    "ScenarioRequirement",
    "VolatilityMove",
    "bucket_exposures",
    "bucket_scenario_pnl",
    "netted",
    "offset_buckets",
    "position_scenario_pnl",
    "revalue_grid",
    "scenario_margin",
    "scenario_requirement",
]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GridRevaluation:
    """Every instrument in every cell of one grid: all that depends on the market alone.

    Attributes
    ----------
    instruments : ScenarioInstruments
    parameters : ScenarioGridParameters
    cells : ScenarioCells
    volatilities : Float64Array2D, shape (3, n_instruments)
        Down, unchanged and up; NaN for instruments without.
    unit_pnl : Float64Array2D, shape (n_instruments, n_cells)
        Of one contract held long, weighted; NaN where there is a fault. [settlement currency]
    unit_delta : Float64Array1D, shape (n_instruments,), optional
        Where the parameters charge concentration. [units of underlying]
    faults : tuple of str
        Why an instrument has no value, or empty text.
    """

    instruments: ScenarioInstruments
    parameters: ScenarioGridParameters
    cells: ScenarioCells
    volatilities: Float64Array2D
    unit_pnl: Float64Array2D
    unit_delta: Float64Array1D | None
    faults: tuple[str, ...]


def revalue_grid(
    instruments: ScenarioInstruments, parameters: ScenarioGridParameters
) -> GridRevaluation:
    """Return all instruments revalued in all cells of the grid.

    An instrument that cannot be revalued has NaN and a reason; holding it is an error.

    Raises
    ------
    ModelInputError
        If a shocked volatility, price or value is not finite.
    """
    reasons = faults(instruments)
    cells = grid_cells(parameters)
    volatilities = np.full((3, len(instruments)), np.nan)
    is_usable = np.array([not reason for reason in reasons], dtype=np.bool_)
    options = np.flatnonzero(instruments.is_option & is_usable)
    volatilities[:, options] = shocked_volatilities(
        instruments.volatility[options], instruments.years[options], parameters
    )
    needs_delta = parameters.delta_shock_threshold is not None
    return GridRevaluation(
        instruments=instruments,
        parameters=parameters,
        cells=cells,
        volatilities=volatilities,
        unit_pnl=unit_scenario_pnl(instruments, cells, volatilities),
        unit_delta=unit_delta(instruments) if needs_delta else None,
        faults=reasons,
    )


def scenario_margin(
    revaluation: GridRevaluation,
    holdings: Holdings,
    buckets: Buckets,
    charges: BucketCharges | None = None,
) -> ScenarioRequirement:
    """Return the portfolio margin of each bucket.

    A bucket's figures are the same bytes whatever else is in the table, in any order of rows, and
    however a position is spread over rows: quantities of an instrument are netted first.
    The worst loss is sub-additive over buckets that share a grid without dampener; the whole
    requirement is not where it charges futures that offset: long and short owe nothing of it apart
    and something together. Nor is it with the dampener, the concentration charge, or tiers.

    Raises
    ------
    ModelInputError
        If a holding has no finite value, is paid in another currency than its bucket, or a shape
        does not fit.

    Examples
    --------
    Ten coins long lose 1,500 of 15 % and owe 0.6 % on top.

    >>> one = np.array([True])
    >>> instruments = ScenarioInstruments(
    ...     symbol=np.array(["ETH-PERP"], dtype=object),
    ...     kind=np.array([PERPETUAL], dtype=np.int8),
    ...     is_inverse=~one,
    ...     contract_multiplier=np.array([1.0]),
    ...     mark_price=np.array([1000.0]),
    ...     years=np.array([np.nan]),
    ...     is_call=one,
    ...     strike_price=np.array([np.nan]),
    ...     forward_price=np.array([np.nan]),
    ...     volatility=np.array([np.nan]),
    ...     risk_free_rate=np.array([np.nan]),
    ... )
    >>> grid = ScenarioGridParameters(price_shocks=(-0.15, 0.0, 0.15), futures_gross_rate=0.006)
    >>> held = Holdings(
    ...     bucket=np.array([0]), instrument=np.array([0]), quantity=np.array([10.0])
    ... )
    >>> account = Buckets(index_price=np.array([1000.0]), is_inverse=~one)
    >>> scenario_margin(revalue_grid(instruments, grid), held, account).risk_margin
    array([1560.])
    """
    require_holdings(holdings, revaluation.instruments, buckets, revaluation.faults)
    cells = revaluation.cells
    if holdings.scenario_pnl is not None and holdings.scenario_pnl.shape != (
        len(holdings),
        len(cells),
    ):
        raise ModelInputError(
            f"scenario_pnl of holdings needs {len(cells)} cells, found shape "
            f"{holdings.scenario_pnl.shape}",
            identifier="scenario_pnl",
        )
    holdings = netted(holdings)
    parts = bucket_scenario_pnl(revaluation.unit_pnl, holdings, cells, len(buckets))
    exposures = bucket_exposures(revaluation.instruments, holdings, buckets, revaluation.unit_delta)
    return scenario_requirement(rounded(parts), exposures, buckets, revaluation.parameters, charges)
