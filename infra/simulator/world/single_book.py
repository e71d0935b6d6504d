"""One book of many positions at one venue, for studies: options of all strikes, and futures."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from engine.errors import MissingDataError
from infra.simulator.world.streams import stream

GROSS_SIZE_USD: Final = 250_000.0
"""Typical notional of one position. [USD]"""
_SPREAD: Final = 1.1


def single_book(
    instruments: pd.DataFrame,
    marks: pd.DataFrame,
    index_prices: pd.DataFrame,
    venue: str,
    n_positions: int,
    seed: int,
) -> pd.DataFrame:
    """Return instrument_id and quantity of ``n_positions`` distinct positions at ``venue``.

    All dated futures and perpetuals with a mark that fit into a quarter of the book, the rest
    options, drawn evenly. Sizes are lognormal, sides even; nothing is hedged on purpose.

    Raises
    ------
    MissingDataError
        If the venue lists fewer instruments with a mark than asked for.
    """
    rng = stream(seed, f"single book {venue}")
    priced = instruments.merge(marks[["instrument_id", "mark_price"]], on="instrument_id")
    priced = priced[(priced["venue"] == venue) & (priced["mark_price"] > 0.0)]
    futures = priced[priced["kind"].isin(["future", "perpetual"])]
    options = priced[priced["kind"] == "option"]
    n_futures = min(len(futures), n_positions // 4)
    n_options = n_positions - n_futures
    if n_options > len(options):
        raise MissingDataError(
            f"{venue} lists {len(futures)} futures and {len(options)} options with a mark, a book "
            f"of {n_positions} positions needs {n_options} options",
            identifier=venue,
            value=len(options),
            limit=f">= {n_options}",
        )
    chosen = pd.concat(
        [
            futures.sort_values("instrument_id").iloc[rng.permutation(len(futures))[:n_futures]],
            options.sort_values("instrument_id").iloc[rng.permutation(len(options))[:n_options]],
        ]
    )
    price = dict(zip(index_prices["asset"], index_prices["index_price"], strict=True))
    is_inverse_future = (chosen["payoff"] == "inverse") & (chosen["kind"] != "option")
    index = chosen["underlying"].map(price).to_numpy(dtype=np.float64)
    unit = chosen["contract_multiplier"].to_numpy() * np.where(is_inverse_future, 1.0, index)
    size = GROSS_SIZE_USD * np.exp(_SPREAD * rng.standard_normal(len(chosen))) / unit
    lot = chosen["lot_size"].to_numpy(dtype=np.float64)
    lots = np.maximum(np.round(size / lot), 1.0)
    side = np.where(rng.random(len(chosen)) < 0.5, 1.0, -1.0)
    book = pd.DataFrame(
        {
            "instrument_id": chosen["instrument_id"].astype("str").to_numpy(),
            "quantity": np.round(lots * lot, 8) * side,
        }
    ).astype({"instrument_id": "str"})
    return book.sort_values("instrument_id", ignore_index=True)
