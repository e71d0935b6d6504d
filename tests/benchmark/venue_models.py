"""Venue margin of many accounts: 35 scenario cells of 1,000 books, tiers of 100,000 positions."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from engine.margin.scenario_grid import revalue_grid, scenario_margin
from engine.margin.tiered import tier_table, tiered_margins
from tests.benchmark import bounds, venue_peers
from tests.benchmark.books_table import bounded
from tests.benchmark.measure import Routes, ratios, write_result
from tests.benchmark.venue_workload import (
    GRID,
    N_ACCOUNTS,
    N_POSITIONS,
    N_TIERED,
    make_grid_accounts,
    make_tiered_positions,
    make_tiers,
)

N_CELLS = 35
GRID_ENGINE, GRID_NUMPY = "grid: engine", "grid: NumPy + SciPy, one shot"
BOOKS_ENGINE = "grid, market revalued before: engine"
BOOKS_NUMPY = "grid, market revalued before: SciPy sparse product"
TIERED_ENGINE, TIERED_NUMPY = "tiers: engine", "tiers: NumPy, one shot"
PAIRS = ((GRID_ENGINE, GRID_NUMPY), (BOOKS_ENGINE, BOOKS_NUMPY), (TIERED_ENGINE, TIERED_NUMPY))
# A position's row of the table of tiers, its own columns and what comes out.
_BYTES_PER_TIERED_POSITION = 8.0 * 20


def make_routes() -> Routes:
    """Return each model by the engine and by NumPy, on the same accounts."""
    accounts = make_grid_accounts()
    revaluation = revalue_grid(accounts.instruments, GRID)
    pnl = venue_peers.unit_pnl(accounts)
    tiers, positions = make_tiers(), make_tiered_positions()
    table, matrix = tier_table(tiers), venue_peers.tier_matrix(tiers)

    def engine_books(market: Any) -> np.ndarray:
        return scenario_margin(market, accounts.holdings, accounts.buckets).initial_margin

    def engine_tiers() -> np.ndarray:
        found = tiered_margins(positions, table)
        return np.concatenate([found.maintenance_margin, found.initial_margin])

    return Routes(
        {
            GRID_ENGINE: lambda: engine_books(revalue_grid(accounts.instruments, GRID)),
            GRID_NUMPY: lambda: venue_peers.grid_margin(accounts, venue_peers.unit_pnl(accounts)),
            BOOKS_ENGINE: lambda: engine_books(revaluation),
            BOOKS_NUMPY: lambda: venue_peers.grid_margin(accounts, pnl),
            TIERED_ENGINE: engine_tiers,
            TIERED_NUMPY: lambda: np.concatenate(venue_peers.tiered_margins(positions, matrix)),
        }
    )


def measure(repeats: int = 15) -> dict[str, Any]:
    """Return seconds of each route, the machine's bounds and the largest difference of a margin."""
    routes = make_routes().present
    n_terms = N_ACCOUNTS * N_POSITIONS * N_CELLS
    limits = {
        BOOKS_ENGINE: bounds.bytes_read(8.0 * n_terms, 8 * 1_000 * N_CELLS),
        TIERED_ENGINE: bounds.bytes_read(_BYTES_PER_TIERED_POSITION * N_TIERED, 2**24),
    }
    seconds, at_best = bounded(routes, limits, repeats)
    differences = {}
    for engine, peer in PAIRS:
        expected = routes[peer]()
        scale = np.abs(expected).mean()
        differences[engine] = float(np.abs(routes[engine]() - expected).max() / scale)
    return {
        "seconds": seconds,
        "bound_seconds": at_best,
        "largest_difference": differences,
        "missing": {},
    }


def run(console: Console) -> None:
    """Print and write the figures."""
    figures = measure()
    seconds, at_best = figures["seconds"], figures["bound_seconds"]
    table = Table(title="1,000 accounts x 30 positions x 35 cells; 100,000 tiered positions")
    for column in ("route", "processor ms", "engine is", "of bound", "difference / mean"):
        table.add_column(column, justify="left" if column == "route" else "right")
    for engine, peer in PAIRS:
        milliseconds = seconds[engine].processor * 1e3
        share = at_best.get(engine)
        table.add_row(
            engine, f"{milliseconds:.2f}", "",
            f"{share / seconds[engine].processor:.0%}" if share else "",
            f"{figures['largest_difference'][engine]:.1e}",
        )  # fmt: skip
        against = ratios(seconds, engine)[peer]
        table.add_row(peer, f"{seconds[peer].processor * 1e3:.2f}", f"{against:.2f} x", "", "")
    console.print(table)
    console.print(write_result("venue_models", figures))
