"""Tiered margin of many positions over many symbols at once: arrays in, arrays out.

All three rules are one line of arithmetic, ``notional * rate - deduction``: a rule without tiers
is a single tier, and what its rate adds for size or open interest is 0 for the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.arrays import (
    BoolArray1D,
    Float64Array1D,
    Int64Array1D,
    ObjectArray1D,
)
from engine.errors import ModelInputError
from engine.margin.tiered_parameters import (
    NotionalTiers,
    OpenInterestScaled,
    SizeSlope,
    TieredParameters,
)
from engine.money import MONEY_CONTEXT, exact
from engine.ticks import round_each_to_tick, round_to_tick


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TieredPositions:
    """Positions of any accounts; all arrays of shape (n_positions,).

    Attributes
    ----------
    symbol : Int64Array1D
        Row of the table that holds the position's parameters.
    quantity : Float64Array1D
        Signed contracts, long > 0.
    mark_price : Float64Array1D
        Price at which the venue margins the position, > 0. [quote currency]
    contract_multiplier : Float64Array1D
        Units of underlying (linear) or quote currency (inverse) per contract, > 0.
    is_inverse : BoolArray1D
        Whether the position settles in the coin.
    leverage : Float64Array1D
        Leverage that the account has chosen, > 0; NaN where none. [-]
    open_interest : Float64Array1D
        Open interest of the market, >= 0; NaN where unknown. [contracts]
    """

    symbol: Int64Array1D
    quantity: Float64Array1D
    mark_price: Float64Array1D
    contract_multiplier: Float64Array1D
    is_inverse: BoolArray1D
    leverage: Float64Array1D
    open_interest: Float64Array1D

    def units(self) -> Float64Array1D:
        """Return absolute quantity x multiplier: coins (linear) or quote currency (inverse)."""
        units: Float64Array1D = np.abs(self.quantity) * self.contract_multiplier
        return units

    def notional(self) -> Float64Array1D:
        """Return the absolute exposure at the mark. [settlement currency]"""
        notional = self.units()
        # In place and apart: the form that a row does not use must not overflow for it.
        np.divide(notional, self.mark_price, out=notional, where=self.is_inverse)
        np.multiply(notional, self.mark_price, out=notional, where=~self.is_inverse)
        return notional


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TieredMargins:
    """Margins by position; all arrays of shape (n_positions,).

    Attributes
    ----------
    notional, maintenance_margin : Float64Array1D
        Absolute exposure and maintenance margin, >= 0. [settlement currency]
    initial_margin : Float64Array1D
        Initial margin, >= 0; NaN where the rule states none. [settlement currency]
    tier : Int64Array1D
        Tier of the notional, counted from 0 within the symbol.
    maintenance_margin_rate, maintenance_deduction : Float64Array1D
        Marginal rate and deduction; NaN where the tiers have no maintenance rates.
    initial_margin_rate : Float64Array1D
        Rate of the initial margin; NaN where there is none. [-]
    """

    notional: Float64Array1D
    maintenance_margin: Float64Array1D
    initial_margin: Float64Array1D
    tier: Int64Array1D
    maintenance_margin_rate: Float64Array1D
    maintenance_deduction: Float64Array1D
    initial_margin_rate: Float64Array1D


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TierTable:
    """Parameters of many symbols, laid out for arrays; build it with ``tier_table``.

    Tier rows of all symbols follow each other; ``first`` (n_symbols + 1) says where each symbol's
    begin, and ``floor`` is the lower bound of each row. [settlement currency] Rates that a symbol
    does not have are NaN.
    """

    first: Int64Array1D
    floor: Float64Array1D
    maintenance_rate: Float64Array1D
    maintenance_deduction: Float64Array1D
    initial_rate: Float64Array1D
    initial_deduction: Float64Array1D
    leverage_max: Float64Array1D
    slope: Float64Array1D
    size_threshold: Float64Array1D
    lower_cap: Float64Array1D
    upper_cap: Float64Array1D
    takes_leverage: BoolArray1D
    is_whole: BoolArray1D
    rate_tick: Float64Array1D
    amount_tick: Float64Array1D

    @property
    def n_symbols(self) -> int:
        """Number of symbols."""
        return len(self.first) - 1

    def row(self, symbol: Int64Array1D, notional: Float64Array1D) -> Int64Array1D:
        """Return the tier row of each notional: the last one whose floor is below it."""
        first, after = self.first[symbol], self.first[symbol + 1]
        # Halving for all positions at once: [low, high] holds the first floor not below.
        low, high = first, after
        for _ in range(int(np.diff(self.first).max(initial=0)).bit_length()):
            middle = (low + high) // 2
            is_below = (middle < high) & (self.floor[np.minimum(middle, after - 1)] < notional)
            low, high = np.where(is_below, middle + 1, low), np.where(is_below, high, middle)
        # A notional of 0 lies below no floor: it is in the first tier.
        row: Int64Array1D = np.maximum(low - 1, first)
        return row


def tier_table(parameters: Sequence[TieredParameters]) -> TierTable:
    """Return the table of the given parameters; a position's ``symbol`` is an index into them."""
    rows = [_tier_rows(each) for each in parameters]
    n_tiers = np.array([len(each) for each in rows], dtype=np.int64)
    tiers = np.array([tier for each in rows for tier in each], dtype=np.float64).reshape(-1, 6)
    symbols = np.array([_symbol_row(each) for each in parameters], dtype=np.float64).reshape(-1, 8)
    # Copies: a slice of a column would be read with a stride in every call.
    columns = [np.ascontiguousarray(tiers[:, column]) for column in range(6)]
    own = [np.ascontiguousarray(symbols[:, column]) for column in range(8)]
    return TierTable(
        first=np.concatenate([[0], np.cumsum(n_tiers)]).astype(np.int64),
        floor=columns[0],
        maintenance_rate=columns[1],
        maintenance_deduction=columns[2],
        initial_rate=columns[3],
        initial_deduction=columns[4],
        leverage_max=columns[5],
        slope=own[0],
        size_threshold=own[1],
        lower_cap=own[2],
        upper_cap=own[3],
        takes_leverage=own[4] != 0.0,
        is_whole=own[5] != 0.0,
        rate_tick=own[6],
        amount_tick=own[7],
    )


def tiered_margins(positions: TieredPositions, table: TierTable) -> TieredMargins:
    """Return initial and maintenance margin of each position by its symbol's rule.

    Parameters
    ----------
    positions : TieredPositions
        Positions, each counted by itself.
    table : TierTable
        Parameters of all symbols.

    Returns
    -------
    TieredMargins
        One row per position; rounded only where the parameters state a tick.

    Raises
    ------
    ModelInputError
        If ``unusable_rows`` names a reason; the message holds the first.
    """
    require_usable(positions, table)
    symbol, notional = positions.symbol, positions.notional()
    row = table.row(symbol, notional)
    added = slope_rate(positions, table, notional)
    rate: Float64Array1D = table.maintenance_rate[row] + added
    deduction = table.maintenance_deduction[row]
    maintenance = marginal_margin(notional, rate, deduction)
    initial, initial_rate = _initial_margin(positions, table, row, added)
    # Tiers without maintenance rates ask for initial margin only.
    maintenance = np.where(np.isnan(rate), 0.0, maintenance)
    ticks = table.amount_tick[symbol]
    return TieredMargins(
        notional=notional,
        maintenance_margin=round_each_to_tick(maintenance, ticks, "up"),
        initial_margin=round_each_to_tick(
            initial, np.where(np.isnan(initial), np.nan, ticks), "up"
        ),
        tier=row - table.first[symbol],
        maintenance_margin_rate=rate,
        maintenance_deduction=deduction,
        initial_margin_rate=initial_rate,
    )


def marginal_margin(
    notional: Float64Array1D, rate: Float64Array1D, deduction: Float64Array1D
) -> Float64Array1D:
    """Return ``notional * rate - deduction``: the sum over tiers of each part x its rate."""
    # Binary noise at a floor whose tiers below are free must not turn into a negative margin.
    margin: Float64Array1D = np.maximum(notional * rate - deduction, 0.0)
    return margin


def slope_rate(
    positions: TieredPositions, table: TierTable, notional: Float64Array1D
) -> Float64Array1D:
    """Return what size adds to both rates: coins of an inverse contract, units of a linear one."""
    symbol = positions.symbol
    size = np.where(positions.is_inverse, notional, positions.units())
    added: Float64Array1D = table.slope[symbol] * np.maximum(
        size - table.size_threshold[symbol], 0.0
    )
    return added


def unusable_rows(positions: TieredPositions, table: TierTable) -> ObjectArray1D:
    """Return why each position cannot be margined, or empty text where it can.

    A caller with many accounts fails those of the rows by name and margins the rest.
    """
    reason: ObjectArray1D = np.full(len(positions.quantity), "", dtype=object)
    unknown = (positions.symbol < 0) | (positions.symbol >= table.n_symbols)
    symbol: Int64Array1D = np.where(unknown, 0, positions.symbol)
    if table.n_symbols == 0:
        reason[:] = "no parameters of its symbol"
        return reason
    price, multiplier = positions.mark_price, positions.contract_multiplier
    leverage, open_interest = positions.leverage, positions.open_interest
    with np.errstate(all="ignore"):
        notional = positions.notional()
    is_scaled = table.lower_cap[symbol] != table.upper_cap[symbol]
    is_chosen = table.takes_leverage[symbol] & ~np.isnan(leverage)
    # Only who has chosen a leverage can exceed the tier's.
    chosen = np.flatnonzero(is_chosen & np.isfinite(notional))
    leverage_max = table.leverage_max[table.row(symbol[chosen], notional[chosen])]
    exceeds = leverage[chosen] > leverage_max
    # The last check that fails names the reason: the most basic obstacle comes last.
    for at, limit in zip(chosen[exceeds], leverage_max[exceeds], strict=True):
        reason[at] = f"leverage {leverage[at]:g} is above {limit:g}, the largest of its tier"
    for at in np.flatnonzero(is_chosen & ~((leverage > 0.0) & np.isfinite(leverage))):
        reason[at] = f"leverage is {leverage[at]}, limit > 0"
    for at in np.flatnonzero(is_scaled & ~((open_interest >= 0.0) & np.isfinite(open_interest))):
        reason[at] = f"open interest is {open_interest[at]}, limit >= 0"
    for at in np.flatnonzero(~np.isfinite(notional)):
        reason[at] = f"notional is {notional[at]}: quantity {positions.quantity[at]} is not usable"
    for at in np.flatnonzero(~(np.isfinite(multiplier) & (multiplier > 0.0))):
        reason[at] = f"contract_multiplier is {multiplier[at]}, limit > 0"
    for at in np.flatnonzero(~(np.isfinite(price) & (price > 0.0))):
        reason[at] = f"mark_price is {price[at]}, limit > 0"
    reason[unknown] = "no parameters of its symbol"
    return reason


def require_usable(positions: TieredPositions, table: TierTable) -> None:
    """Raise a ModelInputError with the first reason of ``unusable_rows``, if there is one."""
    reason = unusable_rows(positions, table)
    unusable = np.flatnonzero(reason != "")
    if len(unusable):
        row = int(unusable[0])
        more = f", and {len(unusable) - 1} more positions" if len(unusable) > 1 else ""
        raise ModelInputError(f"positions[{row}]: {reason[row]}{more}", identifier=str(row))


def _initial_margin(
    positions: TieredPositions, table: TierTable, row: Int64Array1D, added: Float64Array1D
) -> tuple[Float64Array1D, Float64Array1D]:
    """Return initial margin and its rate: leverage chosen, else marginal, else largest leverage."""
    symbol, notional = positions.symbol, positions.notional()
    rate = table.initial_rate[row] + added
    rate = _scaled_by_open_interest(rate, positions, table)
    marginal = marginal_margin(notional, rate, table.initial_deduction[row])
    leverage = np.where(table.takes_leverage[symbol], positions.leverage, np.nan)
    leverage = np.where(np.isnan(leverage) & np.isnan(rate), table.leverage_max[row], leverage)
    is_by_leverage = ~np.isnan(leverage)
    margin: Float64Array1D = np.where(is_by_leverage, notional / leverage, marginal)
    margin_rate: Float64Array1D = np.where(is_by_leverage, 1.0 / leverage, rate)
    return margin, margin_rate


def _scaled_by_open_interest(
    rate: Float64Array1D, positions: TieredPositions, table: TierTable
) -> Float64Array1D:
    symbol = positions.symbol
    lower, upper = table.lower_cap[symbol], table.upper_cap[symbol]
    scaled = np.flatnonzero(lower != upper)
    if len(scaled):
        value = (positions.open_interest * positions.contract_multiplier * positions.mark_price)[
            scaled
        ]
        share = np.maximum((value - lower[scaled]) / (upper - lower)[scaled], 0.0)
        rate = rate.copy()
        rate[scaled] = np.minimum(rate[scaled] + share * (1.0 - rate[scaled]), 1.0)
    return round_each_to_tick(rate, table.rate_tick[symbol], "down")


def _tier_rows(parameters: TieredParameters) -> list[tuple[float, ...]]:
    """Return floor, maintenance rate and deduction, initial rate and deduction, leverage_max."""
    nan = np.nan
    if isinstance(parameters, SizeSlope):
        initial, maintenance = parameters.initial_margin_rate, parameters.maintenance_margin_rate
        return [(0.0, maintenance, 0.0, initial, 0.0, nan)]
    if isinstance(parameters, OpenInterestScaled):
        initial = parameters.initial_margin_rate
        # The product of the numbers as written: binary noise must not cost a tick.
        product = MONEY_CONTEXT.multiply(exact(initial), exact(parameters.maintenance_fraction))
        maintenance = float(product)
        if parameters.rate_tick is not None:
            maintenance = round_to_tick(maintenance, parameters.rate_tick, "down")
        return [(0.0, maintenance, 0.0, initial, 0.0, nan)]
    missing = (nan,) * len(parameters.tiers)
    return list(
        zip(
            (tier.notional_floor for tier in parameters.tiers),
            parameters.maintenance_rates() or missing,
            parameters.maintenance_deductions() or missing,
            parameters.initial_rates() or missing,
            parameters.initial_deductions() or missing,
            (nan if tier.leverage_max is None else tier.leverage_max for tier in parameters.tiers),
            strict=True,
        )
    )


def _symbol_row(parameters: TieredParameters) -> tuple[float, ...]:
    """Return slope, threshold, both caps, what leverage and rates apply to, and both ticks."""
    slope = threshold = lower = upper = 0.0
    rate_tick: float | None = None
    if isinstance(parameters, SizeSlope):
        slope, threshold = parameters.rate_slope_per_unit, parameters.size_threshold
    elif isinstance(parameters, OpenInterestScaled):
        lower, upper = parameters.open_interest_lower_cap, parameters.open_interest_upper_cap
        rate_tick = parameters.rate_tick
    takes_leverage = float(isinstance(parameters, NotionalTiers | SizeSlope))
    ticks = (np.nan if tick is None else tick for tick in (rate_tick, parameters.amount_tick))
    is_whole = float(isinstance(parameters, NotionalTiers) and parameters.rate_applies == "whole")
    return (slope, threshold, lower, upper, takes_leverage, is_whole, *ticks)
