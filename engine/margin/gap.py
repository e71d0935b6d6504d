"""Gap add-on: what a flash crash costs before anybody can act."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D, Float64Array2D, Int64Array1D
from engine.kernels.tail import COLLATERAL
from engine.margin.block import Block
from engine.market import PreparedMarket


def gap_losses(
    market: PreparedMarket,
    block: Block,
    leg_special: Float64Array2D,
    leg_group: Int64Array1D,
) -> Float64Array1D:
    """Return the combined gap loss of each book.

    Each underlying jumps by itself over its grid; its worst loss is g. Underlyings combine as
    ``sqrt(sum_ij rho_ij g_i g_j)`` with the rule book's positive semi-definite correlation, so that
    the result lies between the largest single gap and their sum.

    Parameters
    ----------
    leg_special : Float64Array2D, shape (n_legs, n_stress + n_gap)
        P&L of each leg; the gap columns are the last ones. [USD]
    leg_group : Int64Array1D, shape (n_legs,)
        Book of each leg.

    Returns
    -------
    Float64Array1D, shape (n_groups,)
        Loss >= 0. [USD]
    """
    rows, gap = block.rows, block.house.gap
    held = rows.leg_role != COLLATERAL
    worst = np.maximum(-leg_special[:, market.scenarios.n_stress :].min(axis=1, initial=0.0), 0.0)
    worst = np.where(held, worst, 0.0)
    n_groups = rows.n_groups
    total = np.bincount(leg_group, weights=worst, minlength=n_groups)
    squares = np.bincount(leg_group, weights=worst * worst, minlength=n_groups)
    # All pairs share the default correlation; listed assets add what theirs differs by.
    rho = gap.correlation_default
    combined = rho * total * total + (1.0 - rho) * squares
    row_of = {asset: row for row, asset in enumerate(market.assets)}
    of_asset = [
        np.bincount(
            leg_group,
            weights=np.where(block.leg_asset == row_of.get(asset, -2), worst, 0.0),
            minlength=n_groups,
        )
        for asset in gap.correlation_assets
    ]
    for i, first in enumerate(of_asset):
        for j in range(i + 1, len(of_asset)):
            combined += 2.0 * (gap.correlation[i][j] - rho) * first * of_asset[j]
    losses: Float64Array1D = np.sqrt(np.maximum(combined, 0.0))
    return losses
