"""One underlying moves: figures of all who hold it, against NumPy and SciPy from scratch.

Six legs of five positions in a book, one of which moves. The engine gives the shortfall of every
leg that moved and of the whole, to the bit of adding all positions up; the peer gives that of the
whole alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from engine.intraday.triggers import Triggers
from engine.kernels.rows import NETTED, LegRows
from engine.kernels.running_books import RunningUnits, refreshed, running_books
from engine.kernels.tiles import tile_pnl
from tests.benchmark.measure import Routes, interleaved

N_LEGS, N_POSITIONS, N_ROWS = 6, 5, 100
SEED = 20261121
ENGINE, NUMPY = "engine, to the bit", "NumPy + SciPy from scratch"
INDEX = "triggers of one underlying"
# A sparse product of whole blocks writes each block's outcomes once into cache.
BLOCK = 2_048
REPEATS = 7


def books_of(n_groups: int, rng: np.random.Generator) -> LegRows:
    """Return books of six legs, five positions each, instruments in order inside a leg."""
    drawn = np.sort(rng.random((n_groups, N_LEGS, N_ROWS)).argsort(axis=2)[..., :N_POSITIONS], 2)
    index = drawn + N_ROWS * np.arange(N_LEGS)[np.newaxis, :, np.newaxis]
    return LegRows(
        group_ptr=np.arange(0, n_groups * N_LEGS + 1, N_LEGS, dtype=np.int64),
        leg_ptr=np.arange(0, index.size + 1, N_POSITIONS, dtype=np.int64),
        leg_role=np.full(n_groups * N_LEGS, NETTED, dtype=np.int8),
        index=index.ravel().astype(np.int32),
        weight=np.round(rng.normal(size=index.size), 3),
    )


def measure(n_groups: int, n_scenarios: int) -> dict[str, Any]:
    """Return processor microseconds a holder, and the largest difference of the shortfalls."""
    rng = np.random.default_rng(SEED)
    pnl = rng.standard_t(4, (N_LEGS * N_ROWS, n_scenarios)) * 100.0
    n_tail = max(n_scenarios // 100, 1)
    rows = books_of(n_groups, rng)
    nothing = np.zeros(len(pnl))
    units = RunningUnits(tile_pnl(pnl), np.zeros((len(pnl), 0)), nothing, nothing)
    books = running_books(units, rows, np.full(n_groups, float(n_tail)), (0, 0, 0))
    everyone, moved = np.arange(n_groups), np.arange(N_ROWS)
    refreshed(units, books, everyone)
    matrix = sparse.csr_matrix(
        (rows.weight, rows.index, np.arange(n_groups + 1) * N_LEGS * N_POSITIONS),
        shape=(n_groups, len(pnl)),
    )
    found = np.zeros(n_groups)

    def ours() -> None:
        pnl[moved] *= 1.0 + 1e-5
        units.pnl.fill(0, pnl[moved])
        books.moved(moved)
        refreshed(units, books, everyone)

    def theirs() -> None:
        for first in range(0, n_groups, BLOCK):
            total = matrix[first : first + BLOCK] @ pnl
            if n_tail == 1:
                found[first : first + BLOCK] = -total.min(axis=1)
            else:
                worst = np.partition(total, n_tail - 1, axis=1)[:, :n_tail]
                found[first : first + BLOCK] = -worst.mean(axis=1)

    routes = Routes()
    routes.add(ENGINE, ours)
    routes.add(NUMPY, theirs)
    taken = interleaved(routes.present, REPEATS)
    theirs()
    apart = np.abs(found - books.group_shortfall).max() / np.abs(found).max()
    each = {name: one.processor / n_groups * 1e6 for name, one in taken.items()}
    return {
        "us_each": each,
        "n_groups": n_groups,
        "n_scenarios": n_scenarios,
        "differences": float((books.n_steps > 0).mean()),
        "ratio": each[NUMPY] / each[ENGINE],
        "difference": float(apart),
    }


def measure_index(n_holders: int, n_ticks: int = 2_000) -> float:
    """Return processor microseconds of a tick that passes nobody's trigger."""
    rng = np.random.default_rng(SEED)
    triggers = Triggers(n_holders, 1)
    nobody = np.zeros(0, dtype=np.int64)
    at = 1.0 + rng.exponential(1.0, n_holders)
    triggers.lay_out(np.zeros(n_holders, dtype=np.int64), np.arange(n_holders), at, nobody)
    asset, travelled = np.zeros(1, dtype=np.int64), np.linspace(0.0, 1.0, n_ticks)[:, np.newaxis]

    def ticks() -> None:
        for one in travelled:
            triggers.follow(asset, one)

    taken = interleaved({INDEX: ticks}, REPEATS)[INDEX]
    assert not triggers.hot().size
    return taken.processor / n_ticks * 1e6
