"""What-if on a book of 2,000 positions: one order, 10,000 orders, beside the full assessment.

The full assessment is the one with the market prepared already: what one candidate would cost
without what a what-if keeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from engine.assess import assess, blocks_of, combine, margin_block, portfolio
from engine.snapshot import PositionSet
from engine.whatif import PreparedBook, prepare_book, what_if
from tests.benchmark.measure import interleaved, write_result
from tests.benchmark.whatif_book import Workload, make_workload
from tests.worlds.applied import with_orders

N_CANDIDATES, N_SINGLES, N_COMPARED = 10_000, 300, 5
ONE, MANY, FULL, KNOWN_MARKET = "one order", "10,000 orders", "assess", "assess, market kept"
PREPARE = "prepare the book"


def measure(*, with_venue: bool = False, n_candidates: int = N_CANDIDATES) -> dict[str, Any]:
    """Return seconds of each route, percentiles of single orders, and the largest difference."""
    work = make_workload(n_candidates, with_venue=with_venue)
    book = prepared(work)
    what_if(book, work.candidates[:1])
    seconds = interleaved(
        {
            PREPARE: lambda: prepared(work),
            MANY: lambda: what_if(book, work.candidates),
            FULL: lambda: assess(work.snapshot, work.positions, work.collateral, work.rules),
            KNOWN_MARKET: lambda: assessed(work),
        },
        3,
    )
    wall, processor = singles(book, work)
    return {
        "n_positions": int(book.block.rows.n_positions),
        "seconds": seconds,
        "single_ms": {f"p{p}": float(np.percentile(wall, p)) * 1e3 for p in (50, 99)},
        "single_processor_ms": float(np.median(processor)) * 1e3,
        "each_of_many_us": seconds[MANY].processor / n_candidates * 1e6,
        "assess_over_one": seconds[KNOWN_MARKET].processor / float(np.median(processor)),
        "assess_over_each_of_many": (
            seconds[KNOWN_MARKET].processor / seconds[MANY].processor * n_candidates
        ),
        "largest_difference": largest_difference(work, book),
    }


def singles(book: PreparedBook, work: Workload) -> tuple[list[float], list[float]]:
    """Return seconds of single orders, asked one after the other: by the wall, and processor."""
    wall, processor = [], []
    for candidate in work.candidates[:N_SINGLES]:
        starts = time.perf_counter(), time.process_time()
        what_if(book, [candidate])
        wall.append(time.perf_counter() - starts[0])
        processor.append(time.process_time() - starts[1])
    return wall, processor


def prepared(work: Workload) -> PreparedBook:
    """Return the book ready for what-if."""
    return prepare_book(work.snapshot, work.market, work.book, work.positions, work.rules, "A")


def assessed(work: Workload, positions: PositionSet | None = None) -> float:
    """Return the requirement that a full assessment finds when the market is prepared already."""
    held = positions or work.positions
    book = portfolio(work.market, held, work.collateral, work.rules)
    blocks = [margin_block(work.market, b) for b in blocks_of(book, work.market, work.rules.house)]
    whole = combine(work.market, book, blocks, work.snapshot, held, work.rules)
    return float(whole.requirements["owed" if len(held.accounts) else "requirement"].iloc[0])


def largest_difference(work: Workload, book: PreparedBook) -> float:
    """Return the largest difference of what is owed to that of full assessments."""
    chosen = work.candidates[:: max(1, len(work.candidates) // N_COMPARED)][:N_COMPARED]
    found = what_if(book, chosen).candidates
    owed = found["owed" if len(work.positions.accounts) else "requirement"]
    whole = [assessed(work, with_orders(work.positions, "A", each, "A-a")) for each in chosen]
    return float(np.abs(owed.to_numpy(dtype=np.float64) - np.array(whole)).max())


def shown(figures: dict[str, dict[str, Any]]) -> Table:
    """Return the figures, a row each and a column for every workload: it fits 80 columns."""
    table = Table(title="What-if: 2,000 positions, 1,000 scenarios, one core", title_justify="left")
    table.add_column("")
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    for label, spell in _ROWS.items():
        table.add_row(label, *(spell(found) for found in figures.values()))
    return table


_ROWS: dict[str, Callable[[dict[str, Any]], str]] = {
    "one order, p50, ms": lambda f: f"{f['single_ms']['p50']:.1f}",
    "one order, p99, ms": lambda f: f"{f['single_ms']['p99']:.1f}",
    "one order, processor, ms": lambda f: f"{f['single_processor_ms']:.1f}",
    "10,000 orders, wall, s": lambda f: f"{f['seconds'][MANY].wall:.2f}",
    "10,000 orders, processor, s": lambda f: f"{f['seconds'][MANY].processor:.2f}",
    "each of them, processor, us": lambda f: f"{f['each_of_many_us']:.0f}",
    "full assessment, processor, ms": lambda f: f"{f['seconds'][KNOWN_MARKET].processor * 1e3:.0f}",
    "times one order": lambda f: f"{f['assess_over_one']:.1f}",
    "times each of 10,000": lambda f: f"{f['assess_over_each_of_many']:,.0f}",
    "largest difference, USD": lambda f: f"{f['largest_difference']:g}",
}


def run(console: Console) -> None:
    """Print and write the figures."""
    figures = {
        "house": measure(),
        "with venue": measure(with_venue=True),
    }
    console.print(shown(figures))
    console.print(write_result("whatif", figures))
