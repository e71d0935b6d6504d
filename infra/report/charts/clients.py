"""Requirement by client, stacked by component: the largest clients and the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D, Float64Array2D
from infra.report.amounts import count, percent, short
from infra.report.charts.style import PART_COLOURS, Chart, chart, colour, new_figure, short_ticks
from infra.report.components import PARTS, REPORTED_PART_COLUMNS

CLIENTS_SHOWN = 20
# The rest may dwarf the largest client; beyond this its bar is cut and says so.
_REST_RATIO_MAX = 1.5


def client_chart(clients: pd.DataFrame, currency: str, *, on_page: bool = True) -> Chart | None:
    """Return the stacked bars of ``client_table``, or None if nobody owes anything."""
    owing = clients[clients["requirement_reported"] > 0]
    if owing.empty:
        return None
    largest, rest = owing.iloc[:CLIENTS_SHOWN], owing.iloc[CLIENTS_SHOWN:]
    parts = largest[list(REPORTED_PART_COLUMNS)].to_numpy(dtype="float64")
    whole = owing[list(REPORTED_PART_COLUMNS)].to_numpy(dtype="float64").sum(axis=0)
    totals = largest["requirement_reported"].to_numpy(dtype=np.float64)
    share = totals.sum() / whole.sum()
    summary = (
        f"Requirement of the {len(largest)} largest clients by component, {currency}: "
        f"{short(totals.sum())} or {percent(share)} of {short(whole.sum())}; the largest is "
        f"{largest['client_id'].iat[0]} with {short(totals[0])}."
    )
    names = [str(name) for name in largest["client_id"]]
    rest_parts = rest[list(REPORTED_PART_COLUMNS)].to_numpy(dtype="float64").sum(axis=0)
    rows = _Rows(names, parts, totals, rest_parts, len(rest), whole)
    return chart("clients", summary, lambda: _paint(rows, currency), on_page=on_page)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    names: list[str]
    parts: Float64Array2D
    """(n_clients, n_parts)."""
    totals: Float64Array1D
    rest: Float64Array1D
    """(n_parts,) of all other clients together."""
    n_rest: int
    whole: Float64Array1D
    """(n_parts,) of all clients."""


def _paint(rows: _Rows, currency: str) -> Any:
    n_rows = len(rows.names) + bool(rows.n_rest)
    figure, axes = new_figure(10.0, 0.9 + 0.235 * n_rows)
    scale = float(rows.totals.max())
    labels, values, parts = list(rows.names), rows.totals.tolist(), rows.parts
    is_cut = False
    if rows.n_rest:
        rest = rows.rest
        is_cut = rest.sum() > _REST_RATIO_MAX * scale
        labels.append(f"{count(rows.n_rest)} other clients")
        values.append(float(rest.sum()))
        drawn = rest * (_REST_RATIO_MAX * scale / rest.sum()) if is_cut else rest
        parts = np.vstack([parts, drawn])
    left = np.zeros(len(labels))
    y = np.arange(len(labels), dtype=float)
    if rows.n_rest:
        y[-1] += 0.35
    for i, part in enumerate(PARTS):
        if not np.any(np.abs(rows.whole[i]) > 0):
            continue
        share = _share(rows.whole[i] / rows.whole.sum())
        axes.barh(
            y, parts[:, i], left=left, height=0.72, color=colour(PART_COLOURS[i]),
            edgecolor=colour("card"), linewidth=0.6, label=f"{part.label} {share}",
        )  # fmt: skip
        left = left + parts[:, i]
    for at, end, value in zip(y, left, values, strict=True):
        axes.annotate(
            short(value), (end, at), (4, 0), textcoords="offset points", va="center",
            fontsize=9, fontweight="bold",
        )  # fmt: skip
    if is_cut:
        _cut(axes, float(left[-1]) * 0.86, float(y[-1]), float(left.max()) * 0.008)
    axes.set_yticks(y, labels, color=colour("ink"))
    axes.set_ylim(y[-1] + 0.6, -0.6)
    axes.set_xlim(0, float(left.max()) * 1.09)
    axes.grid(axis="y", visible=False)
    short_ticks(axes.xaxis)
    axes.set_xlabel(f"Requirement [{currency}]", loc="right")
    figure.legend(
        loc="outside upper left", ncols=7, frameon=False, handlelength=0.9, handleheight=0.9,
        columnspacing=1.4, handletextpad=0.5, borderpad=0.1, fontsize=9,
    )  # fmt: skip
    return figure


def _share(fraction: float) -> str:
    return percent(fraction, 0) if fraction >= 0.005 else f"< {percent(0.01, 0)}"


def _cut(axes: Any, x: float, y: float, width: float) -> None:
    """Break a bar with two slanted lines in the colour of the card."""
    for shift in (0.0, 2.2 * width):
        axes.plot(
            [x + shift - width, x + shift + width], [y + 0.5, y - 0.5],
            color=colour("card"), linewidth=2.2, solid_capstyle="butt", clip_on=False, zorder=5,
        )  # fmt: skip
