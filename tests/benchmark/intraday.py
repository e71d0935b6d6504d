"""A tick of the live book: screened, exact for its holders, and recomputed by NumPy, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from engine.intraday import LiveBook, MarkChanges
from tests.benchmark.close_workload import make_close
from tests.benchmark.measure import write_result

SIZES = (1_000, 4_000)
N_REPEATS = 7
UNDERLYING = "SOL"


def measure(n_netting_sets: int) -> dict[str, Any]:
    """Return medians in seconds; ticks, screens and recomputations take turns."""
    close = make_close(n_netting_sets)
    book = LiveBook.open(close.snapshot, close.positions, close.collateral, close.rules)
    live, layout = book._market, book._book.layout
    market, (rows, _, legs, _) = live.prepared, layout.all_rows()
    everyone = np.arange(n_netting_sets)
    found = book.figures()
    level = np.clip(np.nan_to_num(found.margin_ratio, posinf=1.0), 0.01, 1.0)
    book.watch(everyone, 0.7 * level, 1.5 * level)
    is_moved = (market.underlying == market.assets.index(UNDERLYING)) & (market.unit_value != 0.0)
    moved = np.flatnonzero(is_moved)
    of_asset = np.array([name == UNDERLYING for name in market.assets])
    holders = layout.holders(of_asset)
    mark = live.instruments.mark_price[moved].copy()
    seconds: dict[str, list[float]] = {"apply": [], "screen": [], "exact": [], "numpy": []}
    n_screened = 0
    for k in range(N_REPEATS):
        factor = 1.0 + 1e-5 * (k + 1)
        changes = MarkChanges.of_marks(moved, mark * factor, int(live.observed_ns.max()) + 1)
        _timed(seconds["apply"], lambda changes=changes: book.apply_marks(changes))
        n_screened = len(_timed(seconds["screen"], book.screened))
        _timed(seconds["exact"], lambda: book.figures(holders))
        _timed(seconds["numpy"], lambda: _by_numpy(market.historical, rows, legs, holders))
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    return {
        **medians,
        "n_netting_sets": n_netting_sets,
        "n_holders": len(holders),
        "n_screened_in": n_screened,
        "n_rows": len(moved),
        "n_scenarios": market.scenarios.n_historical,
    }


def _timed(kept: list[float], work: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    answer = work()
    kept.append(time.perf_counter() - started)
    return answer


def _by_numpy(pnl: np.ndarray, rows: Any, legs: np.ndarray, holders: np.ndarray) -> np.ndarray:
    """Return shortfalls of the holders' legs and books alone: less than a requirement needs."""
    n_tail = 10
    worst = []
    for group in np.flatnonzero(np.isin(legs, holders)).tolist():
        total = np.zeros(pnl.shape[1])
        for leg in range(int(rows.group_ptr[group]), int(rows.group_ptr[group + 1])):
            span = slice(int(rows.leg_ptr[leg]), int(rows.leg_ptr[leg + 1]))
            outcome = rows.weight[span] @ pnl[rows.index[span]]
            worst.append(np.partition(outcome, n_tail)[:n_tail].mean())
            total += outcome
        worst.append(np.partition(total, n_tail)[:n_tail].mean())
    return np.array(worst)


def run(console: Console) -> None:
    """Print and write the figures."""
    table = Table(title=f"A tick of {UNDERLYING}: medians, and ratios of the same run")
    columns = (
        "netting sets", "holders", "apply ms", "screen ms", "let in", "exact ms", "NumPy ÷ exact",
        "exact ÷ screen",
    )  # fmt: skip
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    figures = {str(size): measure(size) for size in SIZES}
    for found in figures.values():
        table.add_row(
            f"{found['n_netting_sets']:,}", f"{found['n_holders']:,}",
            f"{found['apply'] * 1e3:.2f}",
            f"{found['screen'] * 1e3:.3f}", f"{found['n_screened_in']}",
            f"{found['exact'] * 1e3:.1f}", f"{found['numpy'] / found['exact']:.1f}",
            f"{found['exact'] / found['screen']:.0f}",
        )  # fmt: skip
    console.print(table)
    write_result("intraday", figures)
