"""The whole of ``engine.assess.assess`` at 1,000 to 100,000 netting sets, and where its time goes.

``python -m tests.benchmark.whole_close N_SETS`` measures one size in this process.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

import engine.assess
from tests.benchmark.close_workload import make_close
from tests.benchmark.measure import (
    in_fresh_process,
    interleaved,
    peak_memory_mib,
    reset_peak_memory,
    write_result,
)
from tests.benchmark.stopwatch import timed_calls

SIZES = (1_000, 10_000, 100_000)
REPEATS = 3
# What each function of engine/assess.py is to its reader; one that is not named here keeps its
# own name, so that nothing is left out of the table.
STAGES = {
    "prepare": "market: scenarios, revaluation",
    "portfolio": "portfolio: reconciliation, books",
    "blocks_of": "margin blocks",
    "margin_block": "margin blocks",
    "governing_margins": "requirements",
    "requirement_frame": "requirements",
    "_collateral": "collateral",
    "value_collateral": "collateral",
    "with_calls": "call decisions in exact decimals",
    "_settled": "settlements in exact decimals",
    "settle_day": "settlements in exact decimals",
    "_venues": "venue margins",
    "venue_margins": "venue margins",
    "venue_columns": "venue margins",
    "_venue_frames": "venue margins",
    "contribution_frame": "frames of the explanation",
    "worst_scenario_frame": "frames of the explanation",
    "scenario_frame": "frames of the explanation",
    "proxy_frame": "frames of the explanation",
}  # fmt: skip
LEFT_OVER = ("assess", "combine")


def measure_size(n_sets: int, repeats: int = REPEATS) -> dict[str, Any]:
    """Return median seconds of a warm assessment, its stages and the memory of this process."""
    # Compiles or loads what is compiled.
    make_close(100).assess()
    close = make_close(n_sets)
    reset_peak_memory()
    before = peak_memory_mib()
    taken = interleaved({"assess": close.assess}, repeats, warm_up=False)["assess"]
    peak = peak_memory_mib()
    with timed_calls(engine.assess) as by_function:
        close.assess()
    stages: dict[str, float] = {}
    for name, seconds in by_function.items():
        stage = "the rest" if name in LEFT_OVER else STAGES.get(name, name)
        stages[stage] = stages.get(stage, 0.0) + seconds
    held = close.positions.positions
    return {
        "processor": taken.processor,
        "wall": taken.wall,
        "stages": stages,
        "n_positions": int((held["source"] == held["source"].iloc[0]).sum()),
        "memory_inputs_mib": before,
        "memory_added_mib": peak - before,
    }


def measure(sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Return figures by size, each from a fresh process."""
    return {
        "by_size": {f"{n}": in_fresh_process("tests.benchmark.whole_close", f"{n}") for n in sizes}
    }


def run(console: Console) -> None:
    """Print and write the figures."""
    figures = measure()
    table = Table(title="engine.assess.assess, one process, processor seconds")
    sizes = figures["by_size"]
    table.add_column("stage")
    for n_sets in sizes:
        table.add_column(f"{int(n_sets):,} sets", justify="right")
    for stage in sorted({s for f in sizes.values() for s in f["stages"]}, key=_by_time(sizes)):
        table.add_row(stage, *(f"{f['stages'].get(stage, 0.0):.3f}" for f in sizes.values()))
    table.add_row("whole", *(f"{f['processor']:.2f}" for f in sizes.values()))
    table.add_row("us a netting set",
                  *(f"{f['processor'] / int(n) * 1e6:.0f}" for n, f in sizes.items()))  # fmt: skip
    table.add_row("positions", *(f"{f['n_positions']:,}" for f in sizes.values()))
    table.add_row("MiB added", *(f"{f['memory_added_mib']:,.0f}" for f in sizes.values()))
    console.print(table)
    console.print(write_result("whole_close", figures))


def _by_time(sizes: dict[str, Any]) -> Any:
    largest = list(sizes.values())[-1]["stages"]
    return lambda stage: -largest.get(stage, 0.0)


if __name__ == "__main__":
    print(json.dumps(measure_size(int(sys.argv[1]))))
