"""Cash that settles a price change, or a payment per unit, among the accounts of a contract."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.ticks import round_to_tick


@dataclass(frozen=True, slots=True)
class MarkToMarketSettlement:
    """What each account receives (+) or pays (-), and what payers paid and nobody received."""

    variation_margins: tuple[float, ...]
    undistributed_remainder: float


def mark_to_market_settlement(
    quantities: Sequence[float],
    payment_per_unit: float,
    *,
    contract_multiplier: float = 1.0,
    amount_tick: float | None = None,
) -> MarkToMarketSettlement:
    """Return the variation margin of each account for a payment per unit of underlying.

    Parameters
    ----------
    quantities : sequence of float
        Signed contracts of each account, long > 0.
    payment_per_unit : float
        Settlement price less previous price, or cash per unit long. [quote currency]
    contract_multiplier : float
        Units per contract, > 0.
    amount_tick : float, optional
        Each amount is truncated towards zero to it. [quote currency]

    Returns
    -------
    MarkToMarketSettlement
        Gains > 0, in input order; the remainder is minus their sum. [quote currency]

    Examples
    --------
    >>> mark_to_market_settlement([1.0, -1.0], 5.0).variation_margins
    (5.0, -5.0)
    """
    amounts = [quantity * contract_multiplier * payment_per_unit for quantity in quantities]
    if amount_tick is not None:
        amounts = [round_to_tick(amount, amount_tick, "toward_zero") for amount in amounts]
    return MarkToMarketSettlement(
        variation_margins=tuple(amounts), undistributed_remainder=-math.fsum(amounts)
    )
