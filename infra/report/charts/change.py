"""The change of the total requirement by cause, and the netting sets that moved most."""

from __future__ import annotations

from typing import Any

import numpy as np

from infra.report.amounts import short
from infra.report.change import CAUSE_LABELS, CAUSES, Change
from infra.report.charts.style import Chart, chart, colour, new_figure, short_ticks

MOVERS_SHOWN = 10
_ROOMY = 4
_CAUSE_COLOURS = {"market": "core", "position": "gap", "parameter": "procyclicality"}


def waterfall_chart(change: Change, currency: str, *, on_page: bool = True) -> Chart | None:
    """Return the steps from the previous total to today's, or None if nothing moved.

    The axis shows the change, not the total, so that a step of a percent can be seen without an
    axis that starts above zero.
    """
    if not any(amount for _, amount in change.causes):
        return None
    steps = ", ".join(
        f"{CAUSE_LABELS[cause].lower()} {short(amount, plus=True)}"
        for cause, amount in change.causes
    )
    moved = float(change.after) - float(change.before)
    summary = (
        f"Total requirement from {short(change.before)} to {short(change.after)} {currency}, "
        f"{short(moved, plus=True)}: {steps}."
    )
    return chart("waterfall", summary, lambda: _waterfall(change, currency), on_page=on_page)


def mover_chart(change: Change, currency: str, *, on_page: bool = True) -> Chart | None:
    """Return bars of the largest changes of single netting sets, split by cause where known."""
    movers = change.movers.iloc[:MOVERS_SHOWN]
    if movers.empty:
        return None
    first = movers.iloc[0]
    summary = (
        f"The {len(movers)} netting sets whose requirement moved most, {currency}; first "
        f"{first['netting_set_id']} with {short(first['change_reported'], plus=True)}."
    )
    return chart("movers", summary, lambda: _movers(change, currency), on_page=on_page)


def _waterfall(change: Change, currency: str) -> Any:
    causes = change.causes
    figure, axes = new_figure(4.9, 3.1)
    amounts = np.array([amount for _, amount in causes])
    ends = np.cumsum(amounts)
    starts = ends - amounts
    moved = float(change.after) - float(change.before)
    x = np.arange(len(causes) + 1)
    tints = [colour("up") if amount > 0 else colour("down") for amount in amounts]
    axes.bar(x[:-1], amounts, bottom=starts, width=0.62, color=tints)
    axes.bar(x[-1], moved, width=0.62, color=colour("total"))
    for i, end in enumerate(ends):
        axes.plot([x[i] - 0.31, x[i + 1] + 0.31], [end, end], color=colour("muted"), linewidth=0.7)
    axes.axhline(0.0, color=colour("muted"), linewidth=0.9)
    for at, low, high, amount in zip(
        x, [*starts, 0.0], [*ends, moved], [*amounts, moved], strict=True
    ):
        axes.annotate(
            short(amount, plus=True), (at, max(low, high)), (0, 3), textcoords="offset points",
            ha="center", va="bottom", fontweight="bold",
            fontsize=9.0 if len(causes) <= _ROOMY else 7.5,
        )  # fmt: skip
    labels = [CAUSE_LABELS[cause].replace(" ", "\n") for cause, _ in causes]
    size = 9.0 if len(causes) <= _ROOMY else 7.5
    axes.set_xticks(x, [*labels, "Change"], color=colour("ink"), fontsize=size)
    axes.margins(y=0.16)
    axes.grid(axis="x", visible=False)
    short_ticks(axes.yaxis)
    axes.set_ylabel(f"Change of requirement [{currency}]")
    return figure


def _movers(change: Change, currency: str) -> Any:
    movers = change.movers.iloc[:MOVERS_SHOWN]
    figure, axes = new_figure(4.9, 3.1)
    y = np.arange(len(movers))
    totals = movers["change_reported"].astype("float64").to_numpy()
    causes = movers[list(CAUSES)].to_numpy(dtype="float64")
    unknown = np.isnan(causes).any(axis=1)
    causes = np.where(np.isnan(causes), 0.0, causes)
    above, below = np.zeros(len(movers)), np.zeros(len(movers))
    for i, cause in enumerate(CAUSES):
        part = causes[:, i]
        if not part.any():
            continue
        tint = colour(_CAUSE_COLOURS.get(cause, "total"))
        axes.barh(
            y, part, left=np.where(part > 0, above, below), height=0.66, color=tint,
            label=CAUSE_LABELS[cause],
        )  # fmt: skip
        above, below = above + np.maximum(part, 0.0), below + np.minimum(part, 0.0)
    if unknown.any():
        whole = np.where(unknown, totals, 0.0)
        axes.barh(y, whole, height=0.66, color=colour("total"), label="Opened, closed, failed")
        above, below = above + np.maximum(whole, 0.0), below + np.minimum(whole, 0.0)
    axes.plot(
        totals, y, linestyle="none", marker="d", markersize=4.5, color=colour("ink"),
        markeredgecolor=colour("card"), markeredgewidth=0.6, label="Change",
    )  # fmt: skip
    for at, total in zip(y, totals, strict=True):
        axes.annotate(
            short(total, plus=True), (1.0, at), (4, 0), xycoords=axes.get_yaxis_transform(),
            textcoords="offset points", va="center", fontsize=8, fontweight="bold",
            annotation_clip=False,
        )  # fmt: skip
    axes.axvline(0.0, color=colour("muted"), linewidth=0.9)
    axes.set_yticks(y, [str(name) for name in movers["netting_set_id"]], color=colour("ink"))
    axes.invert_yaxis()
    low, high = min(below.min(), totals.min(), 0.0), max(above.max(), totals.max(), 0.0)
    axes.set_xlim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    axes.grid(axis="y", visible=False)
    short_ticks(axes.xaxis)
    axes.set_xlabel(f"Change of requirement [{currency}]", loc="right")
    figure.legend(
        loc="outside upper left", ncols=5, frameon=False, handlelength=0.9, handleheight=0.9,
        columnspacing=1.2, handletextpad=0.4, borderpad=0.1, fontsize=8,
    )  # fmt: skip
    return figure
