"""The mixed-integer program of a plan, as HiGHS takes it.

Dollars are counted in the size of the largest need, which is kind to the solver. Whether a way is
used at all is a yes or no where it has a fixed fee or a smallest transfer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array

from engine.allocation.plan import value_of
from engine.allocation.problem import Problem, Way
from engine.arrays import BoolArray1D, Float64Array1D
from engine.money import Rounding, round_to_increment

GAP_MAX: Final = 1e-3
"""Relative distance to the best possible cost at which the search may stop. [-]"""
NODES_MAX: Final = 50
"""Nodes of a search; a limit in nodes and not in seconds gives the same plan anywhere."""
_SLACK: Final = 1e-9


class Program:
    """Columns: value sent over each way, used or not, and what stays short of each need. [USD]"""

    def __init__(self, problem: Problem, part: Sequence[Way]) -> None:
        self.problem, self.part = problem, list(part)
        self.needs = sorted({way.need for way in part})
        prices = self._column(lambda way: problem.asset(way).price)
        fees = self._column(lambda way: problem.rail(way).fee) * prices
        rates = self._column(lambda way: problem.rail(way).fee_rate)
        use = self._column(lambda way: problem.asset(way).use_cost)
        kept = 1.0 - self._column(lambda way: problem.terms(way).haircut)
        self.prices = prices
        free = np.array([float(each) for each in problem.free()])
        self.most = free[[way.holding for way in part]] * prices
        limits = [problem.rail(way).quantity_max for way in part]
        self.most = np.minimum(
            self.most,
            [np.inf if limit is None else float(limit) * price
             for limit, price in zip(limits, prices, strict=True)],
        )  # fmt: skip
        self.least = self._column(lambda way: problem.rail(way).quantity_min) * prices
        self.is_chosen: BoolArray1D = (fees > 0.0) | (self.least > 0.0)
        n_ways, n_needs = len(part), len(self.needs)
        self.unit = max(float(problem.needs[number].amount) for number in self.needs)
        self.per_value, self.per_use = kept * (1.0 - rates), -kept * fees / self.unit
        self.costs: Float64Array1D = np.concatenate(
            (rates + use * (1.0 - rates), (fees * (1.0 - use)) / self.unit, np.zeros(n_needs))
        )
        self.shortfalls: Float64Array1D = np.concatenate((np.zeros(2 * n_ways), np.ones(n_needs)))

    def minimise(
        self, objective: Float64Array1D, *, shortfall_max: float | None
    ) -> tuple[Float64Array1D, float] | None:
        """Return the best columns and the gap that is left, or None if none was found."""
        n_ways = len(self.part)
        most = self.most / self.unit
        upper = np.concatenate(
            (most, self.is_chosen.astype(float), np.full(len(self.needs), np.inf))
        )
        integrality = np.concatenate(
            (np.zeros(n_ways), self.is_chosen.astype(float), np.zeros(len(self.needs)))
        )
        constraints = [*self._constraints(most)]
        if shortfall_max is not None:
            limit = shortfall_max + _SLACK
            constraints.append(LinearConstraint(csr_array(self.shortfalls[None, :]), ub=limit))
        found = milp(
            objective,
            integrality=integrality,
            bounds=Bounds(0.0, upper),
            constraints=constraints,
            options={"mip_rel_gap": GAP_MAX, "node_limit": NODES_MAX},
        )
        if found.x is None:
            return None
        gap = found.mip_gap if found.mip_gap is not None else 0.0
        return np.asarray(found.x, dtype=np.float64), float(gap)

    def quantities(self, solution: Float64Array1D) -> dict[Way, Decimal]:
        """Return what each way sends, in whole minor units, within its own limits. [asset]"""
        found: dict[Way, Decimal] = {}
        left = list(self.problem.free())
        for way, value, price in zip(self.part, solution * self.unit, self.prices, strict=False):
            asset, rail = self.problem.asset(way), self.problem.rail(way)
            unit = Decimal(1).scaleb(-asset.scale)
            sent = _floored(Decimal(repr(float(value / price))), unit)
            if rail.quantity_min > sent > rail.quantity_min * Decimal("0.999"):
                sent = rail.quantity_min
            sent = min(sent, _floored(left[way.holding], unit))
            if rail.quantity_max is not None:
                sent = min(sent, rail.quantity_max)
            if sent <= rail.fee / (1 - rail.fee_rate) + unit or sent < rail.quantity_min:
                continue
            found[way] = sent
            left[way.holding] -= sent
        return self._within_room(found)

    def _within_room(self, found: dict[Way, Decimal]) -> dict[Way, Decimal]:
        """Take back what rounding has put over a concentration limit."""
        taken: dict[tuple[str, str], Decimal] = {}
        kept: dict[Way, Decimal] = {}
        for way, quantity in found.items():
            key = (
                self.problem.needs[way.need].place, self.problem.holdings[way.holding].asset
            )  # fmt: skip
            limit = self.problem.terms(way).value_max
            value = value_of(self.problem, way, quantity)
            room = None if limit is None else limit - taken.get(key, Decimal(0))
            if room is not None and value > room:
                asset = self.problem.asset(way)
                unit = Decimal(1).scaleb(-asset.scale)
                over = (value - room) / (asset.price * (1 - self.problem.terms(way).haircut))
                quantity = _floored(quantity - over - 2 * unit, unit)
                if quantity < self.problem.rail(way).quantity_min or quantity <= 0:
                    continue
                value = value_of(self.problem, way, quantity)
                if value <= 0 or value > room:
                    continue
            kept[way] = quantity
            taken[key] = taken.get(key, Decimal(0)) + value
        return kept

    def _constraints(self, most: Float64Array1D) -> list[LinearConstraint]:
        n_ways, n_needs = len(self.part), len(self.needs)
        n = 2 * n_ways + n_needs
        way = np.arange(n_ways)
        need = np.searchsorted(self.needs, [each.need for each in self.part])
        cover = coo_array(
            (
                np.concatenate((self.per_value, self.per_use, np.ones(n_needs))),
                (
                    np.concatenate((need, need, np.arange(n_needs))),
                    np.concatenate((way, n_ways + way, 2 * n_ways + np.arange(n_needs))),
                ),
            ),
            shape=(n_needs, n),
        )
        wanted = [float(self.problem.needs[number].amount) / self.unit for number in self.needs]
        constraints = [LinearConstraint(cover.tocsr(), lb=wanted)]
        holdings, row = np.unique([each.holding for each in self.part], return_inverse=True)
        held = coo_array((np.ones(n_ways), (row, way)), shape=(len(holdings), n))
        free = [float(each) for each in self.problem.free()]
        price = {each.holding: price for each, price in zip(self.part, self.prices, strict=True)}
        capacity = [free[number] * price[int(number)] / self.unit for number in holdings]
        constraints.append(LinearConstraint(held.tocsr(), ub=capacity))
        chosen = np.flatnonzero(self.is_chosen)
        if chosen.size:
            rows = np.arange(chosen.size)
            linked = coo_array(
                (
                    np.concatenate((np.ones(chosen.size), -most[chosen])),
                    (np.concatenate((rows, rows)), np.concatenate((chosen, n_ways + chosen))),
                ),
                shape=(chosen.size, n),
            )
            constraints.append(LinearConstraint(linked.tocsr(), ub=0.0))
            least = coo_array(
                (
                    np.concatenate((np.ones(chosen.size), -self.least[chosen] / self.unit)),
                    (np.concatenate((rows, rows)), np.concatenate((chosen, n_ways + chosen))),
                ),
                shape=(chosen.size, n),
            )
            constraints.append(LinearConstraint(least.tocsr(), lb=0.0))
        return [*constraints, *self._concentration(n)]

    def _concentration(self, n: int) -> list[LinearConstraint]:
        n_ways = len(self.part)
        keys = [
            (self.problem.needs[way.need].place, self.problem.holdings[way.holding].asset)
            for way in self.part
        ]
        limited = [
            number
            for number, way in enumerate(self.part)
            if self.problem.terms(way).value_max is not None
        ]
        if not limited:
            return []
        names = sorted({keys[number] for number in limited})
        row = [names.index(keys[number]) for number in limited]
        columns = np.array(limited)
        counted = coo_array(
            (
                np.concatenate((self.per_value[columns], self.per_use[columns])),
                (np.concatenate((row, row)), np.concatenate((columns, n_ways + columns))),
            ),
            shape=(len(names), n),
        )
        limits = [float(self.problem.acceptance[key].value_max or 0) / self.unit for key in names]
        return [LinearConstraint(counted.tocsr(), ub=limits)]

    def _column(self, value: Callable[[Way], Decimal]) -> Float64Array1D:
        return np.array([float(value(way)) for way in self.part], dtype=np.float64)


def _floored(quantity: Decimal, unit: Decimal) -> Decimal:
    return round_to_increment(quantity, unit, Rounding.COLLATERAL_VALUE)
