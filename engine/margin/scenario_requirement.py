"""From profit and loss by cell, and exposures, to the requirement of each bucket."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D, Int64Array1D
from engine.errors import ModelInputError
from engine.kernels.exact_sums import grouped_sums, rounded
from engine.margin.contingencies import (
    delta_contingency,
    depeg_contingency,
    futures_contingency,
    minimum_charge,
    option_contingency,
    roll_contingency,
)
from engine.margin.scenario_book import BucketExposures, Buckets
from engine.margin.scenario_cells import ScenarioCells, grid_cells
from engine.margin.scenario_parameters import ScenarioGridParameters


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BucketCharges:
    """Amounts that each bucket owes besides its grid; absent ones are those of the parameters.

    Attributes
    ----------
    depeg_hedged_notional : Float64Array1D, shape (n_buckets,), optional
        Notional hedged across two stablecoins (OKX MR9).
    contingency_amount : Float64Array1D, shape (n_buckets,), optional
        Contingencies known as an amount: OKX MR3 (vega term structure) and MR5 (interest rate),
        Bybit's vega and delta spreads, for which no formula is published.
    competing_loss : Float64Array1D, shape (n_buckets,), optional
        A loss that replaces the worst one where it is larger: OKX MR2 (time decay).
    """

    depeg_hedged_notional: Float64Array1D | None = None
    contingency_amount: Float64Array1D | None = None
    competing_loss: Float64Array1D | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ScenarioRequirement:
    """Margin of each bucket and what it is made of; arrays of shape (n_buckets,) unless stated.

    Losses, charges and margins are >= 0 in the bucket's settlement currency, not rounded.

    Attributes
    ----------
    scenario_pnl : Float64Array2D, shape (n_buckets, n_cells)
        Profit (+) or loss (-) by cell, weighted and dampened.
    worst_loss : Float64Array1D
        Largest loss over the cells.
    worst_cell : Int64Array1D
        Cell of the lowest profit and loss, the first of equals.
    roll_contingency, futures_contingency, option_contingency : Float64Array1D
    depeg_contingency, delta_contingency, contingency_amount : Float64Array1D
    minimum_charge : Float64Array1D
        Floor of the risk margin.
    risk_margin, initial_margin, maintenance_margin : Float64Array1D
    offsettable_gain : Float64Array1D, optional
        Gain that may offset losses of other buckets, where the parameters grant a share.
    """

    scenario_pnl: Float64Array2D
    worst_loss: Float64Array1D
    worst_cell: Int64Array1D
    roll_contingency: Float64Array1D
    futures_contingency: Float64Array1D
    option_contingency: Float64Array1D
    depeg_contingency: Float64Array1D
    delta_contingency: Float64Array1D
    contingency_amount: Float64Array1D
    minimum_charge: Float64Array1D
    risk_margin: Float64Array1D
    initial_margin: Float64Array1D
    maintenance_margin: Float64Array1D
    offsettable_gain: Float64Array1D | None


def scenario_requirement(
    scenario_pnl: Float64Array2D,
    exposures: BucketExposures,
    buckets: Buckets,
    parameters: ScenarioGridParameters,
    charges: BucketCharges | None = None,
) -> ScenarioRequirement:
    """Return the requirement of each bucket from its cells and exposures.

    ``risk_margin = max(max(worst loss, competing loss) + contingencies, minimum charge)``; initial
    and maintenance margin are its multiples, plus the add-ons. With extra cells for the extreme
    move this is OKX's ``max(max(MR1, MR2, MR6) + MR3 + MR4 + MR5 + MR9, MR7)``.

    Parameters
    ----------
    scenario_pnl : Float64Array2D, shape (n_buckets, n_cells)
        Sums of the weighted cells, as `bucket_scenario_pnl` gives them, rounded.

    Raises
    ------
    ModelInputError
        If shapes do not fit, or an amount is negative or not finite.
    """
    cells = grid_cells(parameters)
    if scenario_pnl.shape != (len(buckets), len(cells)):
        raise ModelInputError(
            f"scenario_pnl needs {len(buckets)} buckets by {len(cells)} cells, found shape "
            f"{scenario_pnl.shape}"
        )
    pnl = _dampened(scenario_pnl, buckets, cells)
    charges = charges or BucketCharges()
    worst_cell = np.argmin(pnl, axis=1)
    worst_loss = np.maximum(-pnl[np.arange(len(buckets)), worst_cell], 0.0)
    competing = _amounts("competing_loss", charges.competing_loss, 0.0, buckets)
    contingencies = _contingencies(exposures, buckets, parameters, charges)
    floor = minimum_charge(exposures, parameters)
    risk = np.maximum(np.maximum(worst_loss, competing) + sum(contingencies.values()), floor)
    initial_add_on = math.fsum(each.initial_margin for each in parameters.add_ons)
    maintenance_add_on = math.fsum(each.maintenance_margin for each in parameters.add_ons)
    return ScenarioRequirement(
        scenario_pnl=pnl,
        worst_loss=worst_loss,
        worst_cell=worst_cell,
        **contingencies,
        minimum_charge=floor,
        risk_margin=risk,
        initial_margin=parameters.initial_margin_factor * risk + initial_add_on,
        maintenance_margin=parameters.maintenance_margin_factor * risk + maintenance_add_on,
        offsettable_gain=_offsettable(pnl, parameters),
    )


def offset_buckets(
    scenario_pnl: Float64Array2D,
    account: Int64Array1D,
    n_accounts: int,
    gain_fraction: Float64Array1D,
    gain_max: Float64Array1D,
) -> Float64Array2D:
    """Return the profit and loss of each account by cell, gains offsetting in part.

    In each cell a bucket's loss counts whole and its gain ``min(fraction * gain, max)`` (Deribit
    ``pnl_offset``, ``max_offsetable_pnl``). Cell by cell means that buckets move together, which
    is inferred. The account's worst loss is at most the sum of its buckets' worst losses, and at
    least the loss with every gain counted in full.

    Parameters
    ----------
    scenario_pnl : Float64Array2D, shape (n_buckets, n_cells)
        By bucket, of grids with the same cells in the same order. [one currency for all]
    account : Int64Array1D, shape (n_buckets,)
        Account of each bucket.
    gain_fraction, gain_max : Float64Array1D, shape (n_buckets,)
        Share of a gain that counts, 0 to 1; and the most of it. [-], [same currency]

    Returns
    -------
    Float64Array2D, shape (n_accounts, n_cells)
        Its lowest cell, if below zero, is the account's worst loss.

    Raises
    ------
    ModelInputError
        If a share is not within 0 to 1, a cap is negative, or an input is not a number.
    """
    fits = (gain_fraction >= 0.0) & (gain_fraction <= 1.0) & (gain_max >= 0.0)
    if not fits.all():
        row = int(np.flatnonzero(~fits)[0])
        raise ModelInputError(
            f"bucket {row} offsets {gain_fraction[row]} of its gains, at most {gain_max[row]}, "
            "limits 0 to 1 and >= 0",
            identifier=str(row),
        )
    granted = np.minimum(gain_fraction[:, np.newaxis] * scenario_pnl, gain_max[:, np.newaxis])
    counted = np.where(scenario_pnl > 0.0, granted, scenario_pnl)
    found: Float64Array2D = rounded(grouped_sums(counted, account, n_accounts))
    return found


def _contingencies(
    exposures: BucketExposures,
    buckets: Buckets,
    parameters: ScenarioGridParameters,
    charges: BucketCharges,
) -> dict[str, Float64Array1D]:
    hedged = _amounts(
        "depeg_hedged_notional",
        charges.depeg_hedged_notional,
        parameters.depeg_hedged_notional,
        buckets,
    )
    amount = _amounts(
        "contingency_amount", charges.contingency_amount, parameters.contingency_amount, buckets
    )
    return {
        "roll_contingency": roll_contingency(exposures, parameters, len(buckets)),
        "futures_contingency": futures_contingency(exposures, parameters),
        "option_contingency": option_contingency(exposures, parameters),
        "depeg_contingency": depeg_contingency(hedged, parameters.depeg_tiers),
        "delta_contingency": delta_contingency(exposures, parameters, buckets),
        "contingency_amount": amount,
    }


def _dampened(
    scenario_pnl: Float64Array2D, buckets: Buckets, cells: ScenarioCells
) -> Float64Array2D:
    if not cells.dampener.any():
        return scenario_pnl
    price = buckets.index_price[:, np.newaxis] * cells.dampener_price
    off = np.where(buckets.is_inverse[:, np.newaxis], cells.dampener / price, cells.dampener)
    found: Float64Array2D = np.sign(scenario_pnl) * np.maximum(np.abs(scenario_pnl) - off, 0.0)
    return found


def _offsettable(pnl: Float64Array2D, parameters: ScenarioGridParameters) -> Float64Array1D | None:
    if parameters.gain_offset_fraction is None:
        return None
    gain = parameters.gain_offset_fraction * np.maximum(pnl.max(axis=1), 0.0)
    cap = parameters.gain_offset_max
    capped: Float64Array1D = gain if cap is None else np.minimum(gain, cap)
    return capped


def _amounts(
    name: str, given: Float64Array1D | None, default: float, buckets: Buckets
) -> Float64Array1D:
    if given is None:
        return np.full(len(buckets), default)
    if given.shape != (len(buckets),) or not (np.isfinite(given) & (given >= 0.0)).all():
        raise ModelInputError(
            f"{name} needs {len(buckets)} finite amounts >= 0", identifier=name, limit=">= 0"
        )
    return given
