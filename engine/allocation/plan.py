"""A plan: exact transfers that cover needs, what they cost and what stays uncovered.

Every figure is recomputed from the transfers themselves, whoever proposed them, and every limit of
the problem is checked again: a plan that breaks one is a bug and not a plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from engine.allocation.problem import Problem, Way
from engine.errors import InvariantBroken
from engine.money import Rounding, round_to_increment


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One transfer. ``quantity`` leaves the source, ``quantity - fee`` arrives. [asset]

    ``value`` is what the need counts of it [USD after haircut]; ``cost`` is the fee and what it
    costs to have the asset tied up [USD].
    """

    need_id: str
    source: str
    destination: str
    asset: str
    owner: str
    quantity: Decimal
    fee: Decimal
    value: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Transfers in the order of needs, and what they achieve. [USD]

    ``uncovered`` holds the needs that are not covered in full, with what is missing of each.
    """

    moves: tuple[Move, ...]
    uncovered: tuple[tuple[str, Decimal], ...]
    cost: Decimal

    @property
    def shortfall(self) -> Decimal:
        """Return what stays uncovered over all needs. [USD]"""
        return sum((missing for _, missing in self.uncovered), start=Decimal(0))


def fee_of(problem: Problem, way: Way, quantity: Decimal) -> Decimal:
    """Return what the rail keeps of a transfer, rounded up to the asset's minor unit. [asset]"""
    rail, asset = problem.rail(way), problem.asset(way)
    fee = rail.fee + rail.fee_rate * quantity
    return round_to_increment(fee, Decimal(1).scaleb(-asset.scale), Rounding.REQUIREMENT)


def value_of(problem: Problem, way: Way, quantity: Decimal) -> Decimal:
    """Return what the need counts of a transfer. [USD after haircut]"""
    arrived = quantity - fee_of(problem, way, quantity)
    return arrived * problem.asset(way).price * (1 - problem.terms(way).haircut)


def cost_of(problem: Problem, way: Way, quantity: Decimal) -> Decimal:
    """Return fee and cost of use of a transfer. [USD]"""
    asset = problem.asset(way)
    fee = fee_of(problem, way, quantity)
    return asset.price * (fee + asset.use_cost * (quantity - fee))


def plan_of(problem: Problem, quantities: Mapping[Way, Decimal]) -> Plan:
    """Return the plan that sends ``quantities``; raises InvariantBroken if it breaks a limit."""
    covered = dict.fromkeys(range(len(problem.needs)), Decimal(0))
    moves = []
    for way in sorted(quantities):
        quantity = quantities[way]
        if quantity == 0:
            continue
        need, holding = problem.needs[way.need], problem.holdings[way.holding]
        move = Move(
            need_id=need.need_id,
            source=holding.place,
            destination=need.place,
            asset=holding.asset,
            owner=holding.owner,
            quantity=quantity,
            fee=fee_of(problem, way, quantity),
            value=value_of(problem, way, quantity),
            cost=cost_of(problem, way, quantity),
        )
        covered[way.need] += move.value
        moves.append(move)
    _require_limits(problem, quantities)
    missing = [
        (need.need_id, need.amount - covered[number])
        for number, need in enumerate(problem.needs)
        if covered[number] < need.amount
    ]
    cost = sum((move.cost for move in moves), start=Decimal(0))
    return Plan(moves=tuple(moves), uncovered=tuple(missing), cost=cost)


def score_of(
    problem: Problem, quantities: Mapping[Way, Decimal], needs: Sequence[int]
) -> tuple[Decimal, Decimal]:
    """Return what stays uncovered of ``needs``, then the cost: the lower, the better. [USD]"""
    missing = {number: problem.needs[number].amount for number in needs}
    for way, quantity in quantities.items():
        missing[way.need] -= value_of(problem, way, quantity)
    cost = sum((cost_of(problem, way, each) for way, each in quantities.items()), start=Decimal(0))
    return sum((max(each, Decimal(0)) for each in missing.values()), start=Decimal(0)), cost


def _require_limits(problem: Problem, quantities: Mapping[Way, Decimal]) -> None:
    known = set(problem.ways)
    left = list(problem.free())
    taken: dict[tuple[str, str], Decimal] = {}
    for way, quantity in quantities.items():
        if quantity == 0:
            continue
        holding, need = problem.holdings[way.holding], problem.needs[way.need]
        what = f"{quantity} {holding.asset} from {holding.place} for {need.need_id}"
        rail = problem.rail(way) if way in known else None
        if rail is None or quantity < 0 or fee_of(problem, way, quantity) >= quantity:
            raise InvariantBroken(f"{what} is not possible")
        if quantity < rail.quantity_min or (rail.quantity_max or quantity) < quantity:
            raise InvariantBroken(f"{what} is outside the limits of its rail")
        left[way.holding] -= quantity
        key = (need.place, holding.asset)
        taken[key] = taken.get(key, Decimal(0)) + value_of(problem, way, quantity)
    for number, remaining in enumerate(left):
        if remaining < 0:
            holding = problem.holdings[number]
            raise InvariantBroken(
                f"{holding.asset} of {holding.place} is overdrawn by {-remaining}"
            )
    for (place, asset), value in taken.items():
        limit = problem.acceptance[place, asset].value_max
        if limit is not None and value > limit:
            raise InvariantBroken(f"{asset} at {place} counts {value} USD, limit is {limit}")
