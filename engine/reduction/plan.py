"""Which positions to make smaller, and by how much, so that a netting set owes no more than it may.

Step by step the plan takes the slice of a position that brings the ratio nearest per dollar of
cost; every figure comes from ``engine.whatif``, so it equals a full assessment with the orders in
the book. Then whatever proved needless is taken back. It is a good plan, not a proven optimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final, Literal, TypeAlias

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D
from engine.errors import InvariantBroken
from engine.reduction.costs import trading_costs
from engine.reduction.terms import PlannedOrder, ReductionTerms
from engine.whatif import ANSWERED, Candidate, Order, PreparedBook, what_if

ReductionStatus: TypeAlias = Literal["not_needed", "restores", "insufficient"]
SLICE_SHARES: Final = (Decimal("0.125"), Decimal("0.25"), Decimal("0.5"), Decimal(1))
"""Parts of what is left of a position that a step may take."""
SHORTLIST: Final = 256
"""Slices that are priced again at each step; all of them when none of these helps."""

Key: TypeAlias = tuple[str, str]
"""Instrument and account."""
Basket: TypeAlias = dict[Key, Decimal]
"""Signed contracts."""
Slice: TypeAlias = tuple[Key, Decimal, bool]
"""Part of what is left of a position, or (True) of an exposure that a hedge would take off."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReductionPlan:
    """Orders, and what they do.

    Attributes
    ----------
    status : {"not_needed", "restores", "insufficient"}
        ``insufficient``: everything that the terms allow does not restore the ratio.
    orders : tuple of PlannedOrder
        In the order in which they help most.
    cost : float
        Half spreads and impact of all orders. [USD]
    before, after : pandas.Series
        Requirement, collateral and decision without and with the orders, as in ``what_if``;
        the cost is not in them.
    ratio_after : float
        What is owed over collateral value less the cost. [-]
    reason : str
        What stands in the way, where the plan is insufficient.
    """

    status: ReductionStatus
    orders: tuple[PlannedOrder, ...]
    cost: float
    before: pd.Series
    after: pd.Series
    ratio_after: float
    reason: str


def plan_reduction(book: PreparedBook, terms: ReductionTerms) -> ReductionPlan:
    """Return the orders that restore the ratio of a netting set within ``terms``.

    Parameters
    ----------
    book : PreparedBook
        From ``engine.whatif.prepare_book``: fresh inputs and no open break.
    terms : ReductionTerms
        Target and limits.

    Returns
    -------
    ReductionPlan
        No order makes a position larger or turns it round, hedges apart.
    """
    search = _Search(book, terms)
    before = book.before.iloc[0]
    gap = search.gap_of(before, 0.0)
    if gap <= 0.0:
        return search.plan({}, "not_needed", "")
    basket: Basket = {}
    reason = ""
    while gap > 0.0:
        step = search.best_step(basket, gap)
        if step is None:
            reason = search.obstacle
            break
        basket, gap = step
    if gap <= 0.0:
        basket = search.trimmed(basket)
        return search.plan(basket, "restores", "")
    return search.plan(basket, "insufficient", reason)


class _Search:
    """One netting set, its positions in whole lots, and what has been learnt about them."""

    def __init__(self, book: PreparedBook, terms: ReductionTerms) -> None:
        self.book, self.terms = book, terms
        self.obstacle = "no further order brings the ratio nearer"
        self.held: Basket = {
            (instrument, account): Decimal(repr(float(quantity)))
            for instrument, by_account in book.holdings.by_instrument.items()
            for account, quantity in by_account.items()
            if quantity != 0.0
        }
        self.row = book.instruments.row_of
        self.hedges = self._hedge_keys()
        self.favourites: list[Slice] = []

    def best_step(self, basket: Basket, gap: float) -> tuple[Basket, float] | None:
        """Return the basket with the best further slice and its gap, None if none helps."""
        every = self._slices(basket)
        shortlist = self.favourites[:SHORTLIST]
        for offered in (shortlist, every):
            found = self._best_of(offered, basket, gap) if offered else None
            if found is not None:
                return found
        return None

    def _best_of(
        self, slices: Sequence[Slice], basket: Basket, gap: float
    ) -> tuple[Basket, float] | None:
        baskets = [_added(basket, key, change) for key, change in self._changes(slices, basket)]
        allowed = [
            number
            for number, each in enumerate(baskets)
            if each != basket and self._is_allowed(each)
        ]
        if not allowed:
            self.obstacle = "the limits of the terms on orders, notional or volume are reached"
            return None
        gaps, costs = self._priced([baskets[number] for number in allowed])
        spent = self._cost(basket)
        gain = gap - gaps
        price = np.maximum(costs - spent, 1e-9)
        helpful = gain > 1e-9 * max(gap, 1.0)
        if not helpful.any():
            return None
        merit: Float64Array1D = np.where(helpful, np.minimum(gain, gap) / price, -np.inf)
        order = np.argsort(-merit, kind="stable")
        self.favourites = [slices[allowed[number]] for number in order if helpful[number]]
        best = int(order[0])
        return baskets[allowed[best]], float(gaps[best])

    def trimmed(self, basket: Basket) -> Basket:
        """Return the basket without what the ratio does not need."""
        while len(basket) > 1:
            without = [{k: q for k, q in basket.items() if k != key} for key in basket]
            gaps, costs = self._priced(without)
            fine = np.flatnonzero(gaps <= 0.0)
            if not fine.size:
                break
            basket = without[int(fine[np.argmin(costs[fine])])]
        for key in sorted(basket, key=lambda each: -self._cost({each: basket[each]})):
            basket = self._smallest(basket, key)
        return basket

    def _smallest(self, basket: Basket, key: Key) -> Basket:
        """Return the basket with as few lots of one order as still restore the ratio."""
        lot = self._lot(key)
        most = int(abs(basket[key]) / lot)
        sign = 1 if basket[key] > 0 else -1
        low, high = 0, most
        while high - low > 1:
            # Several sizes are priced in one call: each round leaves a ninth of the range.
            sizes = sorted({low + (high - low) * part // 9 for part in range(1, 9)} - {low, high})
            if not sizes:
                sizes = [(low + high) // 2]
            gaps, _ = self._priced([{**basket, key: sign * size * lot} for size in sizes])
            fine = [size for size, gap in zip(sizes, gaps, strict=True) if gap <= 0.0]
            high = min(fine, default=high)
            low = max((size for size in sizes if size < high), default=low)
        return {**basket, key: sign * high * lot}

    def plan(self, basket: Basket, status: ReductionStatus, reason: str) -> ReductionPlan:
        """Return the plan of a basket."""
        orders = tuple(self._order(key, change) for key, change in basket.items())
        if not basket:
            before = self.book.before.iloc[0]
            ratio = float(before["margin_ratio"])
            return ReductionPlan(
                status=status, orders=(), cost=0.0, before=before, after=before,
                ratio_after=ratio, reason=reason,
            )  # fmt: skip
        after = what_if(self.book, [self._candidate(basket, "plan")]).candidates.iloc[0]
        cost = self._cost(basket)
        left = float(after["collateral_value"]) - cost / self.book.fx_rate
        owed = float(after["collateral_value"]) - float(after["excess"])
        return ReductionPlan(
            status=status, orders=orders, cost=cost, before=self.book.before.iloc[0],
            after=after, ratio_after=owed / left if left > 0.0 else np.inf, reason=reason,
        )  # fmt: skip

    def gap_of(self, row: pd.Series, cost: float) -> float:
        """Return what is owed beyond what the target allows after ``cost`` USD. [currency]"""
        value = float(row["collateral_value"])
        owed = value - float(row["excess"])
        return owed - self.terms.ratio_target * (value - cost / self.book.fx_rate)

    def _priced(self, baskets: Sequence[Basket]) -> tuple[Float64Array1D, Float64Array1D]:
        """Return gap [currency] and cost [USD] of each basket; a refused one never helps."""
        asked = [self._candidate(basket, f"{number}") for number, basket in enumerate(baskets)]
        found = what_if(self.book, asked).candidates
        costs = np.array([self._cost(basket) for basket in baskets])
        value = found["collateral_value"].to_numpy(dtype=np.float64)
        owed = value - found["excess"].to_numpy(dtype=np.float64)
        gaps = owed - self.terms.ratio_target * (value - costs / self.book.fx_rate)
        is_answered = (found["answer"] == ANSWERED).to_numpy() & np.isfinite(gaps)
        return np.where(is_answered, gaps, np.inf), costs

    def _candidate(self, basket: Basket, name: str) -> Candidate:
        orders = [
            Order(
                side="buy" if change > 0 else "sell",
                quantity=float(abs(change)),
                instrument_id=instrument,
                account_id=account,
            )
            for (instrument, account), change in basket.items()
        ]
        return Candidate(candidate_id=name, orders=tuple(orders))

    def _slices(self, basket: Basket) -> list[Slice]:
        reducing = [(key, share, False) for key in self.held for share in SLICE_SHARES]
        return reducing + [(key, share, True) for key in self.hedges for share in SLICE_SHARES]

    def _hedge_keys(self) -> list[Key]:
        keys = []
        allowed = self.terms.hedge_accounts
        for instrument in self.terms.hedges:
            row = self.row.get(instrument)
            if row is not None:
                venue = self.book.instruments.venue[row]
                accounts = self.book.holdings.accounts.get(venue, ())
                keys += [
                    (instrument, account)
                    for account in accounts
                    if allowed is None or account in allowed
                ]
        return keys

    def _changes(self, slices: Sequence[Slice], basket: Basket) -> list[tuple[Key, Decimal]]:
        """Return each slice as signed whole lots: a position smaller, or exposure hedged."""
        changes = []
        for key, share, is_hedge in slices:
            left = self._unhedged(key, basket) if is_hedge else self._left(key, basket)
            lot = self._lot(key)
            whole = (abs(left) / lot).to_integral_value(rounding=ROUND_FLOOR)
            taken = (whole * share).to_integral_value(rounding=ROUND_CEILING) * lot
            changes.append((key, -taken if left > 0 else taken))
        return changes

    def _left(self, key: Key, basket: Basket) -> Decimal:
        """Return what a basket leaves of a held position; 0 once it is hedged in instead."""
        held = self.held[key]
        left = held + basket.get(key, Decimal(0))
        return left if abs(left) <= abs(held) and left * held >= 0 else Decimal(0)

    def _unhedged(self, key: Key, basket: Basket) -> Decimal:
        """Return the account's exposure to the underlying, in contracts of the hedge.

        0 where a hedge would be against what is held of it: that is a reduction, up to flat.
        """
        row = self.row[key[0]]
        market = self.book.market
        unit = float(market.delta_notional[row])
        quantities = {k: q for k, q in self.held.items() if k[1] == key[1]}
        for other, change in basket.items():
            if other[1] == key[1]:
                quantities[other] = quantities.get(other, Decimal(0)) + change
        net = sum(
            float(quantity) * float(market.delta_notional[self.row[instrument]])
            for (instrument, _), quantity in sorted(quantities.items())
            if market.underlying[self.row[instrument]] == market.underlying[row]
        )
        contracts = Decimal(repr(net / unit)) if unit else Decimal(0)
        return contracts if contracts * self.held.get(key, Decimal(0)) <= 0 else Decimal(0)

    def _is_allowed(self, basket: Basket) -> bool:
        """Return whether the basket keeps the terms; False too for one that changes nothing."""
        if not basket or len(basket) > self.terms.orders_max or not all(basket.values()):
            return False
        market = self.book.market
        exposure = np.zeros(len(market.assets))
        for (instrument, _), change in basket.items():
            row = self.row[instrument]
            exposure[market.underlying[row]] += abs(float(change) * market.delta_notional[row])
        volume = self.terms.volume_share_max * market.average_daily_volume
        is_thin = (exposure > volume) & (exposure > 0.0)
        return bool(exposure.sum() <= self.terms.notional_max and not is_thin.any())

    def _cost(self, basket: Basket) -> float:
        changes: dict[int, float] = {}
        for (instrument, _), change in basket.items():
            row = self.row[instrument]
            changes[row] = changes.get(row, 0.0) + float(abs(change))
        return trading_costs(self.book.market, self.book.rules.house.liquidity, changes)

    def _lot(self, key: Key) -> Decimal:
        return Decimal(repr(self.book.instruments.lot_size[self.row[key[0]]]))

    def _order(self, key: Key, change: Decimal) -> PlannedOrder:
        held = self.held.get(key, Decimal(0))
        is_reducing = held * change < 0 and abs(change) <= abs(held)
        is_hedge = key in self.hedges and held * change >= 0
        if not is_reducing and not is_hedge:
            raise InvariantBroken(f"a reduction of {key[0]} by {change} of {held} is none")
        row = self.row[key[0]]
        return PlannedOrder(
            account_id=key[1],
            instrument_id=key[0],
            side="buy" if change > 0 else "sell",
            quantity=abs(change),
            is_reduce_only=is_reducing,
            notional=abs(float(change) * float(self.book.market.delta_notional[row])),
        )


def _added(basket: Basket, key: Key, change: Decimal) -> Basket:
    return {**basket, key: basket.get(key, Decimal(0)) + change}
