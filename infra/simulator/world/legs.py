"""Parts of a book before they become positions, and the means to draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from infra.simulator.world.clients import VENUE_POPULARITY
from infra.simulator.world.draws import draw, draw_within, shares
from infra.simulator.world.tradables import FUTURE, OPTION, PERPETUAL, SPOT, Tradables

ROLLED_BEFORE_YEARS = 5.0 / 365.0
ROLLED_WEIGHT = 0.02
SHARE_SPREAD = 0.9
"""Spread of log shares between the legs of one netting set."""


@dataclass(frozen=True, slots=True, eq=False)
class Legs:
    """Signed exposures; several legs in one instrument add up.

    Attributes
    ----------
    owner : Int64Array1D
        Netting set, as a position in the population.
    instrument : Int64Array1D
        Row of ``Tradables``.
    notional : Float64Array1D
        Contracts times notional at a delta of one, long above zero. [USD]
    """

    owner: Int64Array1D
    instrument: Int64Array1D
    notional: Float64Array1D

    @staticmethod
    def joined(parts: Sequence[Legs]) -> Legs:
        """Return all legs in one."""
        return Legs(
            owner=np.concatenate([p.owner for p in parts]).astype(np.int64),
            instrument=np.concatenate([p.instrument for p in parts]).astype(np.int64),
            notional=np.concatenate([p.notional for p in parts]).astype(np.float64),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Netting sets of one style at one combination of venues.

    Attributes
    ----------
    table : Tradables
    weight : Float64Array1D, shape (n_instruments,)
        How much is traded in each instrument; zero where it cannot be held.
    owner : Int64Array1D, shape (n_members,)
        Netting sets of the group.
    gross_usd : Float64Array1D, shape (n_members,)
    n_legs_mean : float
    """

    table: Tradables
    weight: Float64Array1D
    owner: Int64Array1D
    gross_usd: Float64Array1D
    n_legs_mean: float

    def of_kinds(self, by_kind: dict[int, float]) -> Float64Array1D:
        """Return the weights times a factor by kind; kinds not named get zero."""
        factor = np.zeros(4)
        for kind, value in by_kind.items():
            factor[kind] = value
        weight: Float64Array1D = self.weight * factor[self.table.kind]
        return weight

    def members(self, rng: np.random.Generator, mean: float) -> Int64Array1D:
        """Return the member of each leg: at least one leg each, ``mean`` on average."""
        counts = 1 + rng.poisson(max(mean - 1.0, 0.0), len(self.owner))
        return np.repeat(np.arange(len(self.owner)), counts)


def base_weights(table: Tradables, allowed: BoolArray1D) -> Float64Array1D:
    """Return the weight of each instrument: turnover of its asset, venue, and place in the chain.

    The contracts of one asset, kind and venue share one weight, so that a thousand options weigh
    no more than one perpetual; options near the money and with weeks to live are traded most, and
    few are left in a future that expires within days: most have rolled.
    """
    turnover = np.sqrt(table.average_daily_volume_usd)[table.asset]
    liking = np.array([VENUE_POPULARITY.get(venue, 0.5) for venue in table.venues])[table.venue]
    distance = np.abs(np.abs(table.delta) - 0.30) / 0.20
    tenor = np.exp(-0.5 * (np.log(np.maximum(table.years, 1e-4) / 0.10) / 1.6) ** 2)
    rolled = (table.kind == FUTURE) & (table.years < ROLLED_BEFORE_YEARS)
    place = np.where(rolled, ROLLED_WEIGHT, 1.0)
    place = np.where(table.kind == OPTION, np.exp(-0.5 * distance**2) * tenor, place)
    raw = np.where(allowed & table.tradable, np.nan_to_num(place), 0.0)
    bucket = (table.asset * 4 + table.kind) * len(table.venues) + table.venue
    total = np.bincount(bucket, weights=raw, minlength=int(bucket.max(initial=0)) + 1)[bucket]
    weight: Float64Array1D = np.where(
        total > 0.0, raw * turnover * liking / np.where(total > 0.0, total, 1.0), 0.0
    )
    return weight


def drawn_legs(
    group: Group,
    weight: Float64Array1D,
    member: Int64Array1D,
    rng: np.random.Generator,
) -> tuple[Int64Array1D, Float64Array1D]:
    """Return an instrument for each leg and its unsigned notional, shares of the gross. [USD]"""
    instrument = draw(rng, weight, len(member))
    notional = shares(rng, member, SHARE_SPREAD) * group.gross_usd[member]
    return instrument, notional


def pairs(
    group: Group,
    weights: tuple[Float64Array1D, Float64Array1D],
    other_venue: bool,
    mismatch: float,
    rng: np.random.Generator,
) -> Legs:
    """Return long legs by the first weights with short legs of the same asset by the second.

    Pairs within one instrument, or within one venue where ``other_venue`` is asked for, are drawn
    again a few times and then dropped.
    """
    table = group.table
    member = group.members(rng, group.n_legs_mean / 2.0)
    both = pairable(table, weights, other_venue)
    first = draw(rng, np.where(both[table.asset], weights[0], 0.0), len(member))
    second = draw_within(rng, weights[1], table.asset, table.asset[first])
    for _ in range(8):
        bad = (second == first) | (other_venue & (table.venue[second] == table.venue[first]))
        bad &= second >= 0
        if not bad.any():
            break
        second[bad] = draw_within(rng, weights[1], table.asset, table.asset[first[bad]])
    good = (second >= 0) & (second != first)
    good &= (table.venue[second] != table.venue[first]) | (not other_venue)
    notional = 0.5 * shares(rng, member, SHARE_SPREAD) * group.gross_usd[member]
    against = -notional * (1.0 + mismatch * rng.standard_normal(len(member)))
    owner = group.owner[member]
    return Legs.joined(
        [
            Legs(owner[good], first[good], notional[good]),
            Legs(owner[good], second[good], against[good]),
        ]
    )


def pairable(
    table: Tradables, weights: tuple[Float64Array1D, Float64Array1D], other_venue: bool
) -> BoolArray1D:
    """Return for each asset whether a pair of two instruments, or two venues, can be drawn."""
    n = len(table.assets)
    spot_of = table.venue if other_venue else np.arange(len(table.kind))
    found = np.zeros(n, dtype=np.bool_)
    for asset in range(n):
        mine = table.asset == asset
        left = set(spot_of[mine & (weights[0] > 0.0)].tolist())
        right = set(spot_of[mine & (weights[1] > 0.0)].tolist())
        found[asset] = bool(left and right and len(left | right) > 1)
    return found


def hedges(group: Group, legs: Legs, ratio: Float64Array1D, rng: np.random.Generator) -> Legs:
    """Return legs that take out a share of each member's delta by asset, in delta-one contracts.

    ``ratio`` has one value for each netting set of the population.
    """
    table, n_assets = group.table, len(group.table.assets)
    code = legs.owner * n_assets + table.asset[legs.instrument]
    places, inverse = np.unique(code, return_inverse=True)
    delta = np.bincount(
        inverse, weights=legs.notional * table.delta[legs.instrument], minlength=len(places)
    )
    owner, asset = places // n_assets, places % n_assets
    weight = group.of_kinds({PERPETUAL: 1.0, FUTURE: 0.3, SPOT: 0.02})
    instrument = draw_within(rng, weight, table.asset, asset)
    able = instrument >= 0
    notional = -ratio[owner] * delta
    return Legs(owner[able], instrument[able], notional[able])
