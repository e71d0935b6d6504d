"""Positions in whole lots, and how a day of trading changes them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from infra.simulator.world.clients import Population
from infra.simulator.world.legs import Group, Legs, base_weights
from infra.simulator.world.styles import REFERENCE_POSITIONS, STYLES
from infra.simulator.world.tradables import OPTION, Tradables

TRADED_SHARE = 0.22
CLOSED_SHARE = 0.03
TRADE_SPREAD = 0.25
"""Standard deviation of a trade over the position it changes."""
NEW_BUSINESS_SHARE = 0.35
"""Part of the netting sets that opens something new on a day."""
NEW_SIZE = 0.06
"""New business over all there is, in count and in size."""
QUANTITY_DECIMALS = 10


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """Positions at one close, one row per netting set and instrument, sorted by both.

    Attributes
    ----------
    owner, instrument : Int64Array1D
        Positions in the population and rows of ``Tradables``.
    lots : Int64Array1D
        Signed whole lots.
    lots_before : Int64Array1D
        Lots at the previous close of the book; zero for what is new.
    settled_price : Float64Array1D
        Price at which the position was last settled. [quote currency]
    """

    owner: Int64Array1D
    instrument: Int64Array1D
    lots: Int64Array1D
    lots_before: Int64Array1D
    settled_price: Float64Array1D


def quantity_of(table: Tradables, instrument: Int64Array1D, lots: Int64Array1D) -> Float64Array1D:
    """Return signed contracts, clean of binary noise."""
    quantity: Float64Array1D = np.round(lots * table.lot[instrument], QUANTITY_DECIMALS)
    return quantity


def first_holdings(
    population: Population,
    table: Tradables,
    mark_before: Float64Array1D,
    n_positions_mean: int,
    rng: np.random.Generator,
) -> Holdings:
    """Return the book at its first close.

    ``mark_before`` holds the marks of the close before, NaN where unknown: a position is then
    settled at a price traded during the day.
    """
    scale = n_positions_mean / REFERENCE_POSITIONS
    everyone = np.ones(len(population.style), dtype=np.bool_)
    key, lots = _lots(_all_legs(population, table, (scale, 1.0), rng, everyone), table)
    owner, instrument = key // len(table.kind), key % len(table.kind)
    traded = _trade_price(table, mark_before, instrument, rng)
    settled = np.where(np.isfinite(mark_before[instrument]), mark_before[instrument], traded)
    return Holdings(owner, instrument, lots, lots.copy(), settled)


def next_holdings(
    population: Population,
    before: Holdings,
    table: Tradables,
    mark_before: Float64Array1D,
    rng: np.random.Generator,
) -> Holdings:
    """Return the book a day later: trades in held and in new instruments, expiries gone.

    Trades go by underlying: all that a netting set holds on it grows or shrinks alike, give or take
    a tenth, so that what is hedged stays hedged. A position that grew is settled at the average of
    the previous mark and the day's trade, a smaller one at the previous mark, one that was opened
    or turned at the trade.
    """
    n_instruments = len(table.kind)
    # What had expired by the previous close has left the books; a lost mark removes nothing.
    kept = ~(table.years[before.instrument] <= -1.0 / 365.0)
    key = (before.owner * n_instruments + before.instrument)[kept]
    lots_before = before.lots[kept]
    held = before.instrument[kept]
    by_underlying = before.owner[kept] * len(table.assets) + table.asset[held]
    change = _trades(lots_before, by_underlying, table.tradable[held], rng)
    active = rng.random(len(population.style)) < NEW_BUSINESS_SHARE
    fresh_key, fresh_lots = _lots(
        _all_legs(population, table, (NEW_SIZE, NEW_SIZE), rng, active), table
    )
    all_keys = np.union1d(key, fresh_key)
    old = _spread(all_keys, key, lots_before)
    lots = old + _spread(all_keys, key, change) + _spread(all_keys, fresh_key, fresh_lots)
    open_ = lots != 0
    key, lots, old = all_keys[open_], lots[open_], old[open_]
    owner, instrument = key // n_instruments, key % n_instruments
    settled = _settled(table, mark_before, instrument, (old, lots), rng)
    return Holdings(owner, instrument, lots, old, settled)


def _all_legs(
    population: Population,
    table: Tradables,
    scales: tuple[float, float],
    rng: np.random.Generator,
    active: BoolArray1D,
) -> Legs:
    count_scale, size_scale = scales
    parts = [Legs(*(np.zeros(0, dtype=np.int64),) * 2, np.zeros(0))]
    group_of = population.style * len(population.venue_sets) + population.venue_set
    for code in np.unique(group_of[active]):
        style = STYLES[code // len(population.venue_sets)]
        allowed = population.venue_sets[code % len(population.venue_sets)]
        weight = base_weights(table, allowed[table.venue])
        if not style.possible(table, weight):
            continue
        members = np.flatnonzero((group_of == code) & active)
        group = Group(
            table=table,
            weight=weight,
            owner=members,
            gross_usd=size_scale * population.gross_usd[members],
            n_legs_mean=count_scale * style.n_positions,
        )
        legs = style.legs(group, rng)
        cap = style.volume_share_max * table.average_daily_volume_usd[table.asset[legs.instrument]]
        parts.append(Legs(legs.owner, legs.instrument, np.clip(legs.notional, -cap, cap)))
    return Legs.joined(parts)


def _lots(legs: Legs, table: Tradables) -> tuple[Int64Array1D, Int64Array1D]:
    key = legs.owner * len(table.kind) + legs.instrument
    keys, inverse = np.unique(key, return_inverse=True)
    notional = np.bincount(inverse, weights=legs.notional, minlength=len(keys))
    instrument = keys % len(table.kind)
    per_lot = table.unit_notional[instrument] * table.lot[instrument]
    lots = np.round(notional / per_lot).astype(np.int64)
    held = lots != 0
    return keys[held], _handsome(lots[held])


def _handsome(lots: Int64Array1D) -> Int64Array1D:
    # People trade round sizes: four significant digits are left of large ones.
    power = np.floor(np.log10(np.maximum(np.abs(lots), 1))) - 3.0
    step = np.where(power > 0.0, 10.0**power, 1.0)
    rounded: Int64Array1D = (np.round(lots / step) * step).astype(np.int64)
    return rounded


def _trades(
    lots: Int64Array1D,
    by_underlying: Int64Array1D,
    tradable: BoolArray1D,
    rng: np.random.Generator,
) -> Int64Array1D:
    _, group = np.unique(by_underlying, return_inverse=True)
    n_groups = int(group.max(initial=-1)) + 1
    what = rng.random(n_groups)[group]
    share = np.clip(TRADE_SPREAD * rng.standard_normal(n_groups), -0.9, 1.5)[group]
    scatter = 1.0 + 0.1 * rng.standard_normal(len(lots))
    size = _handsome(np.round(lots * share * scatter).astype(np.int64))
    change = np.where(what < TRADED_SHARE, size, 0)
    closed = (what >= TRADED_SHARE) & (what < TRADED_SHARE + CLOSED_SHARE)
    change = np.where(closed, -lots, change)
    result: Int64Array1D = np.where(tradable, change, 0)
    return result


def _spread(keys: Int64Array1D, some: Int64Array1D, values: Int64Array1D) -> Int64Array1D:
    result = np.zeros(len(keys), dtype=np.int64)
    result[np.searchsorted(keys, some)] = values
    return result


def _settled(
    table: Tradables,
    mark_before: Float64Array1D,
    instrument: Int64Array1D,
    lots: tuple[Int64Array1D, Int64Array1D],
    rng: np.random.Generator,
) -> Float64Array1D:
    before, now = lots
    previous = mark_before[instrument]
    traded = _trade_price(table, mark_before, instrument, rng)
    added = now - before
    grown = (np.sign(before) == np.sign(now)) & (np.abs(now) > np.abs(before))
    # The average of an inverse contract is harmonic: its profit is linear in one over the price.
    harmonic = table.is_inverse[instrument] & (table.kind[instrument] != OPTION)
    base, more = np.where(grown, before, 1), np.where(grown, added, 0)
    straight = (base * previous + more * traded) / (base + more)
    reciprocal = (base + more) / (base / previous + more / traded)
    average = np.where(harmonic, reciprocal, straight)
    opened = (before == 0) | (np.sign(before) != np.sign(now)) | ~np.isfinite(previous)
    settled = np.where(opened, traded, np.where(grown, average, previous))
    return _significant(settled)


def _trade_price(
    table: Tradables,
    mark_before: Float64Array1D,
    instrument: Int64Array1D,
    rng: np.random.Generator,
) -> Float64Array1D:
    """Return a price between the two marks, on the venue's tick."""
    now, before = table.mark[instrument], mark_before[instrument]
    start = np.where(np.isfinite(before), before, now)
    end = np.where(np.isfinite(now), now, start)
    share = rng.random(len(instrument))
    price = start**share * end ** (1.0 - share)
    # An option may be worth less than a tick: its trades then were at one tick.
    tick = table.tick[instrument]
    on_tick: Float64Array1D = np.round(np.maximum(np.round(price / tick), 1.0) * tick, 10)
    return on_tick


def _significant(price: Float64Array1D) -> Float64Array1D:
    magnitude = np.floor(np.log10(price))
    scale = 10.0 ** (9.0 - magnitude)
    rounded: Float64Array1D = np.round(price * scale) / scale
    return rounded
