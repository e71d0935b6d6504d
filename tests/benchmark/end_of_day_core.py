"""The core of a close: revalue every option, take the profit, average the worst of every book."""

from __future__ import annotations

import numpy as np

from engine.kernels.black76 import scenario_option_values
from engine.kernels.tail import LegRows, nested_expected_shortfall
from engine.kernels.tiles import TiledPnl, empty_tiles
from tests.benchmark import book_peers, option_peers
from tests.benchmark.workload import N_TAIL, Options, Scenarios

# Prices of a block stay in the second-level cache until they are tiled.
BLOCK_OPTIONS = 64


def marks(options: Options) -> np.ndarray:
    """Return today's value of each option."""
    one = np.ones(1)
    return values(options, Scenarios(one, one))[:, 0]


def values(options: Options, scenarios: Scenarios, out: np.ndarray | None = None) -> np.ndarray:
    """Return scenario values from the engine's kernel."""
    return scenario_option_values(
        forward=options.forward,
        strike=options.strike,
        is_call=options.is_call,
        volatility=options.volatility,
        years=options.years,
        forward_factor=scenarios.forward_factor,
        volatility_factor=scenarios.volatility_factor,
        out=out,
    )


def revalue(options: Options, scenarios: Scenarios, mark: np.ndarray) -> TiledPnl:
    """Return the profit of each option, tiled block by block; large moves come first."""
    order = np.argsort(-np.abs(np.log(scenarios.forward_factor)), kind="stable").astype(np.int32)
    tiled = empty_tiles(len(options), order)
    room = np.empty((BLOCK_OPTIONS, len(order)))
    for start in range(0, len(options), BLOCK_OPTIONS):
        rows = slice(start, min(start + BLOCK_OPTIONS, len(options)))
        block = values(options.rows(rows), scenarios, out=room[: rows.stop - rows.start])
        block -= mark[rows, None]
        tiled.fill(start, block)
    return tiled


def engine(
    options: Options, scenarios: Scenarios, mark: np.ndarray, rows: LegRows, n_threads: int = 1
) -> np.ndarray:
    """Return the shortfall of each book by the engine's kernels."""
    tiled = revalue(options, scenarios, mark)
    n_tail = np.full(rows.n_groups, float(N_TAIL))
    found = nested_expected_shortfall(tiled, rows, n_tail, N_TAIL, n_threads=n_threads)
    return found.group_shortfall


def one_shot(options: Options, scenarios: Scenarios, mark: np.ndarray, rows: LegRows) -> np.ndarray:
    """Return the same from whole matrices with numpy and scipy."""
    pnl = option_peers.one_shot(options, scenarios) - mark[:, None]
    return book_peers.one_shot(pnl, rows, N_TAIL)


def blocked(options: Options, scenarios: Scenarios, mark: np.ndarray, rows: LegRows) -> np.ndarray:
    """Return the same with numpy and scipy, blocked in options and in books."""
    pnl = np.empty((len(options), len(scenarios.forward_factor)))
    option_peers.blocked(options, scenarios, pnl)
    pnl -= mark[:, None]
    return book_peers.blocked(pnl, rows, N_TAIL)
