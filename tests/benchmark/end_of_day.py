"""The core of a close: 10,000 options revalued, 100,000 books totalled, 99 % expected shortfall.

``python -m tests.benchmark.end_of_day ROUTE`` runs one route once and prints its memory.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

from tests.benchmark import end_of_day_core as core
from tests.benchmark.books_table import Routes, books_table, largest_difference, memory
from tests.benchmark.measure import in_fresh_process, interleaved, write_result
from tests.benchmark.workload import make_books, make_options, make_scenarios

N_SETS = 100_000
ENGINE, TWO_THREADS = "engine", "engine, 2 threads"
BLOCKED, ONE_SHOT = "NumPy blocked", "NumPy one shot"


def make_routes(n_sets: int) -> Routes:
    """Return every route on the same options, scenarios and books."""
    options, scenarios = make_options(), make_scenarios()
    work = (options, scenarios, core.marks(options), make_books(n_sets))
    return {
        ENGINE: lambda: core.engine(*work),
        TWO_THREADS: lambda: core.engine(*work, n_threads=2),
        BLOCKED: lambda: core.blocked(*work),
        ONE_SHOT: lambda: core.one_shot(*work),
    }


def measure(n_sets: int = N_SETS, repeats: int = 3) -> dict[str, Any]:
    """Return seconds of each route and the largest difference of a shortfall."""
    routes = make_routes(n_sets)
    return {
        "n_sets": n_sets,
        "seconds": interleaved(routes, repeats),
        "largest_difference": largest_difference(routes, BLOCKED),
    }


def run(console: Console) -> None:
    """Print and write the figures."""
    figures = measure()
    figures["memory_mib"] = {
        name: in_fresh_process("tests.benchmark.end_of_day", name)
        for name in (ENGINE, BLOCKED, ONE_SHOT)
    }
    title = "revalue 10,000 options, 99 % expected shortfall of 100,000 books"
    console.print(books_table(title, figures, ENGINE))
    console.print(f"largest difference {figures['largest_difference']:.1e} of the mean shortfall")
    console.print(write_result("end_of_day", figures))


if __name__ == "__main__":
    print(json.dumps(memory(make_routes, sys.argv[1], N_SETS)))
