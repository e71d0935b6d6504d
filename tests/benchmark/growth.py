"""How time and memory grow from 1,000 to 1,000,000 netting sets, on one and two threads.

``python -m tests.benchmark.growth N_SETS N_THREADS`` measures one size in this process.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from engine.kernels.tail import nested_expected_shortfall
from tests.benchmark import end_of_day_core as core
from tests.benchmark.measure import (
    in_fresh_process,
    interleaved,
    peak_memory_mib,
    reset_peak_memory,
    write_result,
)
from tests.benchmark.workload import N_TAIL, make_books, make_options, make_scenarios

SIZES = (1_000, 10_000, 100_000, 1_000_000)
THREADS = (1, 2)
REPEATS = 3


def measure_size(n_sets: int, n_threads: int) -> dict[str, float]:
    """Return median seconds of a warm shortfall and the peak memory of this process."""
    options, scenarios = make_options(), make_scenarios()
    tiled = core.revalue(options, scenarios, core.marks(options))
    nested_expected_shortfall(tiled, make_books(100), np.full(100, float(N_TAIL)), N_TAIL)
    books, n_tail = make_books(n_sets), np.full(n_sets, float(N_TAIL))
    reset_peak_memory()
    before = peak_memory_mib()

    def total() -> None:
        nested_expected_shortfall(tiled, books, n_tail, N_TAIL, n_threads=n_threads)

    taken = interleaved({"total": total}, REPEATS)["total"]
    return {
        "wall": taken.wall,
        "processor": taken.processor,
        "memory_added_mib": peak_memory_mib() - before,
        "memory_peak_mib": peak_memory_mib(),
    }


def measure(sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Return figures by size and threads, each from a fresh process."""
    return {
        f"{n_sets}": {
            f"{n_threads}": in_fresh_process("tests.benchmark.growth", str(n_sets), str(n_threads))
            for n_threads in THREADS
        }
        for n_sets in sizes
    }


def run(console: Console) -> None:
    """Print and write the figures."""
    figures = measure()
    table = Table(title="99 % expected shortfall, 30 positions each")
    columns = ("sets", "cpu s", "wall s", "us/set", "2 threads: cpu s", "wall s",
               "MiB added", "MiB in all")  # fmt: skip
    for column in columns:
        table.add_column(column, justify="right")
    for n_sets, by_threads in figures.items():
        one, two = by_threads["1"], by_threads["2"]
        table.add_row(
            f"{int(n_sets):,}", f"{one['processor']:.4f}", f"{one['wall']:.4f}",
            f"{one['processor'] / int(n_sets) * 1e6:.2f}", f"{two['processor']:.4f}",
            f"{two['wall']:.4f}", f"{one['memory_added_mib']:,.0f}",
            f"{one['memory_peak_mib']:,.0f}",
        )  # fmt: skip
    console.print(table)
    console.print(write_result("growth", {"by_size_and_threads": figures}))


if __name__ == "__main__":
    print(json.dumps(measure_size(int(sys.argv[1]), int(sys.argv[2]))))
