"""What trading out costs: half spreads, and impact by the square-root law."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.market import PreparedMarket
from engine.rules import Liquidity


def trading_costs(
    market: PreparedMarket, liquidity: Liquidity, changes: Mapping[int, float]
) -> float:
    """Return the cost of trading ``changes`` (signed contracts by instrument row). [USD]

    The law and its parameters are those of the liquidity add-on (``engine.margin.liquidity``), so
    that a plan pays what the requirement has set aside: half the spread on every contract, and on
    the exposure N of each underlying ``Y s N sqrt(max(N / V - free, 0))``.
    """
    if not changes:
        return 0.0
    row = np.fromiter(changes, dtype=np.int64, count=len(changes))
    contracts = np.fromiter(changes.values(), dtype=np.float64, count=len(changes))
    spread = float(np.abs(contracts) @ market.half_spread[row])
    exposure = np.zeros(len(market.assets))
    np.add.at(exposure, market.underlying[row], np.abs(contracts * market.delta_notional[row]))
    traded = np.flatnonzero(exposure)
    size = exposure[traded]
    share = np.maximum(
        size / market.average_daily_volume[traded] - liquidity.volume_share_free, 0.0
    )
    impact = liquidity.impact_coefficient * market.daily_volatility[traded] * size * np.sqrt(share)
    return spread + float(impact.sum())
