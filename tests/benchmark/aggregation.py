"""Total 100,000 books of 30 positions over 10,000 instruments in 1,000 scenarios, and their tails.

``python -m tests.benchmark.aggregation ROUTE`` runs one route once and prints its memory.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from rich.console import Console

from engine.kernels.tail import LegRows, nested_expected_shortfall
from tests.benchmark import book_peers
from tests.benchmark.books_table import Routes, books_table, largest_difference, memory
from tests.benchmark.end_of_day_core import marks, revalue, values
from tests.benchmark.measure import in_fresh_process, interleaved, write_result
from tests.benchmark.workload import N_TAIL, make_books, make_options, make_scenarios

N_SETS = 100_000
# With five legs a book has six tails: its own and one for each leg.
ENGINE, TWO_THREADS, NESTED = "engine", "engine, 2 threads", "engine, 5 legs"
ONE_SHOT, BLOCKED, NUMBA = "SciPy one shot", "SciPy blocked", "numba row by row"


def make_routes(n_sets: int) -> Routes:
    """Return every route on the same profits and books."""
    options, scenarios = make_options(), make_scenarios()
    mark = marks(options)
    tiled = revalue(options, scenarios, mark)
    pnl = values(options, scenarios)
    pnl -= mark[:, None]
    books, legged = make_books(n_sets), make_books(n_sets, n_legs=5)
    n_tail = np.full(n_sets, float(N_TAIL))

    def engine(rows: LegRows, n_threads: int = 1) -> np.ndarray:
        found = nested_expected_shortfall(tiled, rows, n_tail, N_TAIL, n_threads=n_threads)
        return found.group_shortfall

    return {
        ENGINE: lambda: engine(books),
        TWO_THREADS: lambda: engine(books, n_threads=2),
        NESTED: lambda: engine(legged),
        ONE_SHOT: lambda: book_peers.one_shot(pnl, books, N_TAIL),
        BLOCKED: lambda: book_peers.blocked(pnl, books, N_TAIL),
        NUMBA: lambda: book_peers.numba_rows(pnl, books, N_TAIL),
    }


def measure(n_sets: int = N_SETS, repeats: int = 3) -> dict[str, Any]:
    """Return seconds of each route and the largest difference of a shortfall."""
    routes = make_routes(n_sets)
    return {
        "n_sets": n_sets,
        "seconds": interleaved(routes, repeats),
        "largest_difference": largest_difference(routes, ONE_SHOT),
    }


def run(console: Console) -> None:
    """Print and write the figures."""
    figures = measure()
    figures["memory_mib"] = {
        name: in_fresh_process("tests.benchmark.aggregation", name)
        for name in (ENGINE, NESTED, ONE_SHOT, BLOCKED, NUMBA)
    }
    title = "100,000 books x 30 positions x 1,000 scenarios: 99 % expected shortfall"
    console.print(books_table(title, figures, ENGINE))
    console.print(f"largest difference {figures['largest_difference']:.1e} of the mean shortfall")
    console.print(write_result("aggregation", figures))


if __name__ == "__main__":
    print(json.dumps(memory(make_routes, sys.argv[1], N_SETS)))
