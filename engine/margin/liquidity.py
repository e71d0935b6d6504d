"""Liquidity and concentration add-on: what it costs to trade out of a book."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D
from engine.margin.book_figures import BookFigures, LegFigures, sum_by_group
from engine.market import PreparedMarket
from engine.rules import Liquidity


def liquidation_costs(
    market: PreparedMarket, liquidity: Liquidity, legs: LegFigures, books: BookFigures
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
    net = np.abs(legs.net_delta)
    asset = np.maximum(legs.asset, 0)
    share = np.maximum(net / market.average_daily_volume[asset] - liquidity.volume_share_free, 0.0)
    impact = liquidity.impact_coefficient * market.daily_volatility[asset] * net * np.sqrt(share)
    of_impact = sum_by_group(np.where(legs.is_held, impact, 0.0), legs.group, books.n_groups)
    return of_impact + books.spread_cost
