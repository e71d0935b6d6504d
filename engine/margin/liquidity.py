"""Liquidity and concentration add-on: what it costs to trade out of a book."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D
from engine.kernels.tail import COLLATERAL
from engine.margin.block import Block
from engine.market import PreparedMarket


def liquidation_costs(
    market: PreparedMarket, block: Block, leg_group: Int64Array1D
) -> Float64Array1D:
    """Return the cost of liquidating each book: half spreads plus market impact.

    Impact follows the square-root law on the net exposure N of each underlying [1]_, with
    average daily volume V and daily volatility s, beyond the share that trades freely:
    ``Y * s * N * sqrt(max(N / V - free, 0))``. Half the spread is paid on every position.

    Returns
    -------
    Float64Array1D, shape (n_groups,)
        Cost >= 0. [USD]

    References
    ----------
    .. [1] R. Almgren, C. Thum, E. Hauptmann and H. Li, "Direct estimation of equity market
       impact," Risk, vol. 18, pp. 58-62, 2005.
    """
    rows, liquidity = block.rows, block.house.liquidity
    held = rows.leg_role != COLLATERAL
    leg_of = np.repeat(np.arange(rows.n_legs), np.diff(rows.leg_ptr))
    row = np.minimum(rows.index, market.n_instruments - 1)
    counts = held[leg_of]
    crossing = np.where(counts, np.abs(rows.weight) * market.half_spread[row], 0.0)
    delta = np.where(counts, rows.weight * market.delta_notional[row], 0.0)
    net = np.abs(np.bincount(leg_of, weights=delta, minlength=rows.n_legs))
    asset = np.maximum(block.leg_asset, 0)
    share = np.maximum(net / market.average_daily_volume[asset] - liquidity.volume_share_free, 0.0)
    impact = liquidity.impact_coefficient * market.daily_volatility[asset] * net * np.sqrt(share)
    of_impact: Float64Array1D = np.bincount(
        leg_group, weights=np.where(held, impact, 0.0), minlength=rows.n_groups
    ).astype(np.float64)
    of_spread = np.bincount(leg_group[leg_of], weights=crossing, minlength=rows.n_groups)
    return of_impact + of_spread
