"""A tick of the live book: screened, exact for its holders, and recomputed by NumPy, in one run.

Seconds are of the processor, so that what others do on the machine is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from engine.intraday import LiveBook, MarkChanges
from tests.benchmark import running
from tests.benchmark.close_workload import make_close
from tests.benchmark.measure import write_result

SIZES = (1_000, 10_000)
# Holders by scenarios; a hundred thousand totals of 1,000 scenarios would be a GiB.
CORE = ((1_000, 64), (10_000, 64), (100_000, 64), (1_000, 1_000), (10_000, 1_000))
INDEX_SIZES = (1_000, 10_000, 100_000)
N_REPEATS = 7
WARM_UP = 2
UNDERLYING = "SOL"
TITLES = (
    f"A tick of {UNDERLYING}: medians, and ratios of the same run",
    "Shortfalls of all holders, one leg of six moves",
    "Triggers of one underlying, nobody passed",
)


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
    factors = 1.0 + 1e-5 * np.arange(1, N_REPEATS + 3)
    for k, factor in enumerate(factors):
        changes = MarkChanges.of_marks(moved, mark * factor, int(live.observed_ns.max()) + 1)
        _timed(seconds["apply"], lambda changes=changes: book.apply_marks(changes))
        n_screened = len(_timed(seconds["screen"], book.screened))
        _timed(seconds["exact"], lambda: book.figures(holders))
        _timed(seconds["numpy"], lambda: _by_numpy(market.historical, rows, legs, holders))
        if k < WARM_UP:
            seconds = {name: [] for name in seconds}
    quiet: list[float] = []
    for factor in factors:
        changes = MarkChanges.of_marks(moved, mark * factor, int(live.observed_ns.max()) + 1)
        book.apply_marks(changes)
        _timed(quiet, book.screened)
    seconds["quiet"] = quiet[WARM_UP:]
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
    started = time.process_time()
    answer = work()
    kept.append(time.process_time() - started)
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


def run(_: Console) -> None:
    """Print and write the figures."""
    figures: dict[str, Any] = {
        "book": {str(size): measure(size) for size in SIZES},
        "core": [running.measure(*size) for size in CORE],
        "index_us": {str(size): running.measure_index(size) for size in INDEX_SIZES},
    }
    for title, (columns, rows) in zip(TITLES, tables(figures), strict=True):
        table = Table(title=title)
        for column in columns:
            table.add_column(column, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        Console(width=130).print(table)
    write_result("intraday", figures)


def tables(figures: dict[str, Any]) -> Iterable[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """Yield columns and rows of the tables, in the order of `TITLES`."""
    yield _book_table(figures["book"])
    yield _core_table(figures["core"])
    yield _index_table(figures["index_us"], figures["book"])


def _book_table(figures: dict[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = (
        f"a tick of {UNDERLYING}: netting sets", "holders", "apply ms", "screen ms", "let in",
        "exact ms", "NumPy ÷ exact", "exact ÷ screen",
    )  # fmt: skip
    return columns, [
        (
            f"{found['n_netting_sets']:,}", f"{found['n_holders']:,}",
            f"{found['apply'] * 1e3:.2f}", f"{found['quiet'] * 1e3:.3f}",
            f"{found['n_screened_in']}", f"{found['exact'] * 1e3:.1f}",
            f"{found['numpy'] / found['exact']:.1f}", f"{found['exact'] / found['quiet']:.0f}",
        )
        for found in figures.values()
    ]  # fmt: skip


def _core_table(core: list[dict[str, Any]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = (
        "shortfalls, one leg of six moves: holders", "scenarios", "engine µs", "NumPy µs",
        "NumPy ÷ engine", "difference",
    )  # fmt: skip
    return columns, [
        (
            f"{one['n_groups']:,}", f"{one['n_scenarios']:,}",
            *(f"{one['us_each'][name]:.2f}" for name in (running.ENGINE, running.NUMPY)),
            f"{one['ratio']:.2f}", f"{one['difference']:.1e}",
        )
        for one in core
    ]  # fmt: skip


def _index_table(
    index: dict[str, float], figures: dict[str, Any]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    columns = (
        "triggers, nobody passed: holders", "µs", "÷ 1,000 holders",
        "exact of all holders ÷ triggers",
    )  # fmt: skip
    first = index[str(INDEX_SIZES[0])]
    rows = []
    for size, taken in index.items():
        exact = figures[size]["exact"] / taken * 1e6 if size in figures else np.nan
        shown = f"{exact:,.0f}" if np.isfinite(exact) else ""
        rows.append((f"{int(size):,}", f"{taken:.2f}", f"{taken / first:.2f}", shown))
    return columns, rows
