"""Positions after executions: quantity, and the price from which they are unsettled."""

from __future__ import annotations

import numpy as np

from engine.errors import ModelInputError
from engine.intraday.changes import Fill
from engine.intraday.holdings import Holdings
from engine.intraday.live_market import LiveMarket
from engine.settlement.variation import is_quoted_in_reciprocal


def after_fill(
    holdings: Holdings, market: LiveMarket, netting_set: int, fill: Fill, source: int
) -> None:
    """Store what one source holds after the fill.

    A fill in the direction of the position moves the price from which it is unsettled to the
    average, of inverse contracts the harmonic one, so that the gain since then stays the sum of
    both parts'. A fill against it leaves the price; one that turns the position sets its own.

    Raises
    ------
    ModelInputError
        If the quantity is 0 or not finite, or the price is not finite and above 0.
    """
    if not (np.isfinite(fill.quantity) and fill.quantity != 0.0):
        raise ModelInputError(
            f"fill of {fill.account_id} in {fill.instrument_id} is {fill.quantity}, limit finite "
            "and not 0",
            identifier=fill.account_id,
            value=fill.quantity,
        )
    if not 0.0 < fill.fill_price < np.inf:
        raise ModelInputError(
            f"fill of {fill.account_id} in {fill.instrument_id} at {fill.fill_price}, limit finite "
            "and above 0",
            identifier=fill.account_id,
            value=fill.fill_price,
        )
    row = holdings.position(netting_set, fill.account_id, fill.instrument_id, source)
    held, settled = 0.0, fill.fill_price
    if row >= 0:
        held = float(holdings.positions["quantity"][row])
        settled = float(holdings.positions["settled_price"][row])
    after = held + fill.quantity
    if held * fill.quantity >= 0.0:
        is_inverse = _is_inverse(market, fill.instrument_id)
        settled = _average((held, settled), (fill.quantity, fill.fill_price), is_inverse=is_inverse)
    elif after * held < 0.0:
        settled = fill.fill_price
    key = (fill.account_id, fill.instrument_id, source)
    holdings.set_position(netting_set, key, after, settled)


def _average(held: tuple[float, float], added: tuple[float, float], *, is_inverse: bool) -> float:
    """Return the average price of what is held and added, each as quantity and price."""
    before, more = abs(held[0]), abs(added[0])
    if before == 0.0 or not held[1] > 0.0:
        return added[1]
    if is_inverse:
        return (before + more) / (before / held[1] + more / added[1])
    return (before * held[1] + more * added[1]) / (before + more)


def _is_inverse(market: LiveMarket, instrument_id: str) -> bool:
    row = int(np.searchsorted(market.prepared.instrument_id, instrument_id))
    one = market.instruments
    if row >= len(one.instrument_id) or one.instrument_id[row] != instrument_id:
        return False
    return bool(is_quoted_in_reciprocal(one.kind[row : row + 1], one.payoff[row : row + 1])[0])
