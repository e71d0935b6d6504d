"""Confirmed collateral of all netting sets as columns, and what it is worth at the newest rates.

The arithmetic is that of ``engine.collateral.valuation``, step by step and in the same order, on
arrays that stay laid out from one tick to the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.collateral.haircuts import tiered_haircuts_with_fx
from engine.intraday.ranges import ranges_of
from engine.kernels.compensated import compensated_sums
from engine.rules import HouseParameters


@dataclass(frozen=True, slots=True, eq=False)
class SetPledges:
    """Confirmed collateral of one netting set, sorted by location, asset and state.

    ``asset`` numbers the market's assets, -1 for one that it does not know; ``group`` is the place
    of the asset among those of the netting set, in the order of their names.
    """

    asset: Int64Array1D
    group: Int64Array1D
    group_asset: Int64Array1D
    is_settled: BoolArray1D
    quantity: Float64Array1D


def set_pledges(rows: list[tuple[str, str, float]], asset_row: dict[str, int]) -> SetPledges:
    """Return the pledges of one netting set from asset, state and quantity of each row."""
    names = sorted({asset for asset, _, _ in rows})
    place = {name: i for i, name in enumerate(names)}
    return SetPledges(
        asset=np.array([asset_row.get(asset, -1) for asset, _, _ in rows], dtype=np.int64),
        group=np.array([place[asset] for asset, _, _ in rows], dtype=np.int64),
        group_asset=np.array([asset_row.get(name, -1) for name in names], dtype=np.int64),
        is_settled=np.array([state == "settled" for _, state, _ in rows], dtype=np.bool_),
        quantity=np.array([quantity for _, _, quantity in rows], dtype=np.float64),
    )


class Pledges:
    """Pledges of all netting sets; one that changes stands beside the others until ``compact``."""

    def __init__(self, sets: list[SetPledges], house: HouseParameters, assets: tuple[str, ...]):
        self._terms = tuple(house.collateral.get(asset) for asset in assets)
        self._fx_haircut = house.fx_haircut
        self._eligible = np.array([t is not None and t.eligible for t in self._terms] + [False])
        self._changed: dict[int, SetPledges] = {}
        self._lay_out(sets)

    def replace(self, netting_set: int, pledges: SetPledges) -> None:
        """Store the pledges of a netting set that has changed."""
        self._changed[netting_set] = pledges

    def compact(self) -> None:
        """Bring changed netting sets together with the others."""
        if self._changed:
            self._lay_out([self.of(n) for n in range(len(self._ptr) - 1)])
            self._changed = {}

    def of(self, netting_set: int) -> SetPledges:
        """Return the pledges of one netting set."""
        changed = self._changed.get(netting_set)
        if changed is not None:
            return changed
        rows = slice(*self._ptr[netting_set : netting_set + 2].tolist())
        groups = slice(*self._group_ptr[netting_set : netting_set + 2].tolist())
        whole = self._whole
        return SetPledges(
            whole.asset[rows], whole.group[rows], whole.group_asset[groups],
            whole.is_settled[rows], whole.quantity[rows],
        )  # fmt: skip

    def laid_out(
        self, limit: Float64Array1D
    ) -> tuple[Int64Array1D, Float64Array1D, Int64Array1D, Float64Array1D]:
        """Return asset, quantity and owner of every row, and the sum of limits of every owner.

        Parameters
        ----------
        limit : Float64Array1D, shape (n_assets,)
            Of each asset; others have none.
        """
        self.compact()
        n_sets = len(self._ptr) - 1
        owner = np.repeat(np.arange(n_sets), np.diff(self._ptr))
        group_owner = np.repeat(np.arange(n_sets), np.diff(self._group_ptr))
        of_group = np.append(limit, 0.0)[self._whole.group_asset]
        limits = np.bincount(group_owner, weights=of_group, minlength=n_sets).astype(np.float64)
        return self._whole.asset, self._whole.quantity, owner, limits

    def values(
        self, chosen: Int64Array1D, usd_rate: Float64Array1D, currency: Int64Array1D
    ) -> Float64Array1D:
        """Return the collateral value of chosen netting sets, in the agreement's currency.

        Parameters
        ----------
        usd_rate : Float64Array1D, shape (n_assets,)
            Price of one unit; NaN where unknown. [USD]
        currency : Int64Array1D, shape (len(chosen),)
            Row of each agreement's currency in the market's assets.
        """
        if not self._changed:
            return self._values(*self._gathered(chosen), usd_rate, currency)
        is_changed = np.array([n in self._changed for n in chosen.tolist()], dtype=np.bool_)
        found = np.zeros(len(chosen))
        at = np.flatnonzero(~is_changed)
        if len(at):
            found[at] = self._values(*self._gathered(chosen[at]), usd_rate, currency[at])
        at = np.flatnonzero(is_changed)
        if len(at):
            parts = [self._changed[n] for n in chosen[at].tolist()]
            found[at] = self._values(*_joined(parts), usd_rate, currency[at])
        return found

    def _gathered(self, chosen: Int64Array1D) -> tuple[SetPledges, Int64Array1D, Int64Array1D]:
        rows, ptr = ranges_of(self._ptr[chosen], self._ptr[chosen + 1])
        groups, group_ptr = ranges_of(self._group_ptr[chosen], self._group_ptr[chosen + 1])
        whole = self._whole
        part = SetPledges(
            whole.asset[rows], whole.group[rows], whole.group_asset[groups],
            whole.is_settled[rows], whole.quantity[rows],
        )  # fmt: skip
        return part, ptr, group_ptr

    def _values(
        self,
        held: SetPledges,
        ptr: Int64Array1D,
        group_ptr: Int64Array1D,
        usd_rate: Float64Array1D,
        currency: Int64Array1D,
    ) -> Float64Array1D:
        n_groups = int(group_ptr[-1])
        owner = np.repeat(np.arange(len(currency)), np.diff(ptr))
        group = np.repeat(group_ptr[:-1], np.diff(ptr)) + held.group
        group_set = np.repeat(np.arange(len(currency)), np.diff(group_ptr))
        known = np.isfinite(usd_rate) & (usd_rate > 0.0)
        price = np.append(np.where(known, usd_rate, 0.0), 0.0)
        has_price = np.append(known, False)
        has_rate, rate = known[currency], np.where(known[currency], usd_rate[currency], 1.0)
        counts = held.is_settled & has_price[held.asset] & self._eligible[held.asset]
        counts &= has_rate[owner]
        value_usd = held.quantity * price[held.asset]
        basis = np.bincount(
            group, weights=np.where(counts, value_usd, 0.0), minlength=n_groups
        ).astype(np.float64)
        haircut, fx_haircut, limit = self._haircuts(held.group_asset, basis, currency[group_set])
        weight = np.maximum(1.0 - haircut - fx_haircut, 0.0)
        value = basis / rate[group_set] * weight
        total = np.bincount(group_set, weights=value, minlength=len(currency))
        counted = np.minimum(value, limit * total[group_set])
        share = np.divide(counted, value, out=np.ones_like(value), where=value > 0.0)
        market_value = np.where(has_rate[owner], value_usd / rate[owner], 0.0)
        before_limit = np.where(counts, market_value * weight[group], 0.0)
        return compensated_sums(before_limit * share[group], ptr)

    def _haircuts(
        self, asset: Int64Array1D, basis: Float64Array1D, currency: Int64Array1D
    ) -> tuple[Float64Array1D, Float64Array1D, Float64Array1D]:
        n = len(asset)
        haircut, fx_haircut, limit = np.ones(n), np.zeros(n), np.zeros(n)
        fx = np.where(asset == currency, 0.0, self._fx_haircut)
        for row in np.unique(asset[self._eligible[asset]]).tolist():
            terms = self._terms[row]
            assert terms is not None
            members = np.flatnonzero(asset == row)
            haircut[members], fx_haircut[members] = tiered_haircuts_with_fx(
                basis[members], terms.haircut_tiers, fx[members]
            )
            limit[members] = terms.concentration_limit
        return haircut, fx_haircut, limit

    def _lay_out(self, sets: list[SetPledges]) -> None:
        if not sets:
            sets = [set_pledges([], {})]
        self._whole, self._ptr, self._group_ptr = _joined(sets)


def _joined(sets: list[SetPledges]) -> tuple[SetPledges, Int64Array1D, Int64Array1D]:
    columns = [
        np.concatenate([getattr(each, name) for each in sets])
        for name in ("asset", "group", "group_asset", "is_settled", "quantity")
    ]
    ptr = np.concatenate([[0], np.cumsum([len(each.asset) for each in sets])])
    group_ptr = np.concatenate([[0], np.cumsum([len(each.group_asset) for each in sets])])
    return SetPledges(*columns), ptr.astype(np.int64), group_ptr.astype(np.int64)
