"""The cheapest plan: a mixed-integer program, solved by HiGHS, then made exact.

First as much as possible is covered, then that is done at least cost. Needs and holdings that no
way connects are solved apart. The solver works in floats; its answer is rounded down to whole minor
units, the clear rule fills what rounding has left, and the plan is checked exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from math import inf

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from engine.allocation.greedy import fill
from engine.allocation.plan import Plan, plan_of, score_of
from engine.allocation.problem import Problem, Way
from engine.allocation.program import Program
from engine.money import MONEY_CONTEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """The best plan found, beside the clear rule's.

    Attributes
    ----------
    plan, greedy : Plan
        The plan to follow; what the clear rule would have done.
    saving : Decimal
        Cost of the clear rule less cost of the plan; below zero where the plan covers more. [USD]
    gap : float
        How far the cost can be from the best possible, relative; inf where the search found none.
    """

    plan: Plan
    greedy: Plan
    saving: Decimal
    gap: float


def optimal_plan(problem: Problem) -> Optimum:
    """Return the cheapest plan among those that cover most.

    Parameters
    ----------
    problem : Problem
        Needs, holdings and rails.

    Returns
    -------
    Optimum
        Never worse than the clear rule: where the search ends behind it, the plan is the rule's.
    """
    with localcontext(MONEY_CONTEXT):
        by_rule = fill(problem, problem.ways, {})
        chosen: dict[Way, Decimal] = {}
        gap = 0.0
        for ways in _parts(problem):
            rule = {way: by_rule[way] for way in ways if way in by_rule}
            found, gap_of_part = _solve(problem, ways, rule)
            gap = max(gap, gap_of_part)
            chosen.update(found)
        greedy, plan = plan_of(problem, by_rule), plan_of(problem, chosen)
    return Optimum(plan=plan, greedy=greedy, saving=greedy.cost - plan.cost, gap=gap)


def _solve(
    problem: Problem, ways: Sequence[Way], rule: dict[Way, Decimal]
) -> tuple[dict[Way, Decimal], float]:
    """Return what the ways of one part send, and the gap that is left."""
    needs = sorted({way.need for way in ways})
    by_rule = score_of(problem, rule, needs)
    program = Program(problem, ways)
    shortfall_max = 0.0
    # What the clear rule covers in full needs no first search for how much can be covered.
    if by_rule[0] > 0:
        most = program.minimise(program.shortfalls, shortfall_max=None)
        if most is None:
            return rule, inf
        shortfall_max = float(program.shortfalls @ most[0])
    cheapest = program.minimise(program.costs, shortfall_max=shortfall_max)
    if cheapest is None:
        return rule, inf
    found = fill(problem, ways, program.quantities(cheapest[0]))
    is_better = score_of(problem, found, needs) < by_rule
    return (found if is_better else rule), cheapest[1]


def _parts(problem: Problem) -> list[list[Way]]:
    """Return the ways in groups that share no need, holding or concentration limit."""
    ways = problem.ways
    if not ways:
        return []
    n_needs = len(problem.needs)
    limits: dict[tuple[str, str], int] = {}
    ends: list[tuple[int, int]] = []
    for way in ways:
        key = (problem.needs[way.need].place, problem.holdings[way.holding].asset)
        ends.append((way.need, n_needs + way.holding))
        if problem.terms(way).value_max is not None:
            number = limits.setdefault(key, n_needs + len(problem.holdings) + len(limits))
            ends.append((way.need, number))
    n = n_needs + len(problem.holdings) + len(limits)
    first, second = np.array(ends).T
    graph = coo_array((np.ones(len(ends)), (first, second)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    parts: dict[int, list[Way]] = {}
    for way in ways:
        parts.setdefault(int(label[way.need]), []).append(way)
    return [parts[number] for number in sorted(parts)]
