"""Contract ``positions``: the same holdings as three sources report them."""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd

from engine.arrays import Int64Array1D
from engine.times import close_of
from infra.simulator.world.clients import Population
from infra.simulator.world.holdings import Holdings, quantity_of
from infra.simulator.world.tradables import Tradables

SOURCES = ("oms", "venue", "clearing")
# Seconds before the close at which each source's statement is taken.
_STATEMENT_AGE_SECONDS = {"oms": 0, "venue": 4, "clearing": 45}


def account_ids(
    population: Population, table: Tradables, owner: Int64Array1D, instrument: Int64Array1D
) -> np.ndarray:
    """Return the account of each position: one per venue, a second one for some netting sets."""
    venue = table.venue[instrument]
    # Which of two accounts holds an instrument depends on both names alone, not on the day.
    salt = np.array([zlib.crc32(str(name).encode()) for name in table.instrument_id])[instrument]
    second = population.has_second_account[owner, venue] & (((salt >> 3) + owner) % 3 == 0)
    ids = [
        f"{population.netting_set_id[o]}-{table.venues[v]}{'-b' if b else ''}"
        for o, v, b in zip(owner.tolist(), venue.tolist(), second.tolist(), strict=True)
    ]
    return np.array(ids, dtype=object)


def positions_frame(population: Population, table: Tradables, holdings: Holdings) -> pd.DataFrame:
    """Return the positions of one date as all sources report them, in agreement.

    ``quantity_before`` rides along for the planting of breaks; the caller drops it.
    """
    owner, instrument = holdings.owner, holdings.instrument
    venue_names = np.array(table.venues, dtype=object)
    one = pd.DataFrame(
        {
            "business_date": pd.Timestamp(table.business_date),
            "source": "",
            "account_id": account_ids(population, table, owner, instrument),
            "instrument_id": table.instrument_id[instrument],
            "client_id": population.client_id[owner],
            "netting_set_id": population.netting_set_id[owner],
            "venue": venue_names[table.venue[instrument]],
            "quantity": quantity_of(table, instrument, holdings.lots),
            "settled_price": holdings.settled_price,
            "quantity_before": quantity_of(table, instrument, holdings.lots_before),
            "lot_size": table.lot[instrument],
        }
    )
    one["business_date"] = one["business_date"].astype("datetime64[ms]")
    parts = []
    for source in SOURCES:
        part = one.assign(source=source)
        part["observed_utc"] = statement_instant(table, source)
        parts.append(part)
    frame = pd.concat(parts, ignore_index=True)
    frame["observed_utc"] = frame["observed_utc"].astype("datetime64[ms, UTC]")
    return frame


def statement_instant(table: Tradables, source: str) -> pd.Timestamp:
    """Return when a source's statement of the date was taken."""
    age = pd.Timedelta(seconds=_STATEMENT_AGE_SECONDS[source])
    return pd.Timestamp(close_of(table.business_date)) - age
