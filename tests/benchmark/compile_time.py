"""What a process pays before its first result, with and without compiled code on disk.

``python -m tests.benchmark.compile_time first`` measures this process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmark.measure import write_result


def first_calls() -> dict[str, float]:
    """Return seconds of importing numba and of the first call of each kernel."""
    start = time.perf_counter()
    import numba  # noqa: F401 (imported to be timed)

    imported = time.perf_counter()
    import numpy as np

    from engine.kernels.black76 import scenario_option_values
    from engine.kernels.tail import nested_expected_shortfall, tile_pnl
    from tests.benchmark.workload import make_books

    one = np.ones(1)
    loaded = time.perf_counter()
    scenario_option_values(one, one, one > 0.0, one, one, one, one)
    priced = time.perf_counter()
    tiled = tile_pnl(np.zeros((10_000, 10)))
    nested_expected_shortfall(tiled, make_books(1), one, 1)
    totalled = time.perf_counter()
    return {
        "import numba": imported - start,
        "first option values": priced - loaded,
        "first expected shortfall": totalled - priced,
    }


def measure() -> dict[str, Any]:
    """Return first-call seconds without and with compiled code on disk."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-m", "tests.benchmark.compile_time", "first"]
        runs = []
        for _ in range(2):
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True
            )
            runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {"compiling": runs[0], "from disk": runs[1]}


def run(console: Console) -> None:
    """Print and write the figures."""
    figures = measure()
    table = Table(title="seconds before the first result of a process")
    for column in ("step", *figures):
        table.add_column(column, justify="left" if column == "step" else "right")
    for step in figures["compiling"]:
        table.add_row(step, *(f"{taken[step]:.2f}" for taken in figures.values()))
    console.print(table)
    console.print(write_result("compile_time", figures))


if __name__ == "__main__":
    print(json.dumps(first_calls()))
