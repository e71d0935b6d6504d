"""One book under several rules: margins side by side, and profit and loss over the grids."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from infra.report.amounts import brief, short
from infra.report.charts.style import Chart, chart, colour, new_figure, short_ticks

_MOVES: Final = (
    ("down", "volatility down", "down"),
    ("unchanged", "unchanged", "total"),
    ("up", "volatility up", "up"),
)
_SHOCK_MAX: Final = 0.5
"""Cells further out are tails with small weights; they are in the table."""


def regime_chart(regimes: pd.DataFrame, house: float, *, on_page: bool = True) -> Chart | None:
    """Return initial and maintenance margin by regime beside the house's requirement. [USD]"""
    known = regimes[regimes["initial_margin"].notna()]
    if known.empty:
        return None
    ordered = known.sort_values(["initial_margin", "regime"], kind="stable")
    least, most = ordered.iloc[0], ordered.iloc[-1]
    summary = (
        f"Margin of the same book by rule, USD: the house requires {short(house)}; of the venues "
        f"{least['regime']} asks least with {short(least['initial_margin'])}, {most['regime']} "
        f"most with {short(most['initial_margin'])}."
    )
    return chart("regimes", summary, lambda: _bars(known, house), on_page=on_page)


def grid_chart(scenarios: pd.DataFrame, *, on_page: bool = True) -> Chart | None:
    """Return profit and loss over the price grid, one panel per regime and underlying.

    Parameters
    ----------
    scenarios : pandas.DataFrame
        Columns regime, underlying, price_shock, volatility_move, weight, pnl_usd, is_worst.
    """
    if scenarios.empty:
        return None
    names = sorted(scenarios["underlying"].unique())
    worst = scenarios[scenarios["is_worst"]].nsmallest(1, "pnl_usd").iloc[0]
    summary = (
        f"Profit and loss by price move and volatility, USD, one row per underlying "
        f"({', '.join(names)}); a ring marks the worst cell. The largest loss is "
        f"{short(-worst['pnl_usd'])} under {worst['regime']} on {worst['underlying']}."
    )
    return chart("grids", summary, lambda: _panels(scenarios), on_page=on_page)


def _bars(known: pd.DataFrame, house: float) -> Any:
    figure, axes = new_figure(10.0, 1.0 + 0.42 * (len(known) + 1))
    y = np.arange(len(known) + 1, dtype=np.float64)[::-1]
    axes.barh(y[0], house, height=0.62, color=colour("core"), label="house requirement")
    for column, label, tint, offset in (
        ("initial_margin", "venue initial margin", "up", 0.18),
        ("maintenance_margin", "venue maintenance margin", "gap", -0.18),
    ):
        values = known[column].to_numpy(dtype=np.float64)
        axes.barh(y[1:] + offset, values, height=0.34, color=colour(tint), label=label)
        for at, value in zip(y[1:] + offset, values, strict=True):
            _label(axes, value, at)
    _label(axes, house, y[0])
    axes.axvline(house, color=colour("core"), linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_yticks(y, ["house", *known["regime"]], color=colour("ink"))
    axes.margins(x=0.1)
    axes.grid(axis="y", visible=False)
    short_ticks(axes.xaxis)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False, fontsize=8, ncols=3)
    axes.set_xlabel("USD", loc="right")
    return figure


def _label(axes: Any, value: float, at: float) -> None:
    axes.annotate(
        short(value), (value, at), (4, 0), textcoords="offset points", va="center", fontsize=7.5,
        color=colour("muted"),
        bbox={"facecolor": colour("card"), "edgecolor": "none", "pad": 0.6},
    )  # fmt: skip


def _panels(scenarios: pd.DataFrame) -> Any:
    regimes = list(dict.fromkeys(scenarios["regime"]))
    names = sorted(scenarios["underlying"].unique())
    figure, axes = new_figure(
        10.0, 0.5 + 2.15 * len(names), rows=len(names), columns=len(regimes), sharey="row"
    )
    grid = np.asarray(axes, dtype=object).reshape(len(names), len(regimes))
    for row, name in enumerate(names):
        for column, regime in enumerate(regimes):
            chosen = scenarios[(scenarios["underlying"] == name) & (scenarios["regime"] == regime)]
            _panel(grid[row, column], chosen)
            if row == 0:
                grid[row, column].set_title(regime.replace("_", " "), fontsize=8.5)
        grid[row, 0].set_ylabel(f"{name} [USD]")
        grid[row, 0].yaxis.set_major_formatter(lambda value, _: brief(value))
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", frameon=False, fontsize=8, ncols=4)
    return figure


def _panel(axes: Any, cells: pd.DataFrame) -> None:
    near = cells[cells["price_shock"].abs() <= _SHOCK_MAX]
    for move, label, tint in _MOVES:
        line = near[near["volatility_move"] == move].sort_values("price_shock")
        whole = line[line["weight"] == 1.0]
        part = line[line["weight"] != 1.0]
        axes.plot(
            100.0 * whole["price_shock"], whole["pnl_usd"], marker="o", markersize=2.4,
            linewidth=1.1, color=colour(tint), label=label,
        )  # fmt: skip
        axes.plot(
            100.0 * part["price_shock"], part["pnl_usd"], marker="x", markersize=4.0,
            linestyle="none", color=colour(tint),
        )  # fmt: skip
    worst = near[near["is_worst"]]
    axes.plot(
        100.0 * worst["price_shock"], worst["pnl_usd"], marker="o", markersize=8.0,
        linestyle="none", markerfacecolor="none", markeredgecolor=colour("ink"),
        label="worst cell",
    )  # fmt: skip
    axes.axhline(0.0, color=colour("muted"), linewidth=0.8)
    axes.set_xlabel("price [%]", loc="right", fontsize=7.5)
