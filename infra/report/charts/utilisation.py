"""How much of the collateral the requirement takes up: distribution, and each netting set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D
from infra.report.amounts import brief, count, percent, short
from infra.report.charts.style import Chart, chart, colour, new_figure, short_ticks

_EDGES = (0.0, 0.25, 0.50, 0.75, 0.90, 1.00, 1.25, np.inf)
_LABELS = ("0–25", "25–50", "50–75", "75–90", "90–100", "100–125", "> 125", "no\ncollateral")
_N_BELOW = 5
_ACTIONS = (
    ("none", "no movement", "total", "o"),
    ("return", "return", "down", "o"),
    ("blocked", "return blocked", "hold", "s"),
    ("call", "call", "up", "^"),
)
# Beyond this many, single points hide each other and weigh more than they tell.
POINTS_MAX = 3000


def distribution_chart(netting_sets: pd.DataFrame, *, on_page: bool = True) -> Chart | None:
    """Return the number of netting sets by utilisation, or None if none has a requirement."""
    owing = _owing(netting_sets)
    if owing.empty:
        return None
    used = owing["utilisation"].to_numpy(dtype="float64")
    counts = np.array([*np.histogram(used[~np.isnan(used)], bins=_EDGES)[0], np.isnan(used).sum()])
    n_above = int(counts[_N_BELOW:].sum())
    summary = (
        f"Utilisation of collateral, {count(len(owing))} netting sets with a requirement: "
        f"{count(n_above)} or {percent(n_above / len(owing))} need more than their collateral."
    )
    amounts = np.zeros(len(_LABELS))
    bucket = np.where(np.isnan(used), len(_LABELS) - 1, np.searchsorted(_EDGES, used, "right") - 1)
    np.add.at(amounts, bucket, owing["requirement_reported"].astype("float64").to_numpy())
    return chart("utilisation", summary, lambda: _bars(counts, amounts), on_page=on_page)


def call_region_chart(
    netting_sets: pd.DataFrame, currency: str, *, on_page: bool = True
) -> Chart | None:
    """Return requirement against collateral value, both logarithmic, with the region of calls."""
    owing = _owing(netting_sets)
    if owing.empty:
        return None
    n_calls = int((owing["call_action"] == "call").sum())
    summary = (
        f"Requirement against collateral value of {count(len(owing))} netting sets, {currency}, "
        f"logarithmic axes: above the diagonal collateral falls short; {count(n_calls)} are called."
    )
    return chart("call-region", summary, lambda: _scatter(owing, currency), on_page=on_page)


def _owing(netting_sets: pd.DataFrame) -> pd.DataFrame:
    chosen = [amount is not None and amount > 0 for amount in netting_sets["requirement_reported"]]
    return netting_sets[chosen]


def _bars(counts: Any, amounts: Float64Array1D) -> Any:
    figure, axes = new_figure(4.9, 3.3)
    x = np.arange(len(counts))
    tints = [colour("down") if i < _N_BELOW else colour("up") for i in x]
    axes.bar(x, counts, width=0.74, color=tints)
    for at, number, amount in zip(x, counts, amounts, strict=True):
        if number:
            axes.annotate(
                count(number), (at, number), (0, 11), textcoords="offset points", ha="center",
                fontweight="bold",
            )  # fmt: skip
            axes.annotate(
                short(amount), (at, number), (0, 2), textcoords="offset points", ha="center",
                fontsize=7, color=colour("muted"),
            )  # fmt: skip
    axes.axvline(_N_BELOW - 0.5, color=colour("ink"), linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_xticks(x, _LABELS, color=colour("ink"), fontsize=7.5)
    axes.margins(y=0.16)
    axes.grid(axis="x", visible=False)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("Requirement / collateral value [%]", loc="right")
    axes.set_ylabel("Netting sets; requirement in grey")
    return figure


def _scatter(owing: pd.DataFrame, currency: str) -> Any:
    figure, axes = new_figure(4.9, 3.3)
    required = owing["requirement_reported"].to_numpy(dtype=np.float64)
    held = owing["collateral_value_reported"].to_numpy(dtype=np.float64)
    floor = 10.0 ** np.floor(np.log10(required.min()) - 0.15)
    ceiling = max(required.max(), held.max()) * 2.5
    is_bare = held < floor
    held = np.where(is_bare, floor * 1.12, held)
    axes.fill_between(
        [floor, ceiling], [floor, ceiling], [ceiling, ceiling], color=colour("region"), linewidth=0
    )
    axes.plot([floor, ceiling], [floor, ceiling], color=colour("muted"), linewidth=0.9)
    if len(owing) > POINTS_MAX:
        axes.hexbin(
            held, required, gridsize=55, xscale="log", yscale="log", bins="log", mincnt=1,
            cmap=_density(), linewidths=0.0,
        )  # fmt: skip
    else:
        _points(axes, owing["call_action"].to_numpy(), held, required)
        axes.legend(
            loc="lower right", frameon=False, handletextpad=0.1, borderpad=0.2, fontsize=7.5,
            labelspacing=0.3,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(floor, ceiling), ylim=(floor, ceiling))
    axes.minorticks_off()
    short_ticks(axes.xaxis)
    short_ticks(axes.yaxis)
    axes.annotate(
        "collateral falls short", (0.03, 0.965), xycoords="axes fraction", va="top",
        color=colour("up"), fontweight="bold",
    )  # fmt: skip
    if is_bare.any():
        axes.annotate(
            f"left edge: {count(is_bare.sum())} with less than {brief(floor)}", (0.03, 0.905),
            xycoords="axes fraction", va="top", fontsize=7, color=colour("muted"),
        )  # fmt: skip
    axes.set_xlabel(f"Collateral value [{currency}]", loc="right")
    axes.set_ylabel(f"Requirement [{currency}]")
    return figure


def _points(axes: Any, actions: Any, held: Float64Array1D, required: Float64Array1D) -> None:
    for action, label, tint, marker in _ACTIONS:
        chosen = actions == action
        if chosen.any():
            axes.plot(
                held[chosen], required[chosen], linestyle="none", marker=marker, markersize=3.6,
                color=colour(tint), markeredgecolor=colour("card"), markeredgewidth=0.35,
                label=label,
            )  # fmt: skip


def _density() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("density", [colour("offset"), colour("core")])
