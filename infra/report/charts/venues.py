"""House against venues, and the venues' reports against our replica."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from engine.drift import EXACT_RELATIVE, SKEW_RELATIVE
from infra.report.amounts import count, percent, short
from infra.report.charts.style import Chart, chart, colour, new_figure, short_ticks

_SIDES = (
    ("house", "house binds", "total", "o"),
    ("venue", "venue binds", "up", "^"),
    ("unknown", "a demand is unknown", "hold", "s"),
)
_CLASS_COLOURS = (
    ("exact", "exact", "procyclicality"),
    ("snapshot_skew", "snapshot skew", "offset"),
    ("model_only", "beyond", "up"),
)
_FLOOR = 1e-17


def binding_chart(
    netting_sets: pd.DataFrame, currency: str, *, on_page: bool = True
) -> Chart | None:
    """Return each netting set's house requirement against what its venues demand.

    Parameters
    ----------
    netting_sets : pandas.DataFrame
        Columns requirement_reported, venue_reported, binding.
    """
    table = pd.DataFrame(
        {
            "house": netting_sets["requirement_reported"].astype("float64"),
            "venue": netting_sets["venue_reported"].astype("float64"),
            "binding": netting_sets["binding"],
        }
    )
    table = table[(table["house"] > 0.0) & (table["venue"] > 0.0)]
    if table.empty:
        return None
    n_venue = int((table["binding"] == "venue").sum())
    summary = (
        f"House requirement against venue margin of {count(len(table))} netting sets, {currency}, "
        f"logarithmic axes: above the diagonal the venues demand more; they bind in "
        f"{count(n_venue)} or {percent(n_venue / len(table))}."
    )
    return chart("binding", summary, lambda: _scatter(table, currency), on_page=on_page)


def venue_chart(summary_table: pd.DataFrame, *, on_page: bool = True) -> Chart | None:
    """Return initial margin by venue and mode beside the house's share of the same accounts."""
    table = summary_table[summary_table["matched"] > 0.0]
    if table.empty:
        return None
    house, venue = float(table["house_share"].sum()), float(table["matched"].sum())
    summary = (
        f"Venue initial margin and house share by venue and mode, USD: venues demand "
        f"{short(venue)} of accounts for which the house requires {short(house)}."
    )
    return chart("venues", summary, lambda: _bars(table), on_page=on_page)


def drift_chart(drift: pd.DataFrame, *, on_page: bool = True) -> Chart | None:
    """Return how many buckets are how far from their venue's report, on a logarithmic axis."""
    known = drift[drift["relative_difference"].notna()]
    if known.empty:
        return None
    beyond = int((known["drift_class"] == "model_only").sum())
    summary = (
        f"Relative difference between reported and replicated margin of {count(len(known))} "
        f"buckets, logarithmic axis: {count(beyond)} or {percent(beyond / len(known))} beyond the "
        "tolerance of a snapshot skew."
    )
    return chart("drift", summary, lambda: _histogram(known), on_page=on_page)


def _scatter(table: pd.DataFrame, currency: str) -> Any:
    figure, axes = new_figure(4.9, 4.2)
    values = table[["house", "venue"]].to_numpy(dtype=np.float64)
    floor, ceiling = values.min() / 1.8, values.max() * 1.8
    axes.fill_between(
        [floor, ceiling], [floor, ceiling], [ceiling, ceiling], color=colour("region"), linewidth=0
    )
    axes.plot([floor, ceiling], [floor, ceiling], color=colour("muted"), linewidth=0.9)
    for side, label, tint, marker in _SIDES:
        chosen = table[table["binding"] == side]
        if len(chosen):
            axes.plot(
                chosen["house"], chosen["venue"], linestyle="none", marker=marker, markersize=3.4,
                color=colour(tint), markeredgecolor=colour("card"), markeredgewidth=0.35,
                label=label,
            )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(floor, ceiling), ylim=(floor, ceiling))
    axes.minorticks_off()
    short_ticks(axes.xaxis)
    short_ticks(axes.yaxis)
    axes.legend(loc="lower right", frameon=False, handletextpad=0.1, fontsize=7.5)
    axes.annotate(
        "venues demand more", (0.03, 0.965), xycoords="axes fraction", va="top",
        color=colour("up"), fontweight="bold",
    )  # fmt: skip
    axes.set_xlabel(f"House requirement [{currency}]", loc="right")
    axes.set_ylabel(f"Venue initial margin [{currency}]")
    return figure


def _bars(table: pd.DataFrame) -> Any:
    figure, axes = new_figure(4.9, max(3.4, 1.0 + 0.28 * len(table)))
    y = np.arange(len(table), dtype=np.float64)[::-1]
    for column, label, tint, offset in (
        ("matched", "venue initial margin", "up", 0.19),
        ("house_share", "house share", "core", -0.19),
    ):
        values = table[column].to_numpy(dtype=np.float64)
        axes.barh(y + offset, values, height=0.36, color=colour(tint), label=label)
        for at, value in zip(y + offset, values, strict=True):
            axes.annotate(
                short(value), (value, at), (3, 0), textcoords="offset points", va="center",
                fontsize=7, color=colour("muted"),
            )  # fmt: skip
    names = [
        f"{v} {m}".replace("_", " ")
        for v, m in zip(table["venue"], table["account_mode"], strict=True)
    ]
    axes.set_yticks(y, names, color=colour("ink"), fontsize=7.5)
    axes.margins(x=0.12)
    axes.grid(axis="y", visible=False)
    short_ticks(axes.xaxis)
    axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False, fontsize=7.5, ncols=2)
    axes.set_xlabel("Accounts that have both [USD]", loc="right")
    return figure


def _histogram(known: pd.DataFrame) -> Any:
    figure, axes = new_figure(10.0, 2.5)
    edges = np.logspace(-17, 1, 37)
    drawn = [
        np.maximum(
            known.loc[known["drift_class"] == name, "relative_difference"].abs().to_numpy(), _FLOOR
        )
        for name, _, _ in _CLASS_COLOURS
    ]
    axes.hist(
        drawn, bins=list(edges), stacked=True, rwidth=0.9,
        color=[colour(tint) for _, _, tint in _CLASS_COLOURS],
        label=[label for _, label, _ in _CLASS_COLOURS],
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("symlog", linthresh=5)
    axes.minorticks_off()
    for limit, words in (
        (EXACT_RELATIVE, "exact up to 1e-9"),
        (SKEW_RELATIVE, "snapshot skew up to 2e-4"),
    ):
        axes.axvline(limit, color=colour("ink"), linewidth=0.9, linestyle=(0, (4, 3)))
        axes.annotate(
            words, (limit, 0.98), (-4, 0), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="right", va="top", fontsize=7.5, color=colour("muted"),
        )  # fmt: skip
    axes.set_yticks([0, 5, 50, 500, 5000], ["0", "5", "50", "500", "5,000"])
    axes.set_ylim(0, max(20.0, 1.6 * len(known)))
    axes.legend(loc="upper left", frameon=False, fontsize=7.5, ncols=3)
    axes.set_xlabel("Reported over replicated margin, distance from 1 [-]", loc="right")
    axes.set_ylabel("Buckets of accounts")
    return figure
