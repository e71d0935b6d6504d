"""Liquidation prices of many positions when maintenance is tiered: the tier moves with the price.

Each is solved in closed form in the tier where it lies. Nothing is searched for by trial: the
sign of the account's cover at the tier floors tells the tier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import (
    BoolArray1D,
    BoolArray2D,
    Float64Array1D,
    Float64Array2D,
    Int64Array1D,
)
from engine.margin.liquidation_notional import liquidation_notional, price_of_notional
from engine.margin.tier_table import (
    TieredMargins,
    TieredPositions,
    TierTable,
    require_usable,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cover:
    """What stands behind each position; all arrays of shape (n_positions,).

    Attributes
    ----------
    equity : Float64Array1D
        Equity of the position's account at current marks, unrealised profit of all its positions
        included. [settlement currency]
    other_maintenance_margin : Float64Array1D
        Maintenance margin of the account's other positions, >= 0. [settlement currency]
    taker_fee_rate : Float64Array1D
        Fee on the notional at the price sought, 0 to 1. [-]
    """

    equity: Float64Array1D
    other_maintenance_margin: Float64Array1D
    taker_fee_rate: Float64Array1D


def account_cover(
    account: Int64Array1D,
    equity: Float64Array1D,
    margins: TieredMargins,
    *,
    taker_fee_rate: float = 0.0,
) -> Cover:
    """Return what stands behind each position of cross accounts.

    Parameters
    ----------
    account : Int64Array1D, shape (n_positions,)
        Row of each position's account (or margin bucket) in ``equity``.
    equity : Float64Array1D, shape (n_accounts,)
        Equity at current marks. [settlement currency]
    margins : TieredMargins
        Margins of the positions.
    taker_fee_rate : float
        Fee on liquidation, 0 to 1. [-]
    """
    own = margins.maintenance_margin
    total = np.bincount(account, weights=own, minlength=len(equity))
    return Cover(
        equity=equity[account],
        other_maintenance_margin=np.maximum(total[account] - own, 0.0),
        taker_fee_rate=np.full(len(own), taker_fee_rate),
    )


def tiered_liquidation_prices(
    positions: TieredPositions, table: TierTable, cover: Cover
) -> Float64Array1D:
    """Return the price of each position at which its account's equity meets its maintenance.

    Other positions of the account keep their marks: their profit is in the equity and their
    maintenance margin is taken off. The position's own maintenance follows the price through
    the tiers, or along the slope. Ticks of amounts are left out: they move a price by less than
    one tick of amount per unit.

    Parameters
    ----------
    positions : TieredPositions
        Positions at current marks.
    table : TierTable
        Parameters of all symbols.
    cover : Cover
        What stands behind each position.

    Returns
    -------
    Float64Array1D, shape (n_positions,)
        Price, 0 to infinity; NaN for a flat position. A long is liquidated at this price and
        below, a short at it and above, so that 0 never reaches a long and infinity never a
        short. [quote currency]

    Raises
    ------
    ModelInputError
        If a position is unusable, see ``tier_table.unusable_rows``.

    Examples
    --------
    One coin at 100 with an equity of 20. Up to a notional of 90 maintenance is 1 %, beyond it
    10 %. At 80.81 the position is in the lower tier: 0.81 of equity, 1 % of 80.81.

    >>> from engine.margin.tiered import NotionalTiers, Tier, tier_table
    >>> table = tier_table([NotionalTiers(tiers=(
    ...     Tier(notional_floor=0.0, maintenance_margin_rate=0.01),
    ...     Tier(notional_floor=90.0, maintenance_margin_rate=0.10),
    ... ))])
    >>> one = np.ones(1)
    >>> positions = TieredPositions(
    ...     symbol=np.zeros(1, dtype=np.int64), quantity=one, mark_price=100.0 * one,
    ...     contract_multiplier=one, is_inverse=np.zeros(1, dtype=np.bool_),
    ...     leverage=np.nan * one, open_interest=np.nan * one,
    ... )
    >>> cover = Cover(
    ...     equity=20.0 * one, other_maintenance_margin=0.0 * one, taker_fee_rate=0.0 * one
    ... )
    >>> tiered_liquidation_prices(positions, table, cover).round(2)
    array([80.81])
    """
    require_usable(positions, table)
    side = np.where(positions.is_inverse, -1.0, 1.0) * np.sign(positions.quantity)
    constant = cover.equity - cover.other_maintenance_margin - side * positions.notional()
    held = np.flatnonzero(positions.quantity != 0.0)
    is_sloped = (table.slope[positions.symbol] > 0.0) & positions.is_inverse
    notional = np.full(len(side), np.nan)
    for rows, solve in (
        (held[~is_sloped[held]], _notional_in_tiers),
        (held[is_sloped[held]], _notional_on_slope),
    ):
        notional[rows] = solve(
            _Lines(
                symbol=positions.symbol[rows],
                units=positions.units()[rows],
                side=side[rows],
                constant=constant[rows],
                fee=cover.taker_fee_rate[rows],
                notional=positions.notional()[rows],
            ),
            table,
        )
    price = np.full(len(side), np.nan)
    price[held] = price_of_notional(
        notional[held], positions.units()[held], positions.is_inverse[held]
    )
    return price


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Lines:
    """``constant + side * n - fee * n``, what each position has for its own maintenance."""

    symbol: Int64Array1D
    units: Float64Array1D
    side: Float64Array1D
    constant: Float64Array1D
    fee: Float64Array1D
    notional: Float64Array1D


def _notional_in_tiers(lines: _Lines, table: TierTable) -> Float64Array1D:
    first, n_tiers = table.first[lines.symbol], np.diff(table.first)[lines.symbol]
    column = np.arange(int(n_tiers.max(initial=1)))
    row = first[:, None] + np.minimum(column, n_tiers[:, None] - 1)
    # Tiers without maintenance rates ask for none; a linear contract's size does not move.
    all_rates = np.nan_to_num(table.maintenance_rate, nan=0.0)
    all_deductions = np.nan_to_num(table.maintenance_deduction, nan=0.0)
    added = table.slope[lines.symbol] * np.maximum(
        lines.units - table.size_threshold[lines.symbol], 0.0
    )
    floor = table.floor[row]
    surplus: Float64Array2D = (
        lines.constant[:, None]
        + (lines.side - lines.fee - added)[:, None] * floor
        - (all_rates[row] * floor - all_deductions[row])
    )
    passed = (lines.side[:, None] * surplus < 0.0) & (column < n_tiers[:, None])
    tier = np.maximum(np.logical_and.accumulate(passed, axis=1).sum(axis=1) - 1, 0)
    is_whole = table.is_whole[lines.symbol]
    tier = np.where(is_whole & (lines.side > 0.0), _last_short(lines, table, passed), tier)
    chosen = first + tier
    rate = lines.fee + added + all_rates[chosen]
    notional = liquidation_notional(lines.side, lines.constant + all_deductions[chosen], rate)
    # Where a rate jumps to the whole notional, what a tier leaves over can be gone at the next.
    following = np.append(table.floor, np.inf)[chosen + 1]
    ceiling = np.where(is_whole & (tier + 1 < n_tiers) & (lines.side < 0.0), following, np.inf)
    return _within_reach(np.minimum(notional, ceiling), lines, is_never_met=rate >= 1.0)


def _last_short(lines: _Lines, table: TierTable, is_short: BoolArray2D) -> Int64Array1D:
    """Return the tier in which a falling notional first falls short: the last one, from here down.

    A whole position leaves a tier with more than it had, so a lower tier can be short again.
    """
    current = table.row(lines.symbol, lines.notional) - table.first[lines.symbol]
    column = np.arange(is_short.shape[1])
    reachable = is_short & (column <= current[:, None])
    tier: Int64Array1D = np.where(reachable, column, 0).max(axis=1, initial=0)
    return tier


def _notional_on_slope(lines: _Lines, table: TierTable) -> Float64Array1D:
    """Solve an inverse contract whose rate rises with its notional: a line, then a parabola."""
    slope, threshold = table.slope[lines.symbol], table.size_threshold[lines.symbol]
    base = lines.fee + table.maintenance_rate[table.first[lines.symbol]]
    flat = liquidation_notional(lines.side, lines.constant, base)
    # Beyond the threshold: slope n^2 - b n - constant = 0.
    b = lines.side - base + slope * threshold
    discriminant = b * b + 4.0 * slope * lines.constant
    root = np.sqrt(np.maximum(discriminant, 0.0))
    # Of the two forms of each root, the one that does not subtract near equals.
    falling = _ratio(2.0 * lines.constant, root - b)
    rising = _ratio(-2.0 * lines.constant, root + b)
    curved = np.where(lines.side > 0.0, rising, falling)
    at_threshold = lines.constant + (lines.side - base) * threshold
    is_curved = lines.side * at_threshold < 0.0
    notional: Float64Array1D = np.where(is_curved, curved, flat)
    # A parabola that falls from the threshold on has its roots before it, where it is not valid.
    falls = lines.side - base - slope * threshold <= 0.0
    is_never_met = np.where(is_curved, (discriminant < 0.0) | falls, base >= 1.0)
    return _within_reach(notional, lines, is_never_met=is_never_met)


def _within_reach(
    notional: Float64Array1D, lines: _Lines, *, is_never_met: BoolArray1D
) -> Float64Array1D:
    """Return 0 where nothing has to be solved, and infinity where equity never suffices."""
    # At a notional of 0 only the constant is left: its sign says whether there is a price at all.
    solved = np.where(lines.side * lines.constant < 0.0, notional, 0.0)
    is_lost = is_never_met & (lines.side > 0.0) & (lines.constant < 0.0)
    reached: Float64Array1D = np.where(is_lost, np.inf, solved)
    return reached


def _ratio(numerator: Float64Array1D, denominator: Float64Array1D) -> Float64Array1D:
    ratio: Float64Array1D = np.divide(
        numerator, denominator, out=np.zeros_like(numerator), where=denominator != 0.0
    )
    return ratio
