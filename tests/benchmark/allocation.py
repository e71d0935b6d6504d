"""Which collateral covers which call: the optimum beside the clear rule, cost and time."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from engine.allocation import Problem, greedy_plan, optimal_plan
from tests.benchmark.measure import write_result
from tests.property.allocation_problems import random_problem

N_VENUES, N_ASSETS = 8, 12
CASES: dict[str, tuple[int, float]] = {
    "200 accounts": (25, 0.0),
    "and a house vault": (25, 20.0),
    "800 accounts": (100, 0.0),
}
SEED = 1


def measure(n_clients: int, house_share: float) -> dict[str, Any]:
    """Return sizes, costs in USD and seconds of both plans."""
    rng = np.random.default_rng(SEED)
    problem: Problem = random_problem(
        rng, n_clients=n_clients, n_venues=N_VENUES, n_assets=N_ASSETS, house_share=house_share
    )
    n_ways = len(problem.ways)
    started = time.perf_counter()
    greedy = greedy_plan(problem)
    by_rule = time.perf_counter() - started
    started = time.perf_counter()
    found = optimal_plan(problem)
    return {
        "needs": len(problem.needs),
        "ways": n_ways,
        "greedy_cost": float(greedy.cost),
        "optimum_cost": float(found.plan.cost),
        "greedy_shortfall": float(greedy.shortfall),
        "optimum_shortfall": float(found.plan.shortfall),
        "gap": found.gap,
        "greedy_seconds": by_rule,
        "optimum_seconds": time.perf_counter() - started,
    }


def run(console: Console) -> None:
    """Print and write the figures."""
    table = Table(title=f"Cover of margin calls over {N_VENUES} venues and {N_ASSETS} assets")
    columns = ("", "calls", "USD", "saved", "gap", "rule s", "best s")
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    figures = {name: measure(*case) for name, case in CASES.items()}
    for name, found in figures.items():
        table.add_row(
            name, f"{found['needs']:,}", f"{found['greedy_cost']:,.0f}",
            f"{1 - found['optimum_cost'] / found['greedy_cost']:.1%}", f"{found['gap']:.2%}",
            f"{found['greedy_seconds']:.2f}", f"{found['optimum_seconds']:.1f}",
        )  # fmt: skip
    console.print(table)
    console.print(write_result("allocation", {"by_case": figures}))
