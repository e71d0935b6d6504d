"""Figures of the benchmarks that total books: seconds, differences, bounds and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from tests.benchmark.bounds import Bound
from tests.benchmark.measure import (
    Absent,
    Route,
    Routes,
    Taken,
    in_fresh_process,
    interleaved,
    peak_memory_mib,
    ratios,
    reset_peak_memory,
)
from tests.benchmark.tables import add_missing


def figures_of(
    routes: Routes, limits: Sequence[Bound | Absent], reference: str, repeats: int
) -> dict[str, Any]:
    """Return seconds of all routes and loops, run in turn, and what each route may be off by."""
    present = [limit for limit in limits if isinstance(limit, Bound)]
    loops = {limit.name: limit.run for limit in present}
    seconds = interleaved({**routes.present, **loops}, repeats)
    # What several loops bound one after the other adds up.
    bound = sum(limit.seconds_at_best(seconds) for limit in present)
    return {
        "seconds": {name: seconds[name] for name in routes.present},
        "missing": routes.missing,
        "bound_seconds": bound if len(present) == len(limits) else None,
        "bounds": {
            limit.name: {"per_second": limit.rate(seconds), "needed": limit.n_needed}
            for limit in present
        },
        "largest_difference": largest_difference(routes.present, reference),
    }


def bounded(
    routes: Mapping[str, Route], limits: Mapping[str, Bound | Absent], repeats: int
) -> tuple[dict[str, Taken], dict[str, float]]:
    """Return seconds of all routes, and of those with a limit what the machine would need."""
    present = {name: limit for name, limit in limits.items() if isinstance(limit, Bound)}
    loops = {limit.name: limit.run for limit in present.values()}
    seconds = interleaved({**routes, **loops}, repeats)
    at_best = {name: limit.seconds_at_best(seconds) for name, limit in present.items()}
    return {name: seconds[name] for name in routes}, at_best


def largest_difference(routes: Mapping[str, Route], reference: str) -> float:
    """Return the largest difference of a shortfall over the mean one of ``reference``."""
    expected = routes[reference]().copy()
    scale = float(np.abs(expected).mean())
    return max(float(np.abs(route() - expected).max()) / scale for route in routes.values())


def memory_of(module: str, routes: Sequence[str], seconds: Mapping[str, Taken]) -> dict[str, Any]:
    """Return the memory of each route that is present, each from a fresh process. [MiB]"""
    return {name: in_fresh_process(module, name) for name in routes if name in seconds}


def memory(make_routes: Callable[[int], Routes], route: str, n_sets: int) -> dict[str, float]:
    """Return the memory of a warm route beyond its inputs. [MiB]"""
    make_routes(1_000).present[route]()
    routes = make_routes(n_sets).present
    reset_peak_memory()
    before = peak_memory_mib()
    routes[route]()
    return {"before": before, "added": peak_memory_mib() - before}


def books_table(title: str, figures: Mapping[str, Any], base: str) -> Table:
    """Return times, ratios, shares of the bound and memory of each route."""
    seconds, bound = figures["seconds"], figures["bound_seconds"]
    against = ratios(seconds, base)
    table = Table(title=title)
    for column in ("route", "processor s", "wall s", f"{base} is", "of bound", "MiB added"):
        table.add_column(column, justify="left" if column == "route" else "right")
    if bound:
        table.add_row("bound: " + " + ".join(n.removeprefix("bound: ") for n in figures["bounds"]),
                      f"{bound:.3f}")  # fmt: skip
    for name, taken in seconds.items():
        found = figures["memory_mib"].get(name)
        table.add_row(
            name,
            f"{taken.processor:.3f}",
            f"{taken.wall:.3f}",
            f"{against[name]:.2f} x",
            f"{bound / taken.processor:.0%}" if bound else "",
            f"{found['added']:,.0f}" if found else "",
        )
    add_missing(table, figures["missing"])
    return table
