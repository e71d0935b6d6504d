"""Price at which a perpetual alone would bring an account at Derive's standard manager down."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D
from engine.margin.derive_parameters import DeriveStandardParameters
from engine.venue_accounts.derive_market import coins, dollars
from engine.venue_accounts.governing import MarginedAccounts
from engine.venue_accounts.terms import DERIVE_STANDARD


def derive_liquidation_prices(
    accounts: MarginedAccounts,
    rows: Int64Array1D,
    maintenance: Float64Array1D,
    equity: Float64Array1D,
) -> Float64Array1D:
    """Return the liquidation price of each of the placed ``rows``; NaN where there is none.

    Equity meets maintenance margin there while everything else keeps its mark: profit moves with
    the price, and so does the requirement of the perpetual itself.

    Parameters
    ----------
    maintenance, equity : Float64Array1D, shape (n_rows,)
        Of the bucket of each row, NaN where unknown. [USD]

    Returns
    -------
    Float64Array1D, shape (n_rows,)
        For linear perpetuals of the standard manager. [quote currency]
    """
    placed, held = accounts.found.placed, accounts.market.instruments
    instrument = placed.instrument[rows]
    is_served = (placed.model[rows] == DERIVE_STANDARD) & (placed.parameters[rows] >= 0)
    is_served &= ~(held.is_option | held.is_inverse)[instrument]
    price = np.full(len(rows), np.nan)
    for at in np.flatnonzero(is_served & np.isfinite(maintenance) & np.isfinite(equity)).tolist():
        rates = accounts.market.terms.sets[int(placed.parameters[rows[at]])].parameters
        assert isinstance(rates, DeriveStandardParameters)
        unit = float((coins(held) * dollars(held))[instrument[at]])
        size = float(placed.quantity[rows[at]]) * unit
        slope = size - abs(size) * rates.perpetual_maintenance_rate
        if slope == 0.0:
            continue
        found = float(held.mark_price[instrument[at]]) + (maintenance[at] - equity[at]) / slope
        # A price that is never reached is none.
        price[at] = found if np.isfinite(found) and found > 0.0 else np.nan
    return price
