"""How clients trade. Weights are shares of clients; each style needs certain instruments.

========================  ======  =========  ====================================================
style                     weight  positions  what it holds
========================  ======  =========  ====================================================
directional               0.30    18         perpetuals, futures and spot with a view per asset,
                                             some long options on the same side
carry                     0.20    20         long spot against short futures or perpetuals
market_maker              0.12    70         both sides everywhere, options included, delta hedged
option_seller             0.14    32         short strangles with some wings, partly hedged
concentrated              0.12    10         four fifths of the book in one smaller coin
hedged                    0.12    22         the same asset long at one venue, short at another
========================  ======  =========  ====================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import BoolArray2D, Float64Array1D
from infra.simulator.world.draws import draw_within
from infra.simulator.world.legs import (
    Group,
    Legs,
    base_weights,
    drawn_legs,
    hedges,
    pairable,
    pairs,
)
from infra.simulator.world.tradables import FUTURE, OPTION, PERPETUAL, SPOT, Tradables

MAJORS: Final = ("BTC", "ETH")
_DELTA_ONE: Final = {PERPETUAL: 1.0, FUTURE: 0.5, SPOT: 0.35}


@dataclass(frozen=True, slots=True)
class Style:
    """One way of trading.

    Attributes
    ----------
    name : str
    weight : float
        Share of clients. [-]
    n_positions : float
        Positions on average when the book's mean is ``REFERENCE_POSITIONS``.
    volume_share_max : float
        Largest leg over the asset's average daily volume. [-]
    legs : callable
        Draws the legs of a group.
    possible : callable
        Whether the instruments with weight offer what the style needs.
    """

    name: str
    weight: float
    n_positions: float
    volume_share_max: float
    legs: Callable[[Group, np.random.Generator], Legs]
    possible: Callable[[Tradables, Float64Array1D], bool]


def _directional(group: Group, rng: np.random.Generator) -> Legs:
    table = group.table
    member = group.members(rng, group.n_legs_mean)
    weight = group.of_kinds({**_DELTA_ONE, OPTION: 0.25})
    instrument, notional = drawn_legs(group, weight, member, rng)
    bullish = rng.random((len(group.owner), len(table.assets))) < 0.62
    view = np.where(bullish[member, table.asset[instrument]], 1.0, -1.0)
    view = np.where(rng.random(len(member)) < 0.92, view, -view)
    is_option = table.kind[instrument] == OPTION
    # A view is bought with calls or puts; the option on the wrong side is sold, in less size.
    agrees = np.sign(table.delta[instrument]) == view
    sign = np.where(is_option, np.where(agrees, 1.0, -0.3), view)
    # Nobody is short spot: a falling view on a coin is expressed in its perpetual.
    sign = np.where((table.kind[instrument] == SPOT) & (sign < 0.0), 0.0, sign)
    return Legs(group.owner[member], instrument, notional * sign)


def _carry(group: Group, rng: np.random.Generator) -> Legs:
    weights = (group.of_kinds(_CARRY_LONG), group.of_kinds(_CARRY_SHORT))
    return pairs(group, weights, other_venue=False, mismatch=0.02, rng=rng)


def _hedged(group: Group, rng: np.random.Generator) -> Legs:
    weight = group.of_kinds(_HEDGED)
    return pairs(group, (weight, weight), other_venue=True, mismatch=0.05, rng=rng)


def _market_maker(group: Group, rng: np.random.Generator) -> Legs:
    table = group.table
    member = group.members(rng, 0.9 * group.n_legs_mean)
    weight = group.of_kinds({**_DELTA_ONE, SPOT: 0.10, OPTION: 3.0})
    instrument, notional = drawn_legs(group, weight, member, rng)
    long_only = table.kind[instrument] == SPOT
    sign = np.where(long_only | (rng.random(len(member)) < 0.5), 1.0, -1.0)
    inventory = Legs(group.owner[member], instrument, notional * sign)
    ratio = _by_owner(group, 0.97 + 0.05 * rng.standard_normal(len(group.owner)))
    return Legs.joined([inventory, hedges(group, inventory, ratio, rng)])


def _option_seller(group: Group, rng: np.random.Generator) -> Legs:
    table = group.table
    member = group.members(rng, 0.9 * group.n_legs_mean)
    far = np.abs(table.delta) < 0.45
    weight = group.of_kinds({OPTION: 1.0})
    weight = np.where(far, weight, 0.1 * weight)
    instrument, notional = drawn_legs(group, weight, member, rng)
    # Wings are bought further out than what is sold, hence cheap protection.
    wing = (np.abs(table.delta[instrument]) < 0.15) & (rng.random(len(member)) < 0.5)
    short = Legs(group.owner[member], instrument, notional * np.where(wing, 1.0, -1.0))
    ratio = _by_owner(group, rng.random(len(group.owner)))
    return Legs.joined([short, hedges(group, short, ratio, rng)])


def _concentrated(group: Group, rng: np.random.Generator) -> Legs:
    table = group.table
    weight = group.of_kinds(_DELTA_ONE)
    by_asset = np.bincount(table.asset, weights=weight, minlength=len(table.assets))
    loved = np.sqrt(by_asset) * np.array([asset not in MAJORS for asset in table.assets])
    chosen = rng.choice(len(loved), size=len(group.owner), p=loved / loved.sum())
    member = group.members(rng, group.n_legs_mean)
    instrument, notional = drawn_legs(group, weight, member, rng)
    # Three legs in ten are elsewhere and small: four fifths of the book stay in one coin.
    own = rng.random(len(member)) < 0.7
    mine = np.flatnonzero(own)
    instrument[mine] = draw_within(rng, weight, table.asset, chosen[member[mine]])
    long = np.where(rng.random(len(group.owner)) < 0.7, 1.0, -1.0)[member]
    sign = np.where(table.kind[instrument] == SPOT, 1.0, long)
    return Legs(group.owner[member], instrument, notional * sign * np.where(own, 1.0, 0.5))


def _by_owner(group: Group, values: Float64Array1D) -> Float64Array1D:
    spread = np.zeros(int(group.owner.max()) + 1)
    spread[group.owner] = values
    return spread


_CARRY_LONG: Final = {SPOT: 1.0, PERPETUAL: 0.10}
_CARRY_SHORT: Final = {FUTURE: 1.0, PERPETUAL: 0.6}
_HEDGED: Final = {PERPETUAL: 1.0, FUTURE: 0.4, SPOT: 0.0}


def _masked(table: Tradables, weight: Float64Array1D, by_kind: dict[int, float]) -> Float64Array1D:
    factor = np.array([by_kind.get(kind, 0.0) for kind in range(4)])
    masked: Float64Array1D = weight * factor[table.kind]
    return masked


def _has_delta_one(table: Tradables, weight: Float64Array1D) -> bool:
    return bool(_masked(table, weight, _DELTA_ONE).any())


def _has_options(table: Tradables, weight: Float64Array1D) -> bool:
    return bool(_masked(table, weight, {OPTION: 1.0}).any())


def _has_minor(table: Tradables, weight: Float64Array1D) -> bool:
    minor = np.array([asset not in MAJORS for asset in table.assets])[table.asset]
    return bool(_masked(table, np.where(minor, weight, 0.0), _DELTA_ONE).any())


def _has_carry(table: Tradables, weight: Float64Array1D) -> bool:
    sides = (_masked(table, weight, _CARRY_LONG), _masked(table, weight, _CARRY_SHORT))
    return bool(pairable(table, sides, other_venue=False).any())


def _has_two_venues(table: Tradables, weight: Float64Array1D) -> bool:
    side = _masked(table, weight, _HEDGED)
    return bool(pairable(table, (side, side), other_venue=True).any())


STYLES: Final = (
    Style("directional", 0.30, 18.0, 0.02, _directional, _has_delta_one),
    Style("carry", 0.20, 20.0, 0.03, _carry, _has_carry),
    Style("market_maker", 0.12, 70.0, 0.01, _market_maker,
          lambda table, weight: bool(weight.any())),
    Style("option_seller", 0.14, 32.0, 0.02, _option_seller, _has_options),
    Style("concentrated", 0.12, 10.0, 0.15, _concentrated, _has_minor),
    Style("hedged", 0.12, 22.0, 0.03, _hedged, _has_two_venues),
)  # fmt: skip
# Legs in one instrument add up and some round to nothing: a quarter of them leave no position.
REFERENCE_POSITIONS: Final = 0.76 * sum(style.weight * style.n_positions for style in STYLES)


def feasibility(table: Tradables, venue_sets: BoolArray2D) -> BoolArray2D:
    """Return, shape (n_styles, n_venue_sets), whether a style can trade at a set of venues."""
    rows = [base_weights(table, allowed[table.venue]) for allowed in venue_sets]
    return np.array([[style.possible(table, row) for row in rows] for style in STYLES])
