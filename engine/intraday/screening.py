"""Which netting sets may have passed their next level: a bound that needs no scenario.

A requirement is made of maxima, sums and means of the P&L of positions, so it moves no further
than they do. With A the sum of absolute quantity times largest P&L change over the positions of
a book, and B, G, C the same over the stress, gap and grid columns (``movement``):

- an expected shortfall is a mean over the worst outcomes: of a leg, of the netted legs and of
  these with collateral it changes by at most what its positions do (sup norm);
- core and offset are ``alone + max(netted, cap netted + (1 - cap) gross)``: at most A;
- with the stress weight w, the buffer rate b and the gap share s the total is piecewise linear in
  base, stressed loss and gap loss; its slope in the base lies between ``1 - w - s`` and ``1 + b``,
  in the stressed loss between 0 and w, in the gap loss between 0 and s: at most
  ``max(1 + b, 1 + max(w + s - 1, 0)) A + w B + s G``;
- combined gap losses ``sqrt(g' R g)`` are a seminorm where R is positive semi-definite with
  entries of at most 1: they change by at most the sum of the changes of g. A grid that binds adds C
  by the same rule;
- the wrong-way add-on is the positive part of a difference of two shortfalls, of which one stands
  in the base already: where a book has collateral that can fall, once more A, and what the
  collateral rows change;
- half spreads are linear. Market impact ``k x sqrt(max(x / V - free, 0))`` of the net exposure x
  has no finite slope at the free share; with D a bound on the change of x it changes by at most
  ``k (D sqrt((x + D) / V) + x sqrt(D / V))``, and by nothing while ``(x + D) / V <= free``;
- of several books the worst one is owed: the largest of their bounds;
- collateral value changes by at most ``1 + sum of the concentration limits`` times the change of
  what lies there at market: a cap that binds passes on what the others gain or lose.

Since a netting set was last looked at, a measure of the market has changed by no more than its way
from there to the reference plus its way from the reference to now, and by no more than the steps
of all ticks since then: the lesser counts. The first bounds who has not been looked at for long,
the second who stands near a level and is looked at again and again.

A netting set is safe while its bound stays below its distance to the nearer end of the band of
utilisation that is watched. What has no such bound here is never called safe: venue margins that
count, holds, distrust, and netting sets that nobody watches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.intraday.layout import Layout
from engine.intraday.movement import PER_TRAVELLED, Movement
from engine.intraday.ranges import ranges_of
from engine.kernels.screening_layout import ROOM, Costs, Held, Looked, Moves
from engine.kernels.tail import COLLATERAL
from engine.market import PreparedMarket
from engine.rules import Gap, HouseParameters

# Of a trigger that market impact makes too far; what is still too far then is passed at once.
_HALVINGS: Final = 24


@dataclass(frozen=True, slots=True, eq=False)
class Exposures:
    """Exposures, one row per netting set and asset; rows of a netting set follow each other.

    ``gross`` is absolute exposure to the underlying, ``net`` absolute net delta, of the worst book;
    ``pledged`` is what moves with the asset's USD rate. [USD at the reference]
    """

    ptr: Int64Array1D
    asset: Int64Array1D
    gross: Float64Array1D
    net: Float64Array1D
    pledged: Float64Array1D
    has_pledge: BoolArray1D
    """By netting set: whether collateral that may fall beyond its haircut stands in its books."""


def position_exposures(
    layout: Layout, market: PreparedMarket, scale: Float64Array1D
) -> tuple[dict[str, Float64Array1D], BoolArray1D]:
    """Return gross and net exposure by netting set and underlying, flat, and who pledges."""
    rows, leg_asset, group_set, _ = layout.all_rows()
    n_assets, n_sets = len(market.assets), layout.n_netting_sets
    leg_of = np.repeat(np.arange(rows.n_legs), np.diff(rows.leg_ptr))
    is_held = (rows.leg_role != COLLATERAL)[leg_of]
    row = np.minimum(rows.index, market.n_instruments - 1)
    size = np.where(is_held, np.abs(rows.weight) * scale[row], 0.0)
    delta = np.where(is_held, rows.weight * market.delta_notional[row], 0.0)
    gross = np.bincount(leg_of, weights=size, minlength=rows.n_legs)
    net = np.abs(np.bincount(leg_of, weights=delta, minlength=rows.n_legs))
    leg_set = group_set[np.repeat(np.arange(rows.n_groups), np.diff(rows.group_ptr))]
    is_pledge = leg_asset < 0
    key = leg_set * n_assets + np.maximum(leg_asset, 0)
    flat = {"gross": np.zeros(n_sets * n_assets), "net": np.zeros(n_sets * n_assets)}
    np.maximum.at(flat["gross"], key[~is_pledge], gross[~is_pledge])
    np.maximum.at(flat["net"], key[~is_pledge], net[~is_pledge])
    has_pledge = np.zeros(n_sets, dtype=np.bool_)
    has_pledge[leg_set[is_pledge]] = True
    return flat, has_pledge


def exposures_of(
    flat: dict[str, Float64Array1D], pledged: Float64Array1D, has_pledge: BoolArray1D
) -> Exposures:
    """Return the exposures that are not zero, by netting set."""
    n_sets = len(has_pledge)
    n_assets = len(pledged) // max(n_sets, 1)
    key = np.flatnonzero((flat["gross"] > 0.0) | (pledged > 0.0))
    owner = key // n_assets
    return Exposures(
        ptr=np.searchsorted(owner, np.arange(n_sets + 1)).astype(np.int64),
        asset=(key % n_assets).astype(np.int64),
        gross=flat["gross"][key],
        net=flat["net"][key],
        pledged=pledged[key],
        has_pledge=has_pledge,
    )


class Screen:
    """Bounds of all netting sets since their figures were last computed."""

    def __init__(
        self, exposures: Exposures, market: PreparedMarket, house: HouseParameters
    ) -> None:
        tools = house.anti_procyclicality
        buffer = 0.0 if tools.buffer_released else tools.buffer_rate
        excess = max(tools.stress_weight + house.gap.share - 1.0, 0.0)
        owner = np.repeat(np.arange(len(exposures.has_pledge)), np.diff(exposures.ptr))
        of_tail = np.full(len(owner), max(1.0 + buffer, 1.0 + excess)) + exposures.has_pledge[owner]
        self._held = Held(
            exposures.ptr, exposures.asset, exposures.gross, exposures.net, exposures.pledged,
            of_tail,
        )  # fmt: skip
        n = len(exposures.asset)
        self._looked = Looked(np.zeros((4, n)), np.zeros((4, n)))
        self._volatility = market.daily_volatility
        self._costs = Costs(
            market.average_daily_volume,
            house.liquidity.impact_coefficient * market.daily_volatility,
            float(house.liquidity.volume_share_free),
            PER_TRAVELLED,
        )
        # Without a positive semi-definite matrix the gap losses are no seminorm.
        self.is_sound = is_seminorm(house.gap, market.assets)

    def looked_at(self, rows: Int64Array1D, movement: Movement) -> None:
        """Note that the figures of ``rows`` are of now."""
        from engine.kernels.screening_compiled import note_looked

        note_looked(rows, self._held, self._looked, _moves(movement))

    def rebased(self, assets: Int64Array1D, movement: Movement) -> None:
        """Note that the reference of some assets is about to be taken anew."""
        at = np.flatnonzero(np.isin(self._held.asset, assets))
        self._looked.reach[:, at] += movement.measures[:, self._held.asset[at]]

    def bounds(self, movement: Movement, rows: Int64Array1D) -> Float64Array1D:
        """Return by how much the distance of ``rows`` to a level may have shrunk. [USD]

        Since the last look the market moved by at most the movement from the reference now plus
        that then, and by at most what its path has grown.
        """
        from engine.kernels.screening_compiled import bounds_of

        found: Float64Array1D = bounds_of(
            rows, self._held, self._looked, _moves(movement), self._costs
        )
        return found

    def triggers(
        self, movement: Movement, rows: Int64Array1D, distance: Float64Array1D
    ) -> tuple[Int64Array1D, Int64Array1D, Float64Array1D, Int64Array1D]:
        """Return asset, netting set and trigger of each exposure, and netting sets without any.

        What is left of each distance is shared out by what the exposures gain or lose on a usual
        day; `Movement.travelled` may grow up to the triggers of all before it is used up. Paths
        grow without the market getting anywhere, so only the way to the reference and back counts;
        a netting set that this does not leave inside has no triggers.

        Parameters
        ----------
        distance : Float64Array1D, shape (len(rows),)
            To the end of the band. [USD]
        """
        held = self._held
        at, ptr = ranges_of(held.ptr[rows], held.ptr[rows + 1])
        owner = np.repeat(np.arange(len(rows)), np.diff(ptr))
        now = self._changes(at, movement, np.zeros(len(at)))
        # A little less, for what the shares round.
        left = (distance - _summed(now, ptr)) * (1.0 - 1e-6)
        is_inside = left > 0.0
        near = rows[~is_inside]
        if len(near):
            inside = is_inside[owner]
            at, now, owner = at[inside], now[inside], owner[inside]
        tail, other, _, rate = PER_TRAVELLED
        per_travelled = held.gross[at] * (held.of_tail[at] * tail + other)
        per_travelled = per_travelled + held.pledged[at] * rate
        usual = per_travelled * np.maximum(self._volatility[held.asset[at]], 1e-4)
        whole = np.bincount(owner, weights=usual, minlength=len(rows)) * ROOM
        share = left[owner] * usual / whole[owner]
        further = share / per_travelled
        for _ in range(_HALVINGS):
            # Market impact is not linear: what it costs on top shortens the way.
            excess = self._changes(at, movement, further) - now > share
            if not excess.any():
                break
            further = np.where(excess, 0.5 * further, further)
        further = np.where(self._changes(at, movement, further) - now > share, 0.0, further)
        asset = held.asset[at]
        return asset, rows[owner], movement.travelled[asset] + further, near

    def _changes(
        self, at: Int64Array1D, movement: Movement, further: Float64Array1D
    ) -> Float64Array1D:
        """Return what exposures ``at`` may have changed by, once assets travel ``further``."""
        from engine.kernels.screening_compiled import changes_of

        found: Float64Array1D = changes_of(
            at, further, self._held, self._looked, _moves(movement), self._costs
        )
        return found


def _moves(movement: Movement) -> Moves:
    return Moves(movement.measures, movement.path, movement.delta_in_all)


def distances(
    owed: Float64Array1D,
    cover: Float64Array1D,
    allowances: tuple[Float64Array1D, Float64Array1D],
    band: tuple[Float64Array1D, Float64Array1D],
) -> Float64Array1D:
    """Return how far each netting set is from the nearer end of its band; -1 where nobody watches.

    With E owed, C cover, T threshold and A independent amount, the band holds while
    ``low (C + T) <= E + A < high (C + T)`` and ``A < high C``.
    """
    threshold, independent = allowances
    low, high = band
    need = owed + independent
    up = high * (cover + threshold) - need
    up = np.where(independent > 0.0, np.minimum(up, high * cover - independent), up)
    down = np.where(low > 0.0, need - low * (cover + threshold), np.inf)
    distance = np.minimum(up, down)
    found: Float64Array1D = np.where(np.isfinite(distance) & (distance > 0.0), distance, -1.0)
    return found


def is_seminorm(gap: Gap, assets: tuple[str, ...]) -> bool:
    """Return whether the correlations of all assets together are positive semi-definite."""
    n = len(assets)
    matrix = np.full((n, n), gap.correlation_default)
    place = {asset: row for row, asset in enumerate(assets)}
    for i, first in enumerate(gap.correlation_assets):
        for j, second in enumerate(gap.correlation_assets):
            if first in place and second in place:
                matrix[place[first], place[second]] = gap.correlation[i][j]
    np.fill_diagonal(matrix, 1.0)
    return bool(np.linalg.eigvalsh(matrix).min(initial=0.0) >= -1e-9)


def _summed(values: Float64Array1D, ptr: Int64Array1D) -> Float64Array1D:
    owner = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
    total = np.bincount(owner, weights=values, minlength=len(ptr) - 1).astype(np.float64)
    found: Float64Array1D = total * ROOM
    return found
