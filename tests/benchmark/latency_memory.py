"""Memory of the loop over prices: ``python -m tests.benchmark.latency_memory N`` prints JSON."""

from __future__ import annotations

import json
import sys

import numpy as np

from engine.acceptance.state import Ticks
from tests.benchmark.latency_loads import priced
from tests.benchmark.latency_loop import resident_mib
from tests.worlds import loop as world


def memory(n_prices: int, n_each: int = 1_000) -> dict[str, float]:
    """Return the resident size after a tenth of the prices, and after all of them. [MiB]"""
    loop = world.core(world.base({"A": 1e9}, n_sets=200))
    names = [name for name in priced() if name in loop.market.row_of]
    rows = np.array([loop.market.row_of[names[k % len(names)]] for k in range(n_each)])
    start = loop.market.acceptance.table.start_mark[rows]
    found = {}
    n_rounds = n_prices // n_each
    for number in range(1, n_rounds + 1):
        instant = world.instant(number / 10)
        nothing = np.full(n_each, np.nan)
        stamps = instant.monotonic_ns + np.arange(n_each)
        price = start * (1.0 + 0.001 * np.sin(number + np.arange(n_each)))
        loop.take_ticks(
            Ticks(rows, price, nothing, nothing, stamps, np.zeros(n_each, np.int64),
                  instant.monotonic_ns)
        )  # fmt: skip
        loop.decide(instant)
        if number == max(n_rounds // 10, 1):
            found["after a tenth"] = resident_mib()
    return {**found, "after all": resident_mib(), "prices": float(n_rounds * n_each)}


if __name__ == "__main__":
    print(json.dumps(memory(int(sys.argv[1]))))
