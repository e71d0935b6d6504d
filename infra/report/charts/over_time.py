"""Series by date: the requirement's history, and the back-test of losses against it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from infra.report.amounts import count, percent, short
from infra.report.charts.style import Chart, chart, colour, new_figure, short_ticks
from infra.report.inputs import COVERAGE_COLUMNS, require_columns

_LABELLED_MAX = 6
# A date label's width as a share of the time axis.
_LABEL_WIDTH = 0.085


def back_test_svg(
    days: pd.DataFrame, currency: str, confidence: float, *, on_page: bool = True
) -> Chart | None:
    """Return losses against the margin that stood before them, exceptions marked.

    Parameters
    ----------
    days : pandas.DataFrame
        date, loss (> 0 is a loss), value_at_risk, requirement, exception (a loss beyond the
        value at risk). [currency]
    currency : str
        Currency of both.
    confidence : float
        Share of days that the value at risk should cover. [-]
    on_page : bool
        Coloured by the page, or a light card.
    """
    require_columns(days, COVERAGE_COLUMNS, "coverage")
    if days.empty:
        return None
    ordered = days.sort_values("date", kind="stable", ignore_index=True)
    n_exceptions = int(ordered["exception"].sum())
    expected = (1.0 - confidence) * len(ordered)
    summary = (
        f"Daily loss against value at risk and requirement from {_day(ordered['date'].iat[0])} to "
        f"{_day(ordered['date'].iat[-1])}: {count(n_exceptions)} exceptions in "
        f"{count(len(ordered))} days, {expected:.1f} expected at {percent(confidence)}."
    )
    return chart("coverage", summary, lambda: _back_test(ordered, currency), on_page=on_page)


def history_svg(totals: pd.DataFrame, currency: str, *, on_page: bool = True) -> Chart | None:
    """Return the total requirement by business date, with the collateral value where known.

    ``totals`` has business_date, requirement and perhaps collateral_value, in ``currency``.
    """
    if len(totals) < 2:
        return None
    ordered = totals.sort_values("business_date", kind="stable", ignore_index=True)
    values = ordered["requirement"].to_numpy(dtype="float64")
    summary = (
        f"Total requirement from {_day(ordered['business_date'].iat[0])} to "
        f"{_day(ordered['business_date'].iat[-1])}: {short(values[-1])} {currency}, between "
        f"{short(values.min())} and {short(values.max())}."
    )
    return chart("history", summary, lambda: _history(ordered, currency), on_page=on_page)


def back_test_chart(
    days: pd.DataFrame, path: Path, *, currency: str = "USD", confidence: float = 0.99
) -> None:
    """Write ``back_test_svg`` as a file of its own, for instance for a README."""
    _write(back_test_svg(days, currency, confidence, on_page=False), path)


def history_chart(totals: pd.DataFrame, path: Path, *, currency: str = "USD") -> None:
    """Write ``history_svg`` as a file of its own."""
    _write(history_svg(totals, currency, on_page=False), path)


def _write(drawn: Chart | None, path: Path) -> None:
    if drawn is not None:
        path.write_text(drawn.svg + "\n", encoding="utf-8")


def _back_test(days: pd.DataFrame, currency: str) -> Any:
    figure, axes = new_figure(10.0, 3.1)
    at = days["date"].to_numpy()
    loss, quantile, required = (
        days[name].to_numpy(dtype="float64") for name in ("loss", "value_at_risk", "requirement")
    )
    hit = days["exception"].to_numpy(dtype=bool)
    axes.vlines(at[~hit], 0.0, loss[~hit], color=colour("offset"), linewidth=0.7)
    axes.vlines(at[hit], 0.0, loss[hit], color=colour("up"), linewidth=0.9)
    axes.step(at, required, where="post", color=colour("core"), linewidth=1.3)
    axes.step(at, quantile, where="post", color=colour("gap"), linewidth=1.0)
    axes.plot(
        at[hit], loss[hit], linestyle="none", marker="o", markersize=4.6, color=colour("up"),
        markeredgecolor=colour("card"), markeredgewidth=0.6,
    )  # fmt: skip
    axes.axhline(0.0, color=colour("muted"), linewidth=0.8)
    excess = np.where(hit, loss - quantile, -np.inf)
    largest = np.argsort(-excess, kind="stable")[: min(int(hit.sum()), _LABELLED_MAX)]
    _label_exceptions(axes, days, [int(i) for i in largest])
    handles = axes.get_legend_handles_labels()[0] + [
        _line("Requirement", colour("core"), 1.3),
        _line("Value at risk", colour("gap"), 1.0),
        _line("Loss (+) or profit (−) of the day after", colour("offset"), 1.3),
        _dot("Loss beyond value at risk", colour("up")),
    ]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=4, frameon=False, handlelength=1.4,
        columnspacing=1.6, handletextpad=0.5, borderpad=0.1, fontsize=9,
    )  # fmt: skip
    top = max(loss.max(), required.max())
    low = max(loss.min(), -0.6 * top)
    axes.set_ylim(low * 1.05 if low < 0 else 0.0, top * 1.16)
    axes.margins(x=0.01)
    _dates(axes)
    short_ticks(axes.yaxis)
    axes.set_ylabel(f"Loss, margin [{currency}]")
    return figure


def _label_exceptions(axes: Any, days: pd.DataFrame, largest_first: list[int]) -> None:
    """Date the largest exceptions, leaving out one whose label would lie on another's."""
    width, middle = len(days) * _LABEL_WIDTH, len(days) / 2
    losses = days["loss"].to_numpy(dtype="float64")
    taken: list[tuple[float, float]] = []
    for i in largest_first:
        to_the_right = i < middle
        low, high = (i, i + width) if to_the_right else (i - width, i)
        if any(low < other_high and other_low < high for other_low, other_high in taken):
            continue
        taken.append((low, high))
        axes.annotate(
            _day(days["date"].iat[i]), (days["date"].iat[i], losses[i]),
            (5 if to_the_right else -5, 4), textcoords="offset points", fontsize=7.5,
            color=colour("up"), ha="left" if to_the_right else "right",
        )  # fmt: skip


def _history(totals: pd.DataFrame, currency: str) -> Any:
    figure, axes = new_figure(10.0, 2.2)
    at = totals["business_date"].to_numpy()
    series = [("requirement", "Requirement", "core", 1.6)]
    if "collateral_value" in totals:
        series.append(("collateral_value", "Collateral value", "procyclicality", 1.1))
    for column, label, tint, width in series:
        values = totals[column].to_numpy(dtype="float64")
        axes.plot(at, values, color=colour(tint), linewidth=width)
        axes.plot(at[-1:], values[-1:], marker="o", markersize=4.0, color=colour(tint))
        axes.annotate(
            f"{label}\n{short(values[-1])}", (at[-1], values[-1]), (7, 0),
            textcoords="offset points", va="center", color=colour(tint), fontweight="bold",
        )  # fmt: skip
    axes.set_ylim(bottom=0.0)
    axes.margins(x=0.005, y=0.12)
    _dates(axes)
    short_ticks(axes.yaxis)
    axes.set_ylabel(f"Total [{currency}]")
    return figure


def _dates(axes: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    axes.grid(axis="x", visible=False)


def _line(label: str, tint: str, width: float) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=tint, linewidth=width, label=label)


def _dot(label: str, tint: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=tint, linestyle="none", marker="o", markersize=4.6, label=label)


def _day(value: Any) -> str:
    return f"{pd.Timestamp(value):%Y-%m-%d}"
