"""The table that both book benchmarks print, and the memory of their routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from rich.table import Table

from tests.benchmark.measure import peak_memory_mib, ratios, reset_peak_memory

Routes = Mapping[str, Callable[[], np.ndarray]]


def largest_difference(routes: Routes, reference: str) -> float:
    """Return the largest difference of a shortfall over the mean one of ``reference``."""
    expected = routes[reference]()
    scale = float(np.abs(expected).mean())
    return max(float(np.abs(route() - expected).max()) / scale for route in routes.values())


def memory(make_routes: Callable[[int], Routes], route: str, n_sets: int) -> dict[str, float]:
    """Return the memory of a warm route beyond its inputs. [MiB]"""
    make_routes(1_000)[route]()
    routes = make_routes(n_sets)
    reset_peak_memory()
    before = peak_memory_mib()
    routes[route]()
    return {"before": before, "added": peak_memory_mib() - before}


def books_table(title: str, figures: Mapping[str, Any], base: str) -> Table:
    """Return times, ratios and memory of each route."""
    seconds = figures["seconds"]
    against = ratios(seconds, base)
    table = Table(title=title)
    for column in ("route", "processor s", "wall s", f"{base} is", "MiB added"):
        table.add_column(column, justify="left" if column == "route" else "right")
    for name, taken in seconds.items():
        found = figures["memory_mib"].get(name)
        table.add_row(
            name,
            f"{taken.processor:.3f}",
            f"{taken.wall:.3f}",
            f"{against[name]:.2f} x",
            f"{found['added']:,.0f}" if found else "",
        )
    return table
