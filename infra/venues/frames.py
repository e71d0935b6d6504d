"""Tables of the data contracts, made from what venues list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd

_TEXTS: Final = (
    "instrument_id", "venue", "venue_symbol", "kind", "payoff", "underlying", "quote_asset",
    "settlement_asset",
)  # fmt: skip
_COLUMNS: Final = (
    *_TEXTS, "contract_multiplier", "strike", "option_type", "expiry_utc", "tick_size", "lot_size",
)  # fmt: skip


def instrument_frame(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Return rows of the data contract ``instruments``, sorted by identifier.

    Parameters
    ----------
    rows : sequence of mappings
        Columns of the contract; optional ones may be absent. ``expiry_utc`` is an aware instant.
    """
    frame = pd.DataFrame.from_records(list(rows), columns=list(_COLUMNS))
    for name in (*_TEXTS, "option_type"):
        frame[name] = frame[name].astype("str")
    for name in ("contract_multiplier", "strike", "tick_size", "lot_size"):
        frame[name] = frame[name].astype("float64")
    frame["expiry_utc"] = pd.to_datetime(frame["expiry_utc"], utc=True).astype(
        "datetime64[ms, UTC]"
    )
    return frame.sort_values("instrument_id", ignore_index=True)
