"""Changes of marks and rates are refused before they are taken in."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D
from engine.errors import ModelInputError
from engine.intraday.changes import MarkChanges
from engine.market import PreparedMarket

_FIGURES = ("mark_price", "mark_iv", "forward_price")


def require_usable(changes: MarkChanges, market: PreparedMarket) -> None:
    """Raise ModelInputError for an unknown row, or a price that no market has."""
    n = len(changes.instrument)
    _require_rows("instrument", changes.instrument, market.n_instruments)
    _require_rows("asset", changes.asset, len(market.assets))
    for name in _FIGURES:
        values: Float64Array1D = getattr(changes, name)
        if len(values) != n:
            raise ModelInputError(f"{name} needs {n} values, found {len(values)}")
        low = 0.0 if name == "mark_iv" else np.nextafter(0.0, 1.0)
        bad = np.flatnonzero(~np.isnan(values) & ~(np.isfinite(values) & (values >= low)))
        if len(bad):
            symbol = str(market.instrument_id[changes.instrument[bad[0]]])
            raise ModelInputError(
                f"{name} of {symbol} is {values[bad[0]]}, limit finite and above 0; NaN leaves it",
                identifier=symbol,
                value=float(values[bad[0]]),
            )
    rates = changes.usd_rate
    if len(rates) != len(changes.asset):
        raise ModelInputError(f"usd_rate needs {len(changes.asset)} values, found {len(rates)}")
    known = np.isfinite(market.usd_rate[changes.asset])
    bad = np.flatnonzero(~(np.isfinite(rates) & (rates > 0.0)) | ~known)
    if len(bad):
        asset = market.assets[int(changes.asset[bad[0]])]
        raise ModelInputError(
            f"usd_rate of {asset} is {rates[bad[0]]}, limit finite and above 0, of an asset that "
            "has a rate in the snapshot",
            identifier=asset,
            value=float(rates[bad[0]]),
        )


def _require_rows(name: str, rows: Int64Array1D, n: int) -> None:
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < n:
        raise ModelInputError(
            f"{name} rows run from 0 to {n - 1}, found {rows.min()}..{rows.max()}"
        )
    if len(np.unique(rows)) != len(rows):
        raise ModelInputError(f"{name} names a row twice: send the newest alone")
