"""The scenarios that decide most: how much is lost in them, by how many netting sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from infra.report.amounts import count, short
from infra.report.charts.style import Chart, chart, colour, new_figure, short_ticks

SCENARIOS_SHOWN = 12
_KINDS = (
    ("historical", "Historical", "core"),
    ("stress", "Named stress", "liquidity"),
    ("gap", "Gap", "gap"),
)


def scenario_chart(scenarios: pd.DataFrame, currency: str, *, on_page: bool = True) -> Chart | None:
    """Return bars of ``scenario_table``, or None if no scenario hurts anyone."""
    shown = scenarios[scenarios["loss_reported"] > 0].iloc[:SCENARIOS_SHOWN]
    if shown.empty:
        return None
    first = shown.iloc[0]
    summary = (
        f"Loss in the scenario that is worst for a netting set, summed by scenario, {currency}; "
        f"first {first['scenario']} with {short(first['loss_reported'])} in "
        f"{count(first['n_worst'])} netting sets."
    )
    return chart("scenarios", summary, lambda: _paint(shown, currency), on_page=on_page)


def _paint(shown: pd.DataFrame, currency: str) -> Any:
    figure, axes = new_figure(10.0, 0.8 + 0.25 * len(shown))
    y = np.arange(len(shown))
    losses = shown["loss_reported"].to_numpy(dtype="float64")
    kinds = shown["kind"].to_numpy(dtype=object)
    others = [(kind, kind, "total") for kind in sorted(set(kinds) - {kind for kind, *_ in _KINDS})]
    for kind, label, tint in (*_KINDS, *others):
        chosen = kinds == kind
        if chosen.any():
            axes.barh(y[chosen], losses[chosen], height=0.7, color=colour(tint), label=label)
    for at, loss, number in zip(y, losses, shown["n_worst"], strict=True):
        axes.annotate(
            short(loss), (loss, at), (4, 0), textcoords="offset points", va="center",
            fontweight="bold",
        )  # fmt: skip
        sets = f"worst for {count(number)} set{'' if number == 1 else 's'}"
        axes.annotate(
            sets, (loss, at), (46, 0), textcoords="offset points", va="center",
            color=colour("muted"),
        )  # fmt: skip
    axes.set_yticks(y, [_cropped(str(name)) for name in shown["scenario"]], color=colour("ink"))
    axes.invert_yaxis()
    axes.set_xlim(0, losses.max() * 1.27)
    axes.grid(axis="y", visible=False)
    short_ticks(axes.xaxis)
    axes.set_xlabel(f"Loss [{currency}]", loc="right")
    figure.legend(
        loc="outside upper left", ncols=3, frameon=False, handlelength=0.9, handleheight=0.9,
        columnspacing=1.4, handletextpad=0.5, borderpad=0.1, fontsize=9,
    )  # fmt: skip
    return figure


def _cropped(name: str) -> str:
    return name if len(name) <= 34 else name[:33] + "…"
