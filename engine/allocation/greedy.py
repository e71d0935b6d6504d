"""The clear rule: the most urgent need first, each from the cheapest source first.

Cheapest is cost per dollar covered of what the source would send now, fixed fee included; then the
fastest rail, then the order of names. A person can follow every step of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, localcontext

from engine.allocation.plan import Plan, cost_of, fee_of, plan_of, value_of
from engine.allocation.problem import Problem, Way
from engine.money import MONEY_CONTEXT, Rounding, round_to_increment


def greedy_plan(problem: Problem) -> Plan:
    """Return the plan of the clear rule."""
    with localcontext(MONEY_CONTEXT):
        return plan_of(problem, fill(problem, problem.ways, {}))


def fill(problem: Problem, ways: Sequence[Way], begun: Mapping[Way, Decimal]) -> dict[Way, Decimal]:
    """Return ``begun`` and what the clear rule adds over ``ways`` to cover the rest. [asset]"""
    state = _State(problem, begun)
    by_need: dict[int, list[Way]] = {}
    for way in ways:
        by_need.setdefault(way.need, []).append(way)
    order = sorted(
        by_need,
        key=lambda number: (
            problem.needs[number].priority,
            problem.needs[number].within,
            problem.needs[number].need_id,
        ),
    )
    for number in order:
        while state.missing[number] > 0:
            offers = [offer for way in by_need[number] if (offer := state.offer(way)) is not None]
            if not offers:
                break
            state.take(*min(offers, key=state.rank))
    return state.quantities


class _State:
    """What is left of holdings, needs and limits while a plan grows."""

    def __init__(self, problem: Problem, begun: Mapping[Way, Decimal]) -> None:
        self.problem = problem
        self.quantities: dict[Way, Decimal] = {}
        self.free = list(problem.free())
        self.missing = [need.amount for need in problem.needs]
        self.room = {
            key: terms.value_max
            for key, terms in problem.acceptance.items()
            if terms.value_max is not None
        }
        for way, quantity in begun.items():
            self.take(way, quantity)

    def take(self, way: Way, quantity: Decimal) -> None:
        """Send ``quantity`` more over a way."""
        before = self.quantities.get(way, Decimal(0))
        added = value_of(self.problem, way, before + quantity)
        if before:
            added -= value_of(self.problem, way, before)
        self.quantities[way] = before + quantity
        self.free[way.holding] -= quantity
        self.missing[way.need] -= added
        key = (self.problem.needs[way.need].place, self.problem.holdings[way.holding].asset)
        if key in self.room:
            self.room[key] -= added

    def rank(self, offer: tuple[Way, Decimal]) -> tuple[Decimal, object, Way]:
        """Return cost per dollar that the need still lacks, then speed, then name."""
        way, quantity = offer
        before = self.quantities.get(way, Decimal(0))
        cost = cost_of(self.problem, way, before + quantity)
        value = value_of(self.problem, way, before + quantity)
        if before:
            cost -= cost_of(self.problem, way, before)
            value -= value_of(self.problem, way, before)
        useful = min(value, self.missing[way.need])
        return cost / useful, self.problem.rail(way).settles_within, way

    def offer(self, way: Way) -> tuple[Way, Decimal] | None:
        """Return what a way would add towards its need now; None if nothing that counts."""
        rail, asset, terms = (
            self.problem.rail(way), self.problem.asset(way), self.problem.terms(way)
        )  # fmt: skip
        before = self.quantities.get(way, Decimal(0))
        unit = Decimal(1).scaleb(-asset.scale)
        per_unit = asset.price * (1 - terms.haircut) * (1 - rail.fee_rate)
        fixed = Decimal(0) if before else rail.fee
        wanted = self.missing[way.need] / per_unit + fixed / (1 - rail.fee_rate) + 2 * unit
        # The smallest transfer may be more than is missing: it counts, and costs, what it is.
        wanted = max(
            round_to_increment(wanted, unit, Rounding.REQUIREMENT), rail.quantity_min - before
        )
        most = self.free[way.holding]
        if rail.quantity_max is not None:
            most = min(most, rail.quantity_max - before)
        room = self.room.get(
            (self.problem.needs[way.need].place, self.problem.holdings[way.holding].asset)
        )
        if room is not None:
            most = min(most, max(room, Decimal(0)) / per_unit + fixed)
        quantity = min(wanted, round_to_increment(most, unit, Rounding.COLLATERAL_VALUE))
        whole = before + quantity
        if quantity <= 0 or whole < rail.quantity_min or whole <= fee_of(self.problem, way, whole):
            return None
        gained = value_of(self.problem, way, whole)
        if before:
            gained -= value_of(self.problem, way, before)
        return (way, quantity) if gained > 0 else None
