"""Gap add-on: what a flash crash costs before anybody can act."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D
from engine.margin.book_figures import LegFigures
from engine.market import PreparedMarket
from engine.rules import Gap


def gap_losses(market: PreparedMarket, gap: Gap, legs: LegFigures, n_groups: int) -> Float64Array1D:
    """Return the combined gap loss of each book.

    Each underlying jumps by itself over its grid; its worst loss is g. Underlyings combine as
    ``sqrt(sum_ij rho_ij g_i g_j)`` with the rule book's positive semi-definite correlation, so that
    the result lies between the largest single gap and their sum.

    Parameters
    ----------
    gap : Gap
        Correlations of the rule book.
    legs : LegFigures
        With the worst jump of each.
    n_groups : int
        Number of books.

    Returns
    -------
    Float64Array1D, shape (n_groups,)
        Loss >= 0. [USD]
    """
    return combined_losses(market, gap, legs, legs.gap_loss, n_groups)


def combined_losses(
    market: PreparedMarket, gap: Gap, legs: LegFigures, worst: Float64Array1D, n_groups: int
) -> Float64Array1D:
    """Return losses of underlyings that need not come together, combined by book. [USD]

    Parameters
    ----------
    gap : Gap
        Whose correlations are used.
    worst : Float64Array1D, shape (n_legs,)
        Loss of each leg, >= 0; 0 for collateral. [USD]
    """
    total = np.bincount(legs.group, weights=worst, minlength=n_groups)
    squares = np.bincount(legs.group, weights=worst * worst, minlength=n_groups)
    # All pairs share the default correlation; listed assets add what theirs differs by.
    rho = gap.correlation_default
    combined = rho * total * total + (1.0 - rho) * squares
    row_of = {asset: row for row, asset in enumerate(market.assets)}
    of_asset = [
        np.bincount(
            legs.group,
            weights=np.where(legs.asset == row_of.get(asset, -2), worst, 0.0),
            minlength=n_groups,
        )
        for asset in gap.correlation_assets
    ]
    for i, first in enumerate(of_asset):
        for j in range(i + 1, len(of_asset)):
            combined += 2.0 * (gap.correlation[i][j] - rho) * first * of_asset[j]
    losses: Float64Array1D = np.sqrt(np.maximum(combined, 0.0))
    return losses
