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
from engine.kernels.tiles import TILE_WIDTH
from tests.benchmark import book_peers, bounds, compiled_peers, mkl_peer
from tests.benchmark.books_table import books_table, figures_of, memory, memory_of
from tests.benchmark.end_of_day_core import marks, revalue, values
from tests.benchmark.measure import Absent, Routes, write_result
from tests.benchmark.workload import (
    N_INSTRUMENTS,
    N_POSITIONS,
    N_SCENARIOS,
    N_TAIL,
    make_books,
    make_options,
    make_scenarios,
)

N_SETS = 100_000
# With five legs a book has six tails: its own and one for each leg.
ENGINE, TWO_THREADS, NESTED = "engine", "engine, 2 threads", "engine, 5 legs"
C, MKL = "C, same tiles", "MKL sparse product, one shot"
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

    compiled, product = compiled_peers.library(), mkl_peer.product()
    routes = Routes()
    routes.add(ENGINE, lambda: engine(books))
    routes.add(TWO_THREADS, lambda: engine(books, n_threads=2))
    routes.add(NESTED, lambda: engine(legged))
    routes.add(
        C,
        compiled
        if isinstance(compiled, Absent)
        else lambda: compiled_peers.books(tiled.tiles, N_SCENARIOS, books, N_TAIL),
    )
    routes.add(
        MKL, product if isinstance(product, Absent) else mkl_peer.Books(pnl, books, N_TAIL)
    )  # fmt: skip
    routes.add(ONE_SHOT, lambda: book_peers.one_shot(pnl, books, N_TAIL))
    routes.add(BLOCKED, lambda: book_peers.blocked(pnl, books, N_TAIL))
    routes.add(NUMBA, lambda: book_peers.numba_rows(pnl, books, N_TAIL))
    return routes


def bound(n_sets: int) -> bounds.Bound | Absent:
    """Return the bound of totals: every position reads its row of the tile from the cache."""
    n_columns = -(-N_SCENARIOS // TILE_WIDTH) * TILE_WIDTH
    needed = 8.0 * n_sets * N_POSITIONS * n_columns
    return bounds.bytes_read(needed, 8 * N_INSTRUMENTS * TILE_WIDTH)


def measure(n_sets: int = N_SETS, repeats: int = 3) -> dict[str, Any]:
    """Return seconds of each route, the bound and the largest difference of a shortfall."""
    found = figures_of(make_routes(n_sets), [bound(n_sets)], ONE_SHOT, repeats)
    return {"n_sets": n_sets, **found}


def run(console: Console) -> None:
    """Print and write the figures."""
    figures = measure()
    wanted = (ENGINE, NESTED, C, MKL, ONE_SHOT, BLOCKED, NUMBA)
    figures["memory_mib"] = memory_of("tests.benchmark.aggregation", wanted, figures["seconds"])
    title = "100,000 books x 30 positions x 1,000 scenarios: 99 % expected shortfall"
    console.print(books_table(title, figures, ENGINE))
    console.print(f"largest difference {figures['largest_difference']:.1e} of the mean shortfall")
    console.print(write_result("aggregation", figures))


if __name__ == "__main__":
    print(json.dumps(memory(make_routes, sys.argv[1], N_SETS)))
