"""The core of a close: 10,000 options revalued, 100,000 books totalled, 99 % expected shortfall.

``python -m tests.benchmark.end_of_day ROUTE`` runs one route once and prints its memory.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

from tests.benchmark import aggregation, bounds, compiled_peers
from tests.benchmark import end_of_day_core as core
from tests.benchmark.books_table import books_table, figures_of, memory, memory_of
from tests.benchmark.measure import Absent, Routes, write_result
from tests.benchmark.workload import (
    N_INSTRUMENTS,
    N_SCENARIOS,
    N_TAIL,
    make_books,
    make_options,
    make_scenarios,
)

N_SETS = 100_000
ENGINE, TWO_THREADS = "engine", "engine, 2 threads"
C, BLOCKED, ONE_SHOT = "C with libmvec, same tiles", "NumPy blocked", "NumPy one shot"


def make_routes(n_sets: int) -> Routes:
    """Return every route on the same options, scenarios and books."""
    options, scenarios = make_options(), make_scenarios()
    work = (options, scenarios, core.marks(options), make_books(n_sets))
    compiled = compiled_peers.library()
    routes = Routes()
    routes.add(ENGINE, lambda: core.engine(*work))
    routes.add(TWO_THREADS, lambda: core.engine(*work, n_threads=2))
    is_absent = isinstance(compiled, Absent)
    routes.add(C, compiled if is_absent else lambda: compiled_peers.close(*work, N_TAIL))
    routes.add(BLOCKED, lambda: core.blocked(*work))
    routes.add(ONE_SHOT, lambda: core.one_shot(*work))
    return routes


def measure(n_sets: int = N_SETS, repeats: int = 3) -> dict[str, Any]:
    """Return seconds of each route, the bound and the largest difference of a shortfall."""
    n_prices = N_INSTRUMENTS * N_SCENARIOS
    limits = [
        bounds.multiply_adds(bounds.OPERATIONS_PER_PRICE * n_prices),
        aggregation.bound(n_sets),
    ]
    return {"n_sets": n_sets, **figures_of(make_routes(n_sets), limits, BLOCKED, repeats)}


def run(console: Console) -> None:
    """Print and write the figures."""
    figures = measure()
    wanted = (ENGINE, C, BLOCKED, ONE_SHOT)
    figures["memory_mib"] = memory_of("tests.benchmark.end_of_day", wanted, figures["seconds"])
    title = "revalue 10,000 options, 99 % expected shortfall of 100,000 books"
    console.print(books_table(title, figures, ENGINE))
    console.print(f"largest difference {figures['largest_difference']:.1e} of the mean shortfall")
    console.print(write_result("end_of_day", figures))


if __name__ == "__main__":
    print(json.dumps(memory(make_routes, sys.argv[1], N_SETS)))
