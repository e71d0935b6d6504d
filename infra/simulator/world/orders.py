"""Contract ``open_orders``: resting quotes of market makers and limit orders of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from infra.simulator.world.clients import Population
from infra.simulator.world.holdings import QUANTITY_DECIMALS, Holdings
from infra.simulator.world.positions import account_ids
from infra.simulator.world.risk_estimate import Exposure
from infra.simulator.world.styles import STYLES
from infra.simulator.world.tradables import OPTION, Tradables

# Style: share of netting sets with orders, orders of each on average.
_ACTIVITY = {"market_maker": (0.80, 10.0), "directional": (0.35, 2.0), "option_seller": (0.15, 2.0)}
_DISTANCE = 0.015
"""Typical distance of a limit from the mark; options quote wider. [-]"""
SIZE_MIN, SIZE_MAX = 0.02, 0.20
"""Size of an order over the position in its instrument. [-]"""
_COLUMNS = (
    "business_date", "account_id", "order_id", "netting_set_id", "client_id", "venue",
    "instrument_id", "side", "remaining_quantity", "limit_price",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class OpenOrders:
    """Contract ``open_orders`` of one date, and what they would add to the positions."""

    frame: pd.DataFrame
    exposure: Exposure


def open_orders(
    population: Population, table: Tradables, holdings: Holdings, rng: np.random.Generator
) -> OpenOrders:
    """Return the open orders at the close, in instruments that their owners hold already."""
    alive = table.tradable[holdings.instrument]
    rows = np.flatnonzero(alive)
    counts = _counts(population, holdings.owner[rows], rng)
    rows = np.repeat(rows, counts)
    owner, instrument = holdings.owner[rows], holdings.instrument[rows]
    n = len(rows)
    buys = rng.random(n) < 0.5
    wide = np.where(table.kind[instrument] == OPTION, 6.0, 1.0)
    distance = np.minimum(_DISTANCE * wide * rng.exponential(1.0, n), 0.5)
    tick = table.tick[instrument]
    limit = table.mark[instrument] * np.where(buys, 1.0 - distance, 1.0 + distance)
    size = SIZE_MIN + (SIZE_MAX - SIZE_MIN) * rng.random(n)
    lots = np.maximum(1, np.round(np.abs(holdings.lots[rows]) * size))
    venue = np.array(table.venues, dtype=object)[table.venue[instrument]]
    number = np.arange(1, n + 1)
    frame = pd.DataFrame(
        {
            "business_date": pd.Timestamp(table.business_date),
            "account_id": account_ids(population, table, owner, instrument),
            "order_id": [f"{table.business_date:%Y%m%d}-{k:07d}" for k in number],
            "netting_set_id": population.netting_set_id[owner],
            "client_id": population.client_id[owner],
            "venue": venue,
            "instrument_id": table.instrument_id[instrument],
            "side": np.where(buys, "buy", "sell"),
            "remaining_quantity": np.round(lots * table.lot[instrument], QUANTITY_DECIMALS),
            "limit_price": np.round(np.maximum(np.round(limit / tick), 1.0) * tick, 10),
        },
        columns=list(_COLUMNS),
    )
    text = [c for c in _COLUMNS if c not in ("business_date", "remaining_quantity", "limit_price")]
    frame = frame.astype(dict.fromkeys(text, "str"))
    frame["business_date"] = frame["business_date"].astype("datetime64[ms]")
    signed = frame["remaining_quantity"].to_numpy() * np.where(buys, 1.0, -1.0)
    ordered = frame.sort_values(["business_date", "account_id", "order_id"], ignore_index=True)
    return OpenOrders(ordered, Exposure(owner, instrument, signed))


def _counts(population: Population, owner: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return how many orders rest in each held instrument of an owner."""
    activity = np.array([_ACTIVITY.get(style.name, (0.0, 0.0)) for style in STYLES])
    share, mean = activity[population.style].T
    active = rng.random(len(population.style)) < share
    held = np.bincount(owner, minlength=len(population.style))
    rate = np.where(active, mean / np.maximum(held, 1), 0.0)
    counts: np.ndarray = rng.poisson(rate[owner])
    return counts
