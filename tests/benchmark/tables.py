"""Tables of rates and times that benchmarks print; missing peers keep their row and say why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def rates_table(title: str, figures: Mapping[str, Any], base: str) -> Table:
    """Return million prices a second, the ratio to ``base``, the share of the bound, the error."""
    rates, bound = figures["prices_per_second"], figures["bound_prices_per_second"]
    best = min(bound.values(), default=None)
    table = Table(title=title)
    for column in ("route", "million/s", "ns each", f"{base} is", "of bound", "error / max(F, K)"):
        table.add_column(column, justify="left" if column == "route" else "right")
    for name, rate in bound.items():
        table.add_row(name, f"{rate / 1e6:,.0f}", f"{1e9 / rate:,.2f}", "", "", "")
    for name, rate in rates.items():
        share = f"{rate / best:.0%}" if best else ""
        table.add_row(
            name, f"{rate / 1e6:,.1f}", f"{1e9 / rate:,.2f}", f"{rates[base] / rate:,.1f} x", share,
            f"{figures['error_max'][name]:.1e}",
        )  # fmt: skip
    add_missing(table, figures["missing"])
    return table


def add_missing(table: Table, missing: Mapping[str, str]) -> None:
    """Add a row for each peer that could not run."""
    for name, reason in missing.items():
        table.add_row(name, f"missing: {reason}")
