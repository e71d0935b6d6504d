"""Charts of a scorecard: counts by book, zones over time, replays, tools and parameters."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D, Int64Array1D
from engine.backtest.kupiec import kupiec_region
from engine.backtest.traffic_light import zone_bounds
from engine.backtest.verdict import rolling_counts
from infra.report.amounts import count, percent
from infra.report.charts.style import Chart, chart, colour, new_figure

_WINDOW: Final = 250
_LABELLED_MAX: Final = 3
_SERIES: Final = ("core", "up", "procyclicality", "gap", "wrong-way", "hold")


def exceptions_chart(rows: pd.DataFrame, confidence: float, *, on_page: bool) -> Chart:
    """Return exceptions over expected of each book, with the counts that Kupiec's test accepts.

    ``rows`` has book, n_days, exceptions and expected.
    """
    n_out = int((rows["coverage"] != "accepted").sum())
    summary = (
        f"Losses beyond the value at risk, as a multiple of the number expected, by book over one "
        f"day; the bar is what Kupiec's test accepts. {count(len(rows) - n_out)} of "
        f"{count(len(rows))} books are accepted."
    )
    return chart("exceptions", summary, lambda: _exceptions(rows, confidence), on_page=on_page)


def zones_chart(drawn: dict[str, pd.DataFrame], confidence: float, *, on_page: bool) -> Chart:
    """Return the exceptions of the last 250 days over time, on the zones of the traffic light."""
    summary = (
        f"Exceptions in the last {_WINDOW} days, over time; the lines are the ends of the green "
        f"and yellow zones at {percent(confidence, 0)}."
    )
    return chart("zones", summary, lambda: _zones(drawn, confidence), on_page=on_page)


def replays_chart(replays: pd.DataFrame, *, on_page: bool) -> Chart:
    """Return loss over requirement of the worst evening of each event, by book."""
    n_short = int((replays["shortfall"] > 0.0).sum())
    summary = (
        "Loss over the margin period of risk as a multiple of the requirement of the evening "
        f"before, for each stress event and book: {count(n_short)} of {count(len(replays))} lie "
        "beyond 1 and are not covered."
    )
    return chart("replays", summary, lambda: _replays(replays), on_page=on_page)


def tools_chart(tool_days: pd.DataFrame, book: str, *, on_page: bool) -> Chart:
    """Return one book's requirement over time under each anti-procyclicality tool."""
    summary = (
        f"Requirement of the book “{book}” over one day, as a share of its exposure, under each "
        "anti-procyclicality tool by itself, none of them, and as shipped."
    )
    return chart("tools", summary, lambda: _tools(tool_days), on_page=on_page)


def sensitivity_chart(rows: pd.DataFrame, book: str, *, on_page: bool) -> Chart:
    """Return level, coverage and swing against each parameter, shipped = 1."""
    summary = (
        f"Book “{book}”: mean requirement, exceptions over expected, and largest 20-day rise "
        "when one parameter changes, each as a multiple of its figure at the shipped value (the "
        "dashed line)."
    )
    return chart("sensitivity", summary, lambda: _sensitivity(rows), on_page=on_page)


def grid_chart(grid: pd.DataFrame, *, on_page: bool) -> Chart:
    """Return the gap in score of every filter of the tuning grid to the shipped one."""
    summary = (
        "Mean score of every filter of the grid less that of the shipped one, on data up to the "
        "end of 2023, with two standard errors; to the left is better."
    )
    return chart("grid", summary, lambda: _grid(grid), on_page=on_page)


def _exceptions(rows: pd.DataFrame, confidence: float) -> Any:
    n = len(rows)
    figure, axes = new_figure(10.0, 0.6 + 0.19 * n)
    for i, row in enumerate(rows.to_dict(orient="records")):
        expected = row["expected"]
        region = kupiec_region(int(row["n_days"]), confidence=confidence)
        low, high = region.exceptions_min_accepted, region.exceptions_max_accepted
        if low is not None and high is not None:
            axes.plot(
                [low / expected, high / expected], [i, i], color=colour("offset"), linewidth=5,
                alpha=0.45, solid_capstyle="butt",
            )  # fmt: skip
        tint = colour("core") if row["coverage"] == "accepted" else colour("up")
        axes.plot(
            row["exceptions"] / expected, i, marker="o", markersize=5, color=tint, clip_on=False
        )  # fmt: skip
    axes.axvline(1.0, color=colour("muted"), linewidth=0.8)
    axes.set_yticks(range(n), rows["book"])
    axes.set_ylim(n - 0.4, -0.6)
    axes.set_xlim(left=0.0)
    axes.set_xlabel("Exceptions / expected")
    axes.grid(axis="y", visible=False)
    return figure


def _zones(drawn: dict[str, pd.DataFrame], confidence: float) -> Any:
    figure, axes = new_figure(10.0, 2.6)
    bounds = zone_bounds(_WINDOW, confidence=confidence)
    for tint, (name, days) in zip(_SERIES, drawn.items(), strict=False):
        counts = rolling_counts(days["exception"].to_numpy(dtype=np.bool_), _WINDOW)
        at = days["date"].to_numpy()[_WINDOW - 1 :]
        axes.step(at, counts, where="post", color=colour(tint), linewidth=1.2, label=name)
    for level, text in ((bounds.max_green, "green"), (bounds.max_yellow, "yellow")):
        axes.axhline(level + 0.5, color=colour("muted"), linewidth=0.8, linestyle="--")
        axes.annotate(
            f"{text} up to {level}", (0.0, level + 0.5), xycoords=("axes fraction", "data"),
            xytext=(3, 2), textcoords="offset points", fontsize=7.5, color=colour("muted"),
            bbox={"facecolor": colour("card"), "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip
    axes.set_ylim(bottom=-0.3)
    axes.set_ylabel(f"Exceptions in {_WINDOW} days")
    _legend(figure, axes)
    _dated(axes)
    return figure


def _replays(replays: pd.DataFrame) -> Any:
    events = list(dict.fromkeys(replays["event"]))
    figure, axes = new_figure(10.0, 0.7 + 0.36 * len(events))
    ratio = (replays["loss"] / replays["requirement"]).clip(lower=0.01).to_numpy()
    place = replays["event"].map({name: i for i, name in enumerate(events)}).to_numpy()
    short = replays["shortfall"].to_numpy() > 0.0
    axes.plot(
        ratio[~short], place[~short], linestyle="none", marker="o", markersize=4,
        color=colour("core"), alpha=0.55, markeredgewidth=0,
    )  # fmt: skip
    axes.plot(
        ratio[short], place[short], linestyle="none", marker="o", markersize=5,
        color=colour("up"), markeredgewidth=0,
    )  # fmt: skip
    _label_short(axes, replays, ratio, place)
    axes.axvline(1.0, color=colour("up"), linewidth=1.0)
    axes.set_yticks(range(len(events)), events)
    axes.set_ylim(len(events) - 0.4, -0.9)
    axes.set_xlim(0.0, max(2.0, float(ratio.max()) * 1.08))
    axes.set_xlabel("Loss / requirement of the evening before")
    axes.grid(axis="y", visible=False)
    return figure


def _label_short(
    axes: Any, replays: pd.DataFrame, ratio: Float64Array1D, place: Int64Array1D
) -> None:
    """Name the losses that were not covered, the worst of each event, above and below in turn."""
    short = replays["shortfall"].to_numpy() > 0.0
    for event in np.unique(place[short]).tolist():
        rows = np.flatnonzero(short & (place == event))
        worst = rows[np.argsort(-ratio[rows], kind="stable")][:_LABELLED_MAX]
        for turn, i in enumerate(worst.tolist()):
            axes.annotate(
                replays["book"].iat[i], (ratio[i], event), (0, 5 if turn % 2 == 0 else -11),
                textcoords="offset points", fontsize=7, ha="center", color=colour("up"),
            )  # fmt: skip


def _tools(tool_days: pd.DataFrame) -> Any:
    figure, axes = new_figure(10.0, 3.0)
    for tint, (name, days) in zip(_SERIES, tool_days.groupby("variant", sort=False), strict=False):
        width = 1.6 if name == "shipped" else 0.9
        axes.plot(days["date"], days["share"], color=colour(tint), linewidth=width, label=str(name))
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("Requirement / exposure")
    _legend(figure, axes)
    _dated(axes)
    return figure


def _sensitivity(rows: pd.DataFrame) -> Any:
    names = list(dict.fromkeys(rows["parameter"]))
    n_columns = 4
    n_rows = -(-len(names) // n_columns)
    figure, axes = new_figure(10.0, 1.75 * n_rows + 0.4, rows=n_rows, columns=n_columns)
    series = (
        ("mean_requirement", "Mean requirement", "core", "o"),
        ("exceptions_to_expected", "Exceptions / expected", "up", "s"),
        ("rise_20", "Largest 20-day rise", "procyclicality", "^"),
    )
    for panel, name in zip(axes.flat, names, strict=False):
        part = rows[rows["parameter"] == name]
        shipped = part[part["is_shipped"]].iloc[0]
        for key, label, tint, mark in series:
            panel.plot(
                part["value"], part[key] / shipped[key], color=colour(tint), marker=mark,
                markersize=3.2, linewidth=1.1, label=label,
            )  # fmt: skip
        panel.axvline(shipped["value"], color=colour("muted"), linewidth=0.8, linestyle="--")
        panel.set_title(name.replace("_", " "))
        panel.set_xticks(part["value"], [f"{value:g}" for value in part["value"]], fontsize=7)
    for panel in list(axes.flat)[len(names) :]:
        panel.set_visible(False)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper left", ncols=3, frameon=False, fontsize=9
    )  # fmt: skip
    return figure


def _grid(grid: pd.DataFrame) -> Any:
    rows = grid.sort_values("gap", kind="stable").iloc[:16]
    rows = rows if (rows["variant"] == "shipped").any() else pd.concat(
        [rows, grid[grid["variant"] == "shipped"]]
    )  # fmt: skip
    figure, axes = new_figure(10.0, 0.7 + 0.2 * len(rows))
    gap, t = rows["gap"].to_numpy(), rows["t_statistic"].to_numpy()
    error = np.divide(gap, t, out=np.zeros_like(gap), where=t != 0.0)
    at = np.arange(len(rows))
    axes.errorbar(
        gap, at, xerr=2.0 * np.abs(error), fmt="o", color=colour("core"), markersize=4,
        ecolor=colour("offset"), elinewidth=1.4,
    )  # fmt: skip
    axes.axvline(0.0, color=colour("muted"), linewidth=0.8)
    axes.set_yticks(at, rows["variant"])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("Score less that of the shipped filter")
    axes.grid(axis="y", visible=False)
    return figure


def _legend(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper left", ncols=6, frameon=False, fontsize=9,
        handlelength=1.4, columnspacing=1.4,
    )  # fmt: skip


def _dated(axes: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=12)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    axes.margins(x=0.01)
    axes.grid(axis="x", visible=False)
