"""The page of a soak: one file, nothing loaded from elsewhere, readable in light and in dark."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.soak.charts import Band, Line, chart
from tests.soak.facts import FactReader
from tests.soak.figures import column, summary_of

if TYPE_CHECKING:
    from tests.soak.book import BookSize
    from tests.soak.conductor import Conductor

STYLE = """
:root { color-scheme: light dark; --ink: #1b1e24; --paper: #fff; --soft: #667; --rule: #d9dce2;
 --c1: #2158a8; --c2: #b4561a; --c3: #2c7a4b; --c4: #8a3d8f; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --paper: #14161a; --soft: #9aa;
 --rule: #343841; --c1: #7aa9ee; --c2: #e59a5f; --c3: #71c893; --c4: #d08ad6; --bad: #ff8a80; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
 max-width: 1120px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
h3 { font-size: .95rem; margin: 0 0 .2rem; } figure { margin: 1.2rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem .9rem .2rem 0; text-align: right; border-bottom: 1px solid var(--rule); }
td:first-child, th:first-child { text-align: left; } th { color: var(--soft); font-weight: 500; }
svg { width: 100%; height: auto; } .grid { stroke: var(--rule); }
.tick { text-anchor: end; } .time { text-anchor: middle; }
.tick, .time { fill: var(--soft); font-size: 11px; font-variant-numeric: tabular-nums; }
.line { fill: none; stroke-width: 1.4; } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); }
.c3 { stroke: var(--c3); } .c4 { stroke: var(--c4); }
.band { fill: var(--soft); opacity: .16; } .band.process { fill: var(--bad); opacity: .24; }
.band.database { fill: var(--c2); opacity: .26; } .band.market { fill: var(--c1); opacity: .2; }
.band.state { fill: var(--c4); opacity: .5; }
.swatch { display: inline-block; width: 1.1rem; height: 0; border-top: 3px solid;
 vertical-align: middle; margin: 0 .4rem 0 1rem; }
.swatch.c1 { color: var(--c1); } .swatch.c2 { color: var(--c2); }
.swatch.c3 { color: var(--c3); } .swatch.c4 { color: var(--c4); }
.key { margin: 0; } small { color: var(--soft); }
.bad { color: var(--bad); } pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.rows text { fill: var(--ink); font-size: 11px; }
"""
ROW = 17
SMOOTH_SECONDS = 10


def write_report(conductor: Conductor, size: BookSize, path: Path) -> Path:
    """Write the page and return its path."""
    summary = summary_of(conductor, size)
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>{escape(summary.title)}</title><style>{STYLE}</style>",
        f"<h1>{escape(summary.title)}</h1>",
        _verdict(conductor, summary.n_checks),
        _table("Rates and times", ("", "aimed at", "reached", ""), summary.rates),
        *(_table(heading, columns, rows) for heading, columns, rows in summary.tables),
        "<h2>Over time</h2><p>Bands: what was broken when. Red: processes. Orange: the database. "
        "Blue: the market fell. Grey: ticks, venues, requests.</p>",
        *_charts(conductor),
        _states(conductor),
    ]
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def _verdict(conductor: Conductor, n_checks: int) -> str:
    if not conductor.violations:
        return f"<p>No violation in {n_checks:,} checks.</p>"
    parts = [f"<h2 class='bad'>{len(conductor.violations):,} violations</h2>"]
    for one in conductor.violations.values():
        values = json.dumps(one.values, indent=1, default=str)
        parts.append(
            f"<p class='bad'><b>{escape(one.invariant)}</b>: {escape(one.sentence)}</p>"
            f"<p>second {one.second:.1f}, {one.n:,} times, seed {conductor.options.seed}; faults "
            f"on: {escape(', '.join(one.faults) or 'none')}</p><pre>{escape(values[:3_000])}</pre>"
        )
    return "".join(parts)


def _table(heading: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<h2>{escape(heading)}</h2><table><tr>{head}</tr>{body}</table>"


def _bands(conductor: Conductor) -> list[Band]:
    open_bands: dict[int, Band] = {}
    found = []
    for fact in FactReader(conductor.facts.path).new():
        at = fact["at"] / 1e9 - conductor.began
        if fact["kind"] == "fault begins":
            where = f" at {fact['venue']}" if fact["group"] in ("ticks", "venue") else ""
            open_bands[fact["number"]] = Band(f"{fact['fault']}{where}", at, at, fact["group"])
        elif fact["kind"] == "fault ends" and fact["number"] in open_bands:
            begun = open_bands.pop(fact["number"])
            found.append(Band(begun.name, begun.since, at, begun.group))
    return found


def _charts(conductor: Conductor) -> list[str]:
    seconds, bands = column(conductor, "second"), _bands(conductor)

    def line(name: str, label: str, colour: int, factor: float = 1.0) -> Line:
        return Line(label, column(conductor, name) * factor, colour)

    def rate(name: str, label: str, colour: int) -> Line:
        return Line(label, _smoothed(column(conductor, name)), colour)

    loops = [one.name for one in conductor.loops]
    return [
        chart("Prices [1/s]", seconds, [rate("prices sent", "sent", 2),
              rate("prices taken", "taken by the leader", 1)], bands),
        chart("Fills [1/s]", seconds, [rate("fills sent", "sent", 2),
              rate("fills acknowledged", "acknowledged", 1)], bands),
        chart("From frame to decision [ms]", seconds,
              [line("frame_to_decision p50", "p50", 1, 1e3),
               line("frame_to_decision p99", "p99", 2, 1e3),
               line("frame_to_decision p99.9", "p99.9", 4, 1e3)], bands, unit="ms", is_log=True),
        chart("From frame to durable call [ms]", seconds,
              [line("frame_to_durable p50", "p50", 1, 1e3),
               line("frame_to_durable p99", "p99", 2, 1e3)], bands, unit="ms", is_log=True),
        chart("One commit [ms]", seconds, [line("commit p50", "p50", 1, 1e3),
              line("commit p99", "p99", 2, 1e3)], bands, unit="ms", is_log=True),
        chart("Oldest decision that is not durable [s]", seconds,
              [line("waiting seconds", "waits", 1)], bands, unit="s"),
        chart("Open calls", seconds, [line("open calls", "open", 1)], bands),
        chart("Resident memory [MiB]", seconds,
              [*(line(f"{name} resident_mib", name, k) for k, name in enumerate(loops, 1)),
               line("web resident_mib", "web", 3), line("alerts resident_mib", "alerts", 4)],
              bands, unit="MiB"),
        chart("Processor [cores]", seconds,
              [*(line(f"{name} cpu", name, k) for k, name in enumerate(loops, 1)),
               line("web cpu", "web", 3), line("alerts cpu", "alerts", 4)], bands),
        chart("Scopes that the board shows as not live", seconds,
              [line("degraded", "scopes", 1)], bands),
    ]  # fmt: skip


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Return means over ten seconds: counts of processes come once in a second or two."""
    known = np.isfinite(values)
    kernel = np.ones(min(SMOOTH_SECONDS, max(values.size, 1)))
    total = np.convolve(np.where(known, values, 0.0), kernel, mode="same")
    n = np.convolve(known.astype(np.float64), kernel, mode="same")
    return np.where(n > 0.0, total / np.maximum(n, 1.0), np.nan)


def _states(conductor: Conductor) -> str:
    """Return which scope was shown as not live when, a row each."""
    rows: dict[str, list[tuple[float, float, str]]] = {}
    end = conductor.sampler.rows[-1]["second"] if conductor.sampler.rows else 1.0
    for one in conductor.watcher.shown:
        until = end if one.until is None else one.until - conductor.began
        label = f"{one.scope} {one.name}"
        rows.setdefault(label, []).append((one.since - conductor.began, until, one.reason))
    if not rows:
        return "<h2>Shown as not live</h2><p>nothing</p>"
    height = ROW * len(rows) + 8
    parts = [f"<h2>Shown as not live</h2><svg class='rows' viewBox='0 0 1080 {height}' role='img' "
             "aria-label='states over time'>"]  # fmt: skip
    for number, (label, spells) in enumerate(sorted(rows.items())):
        top = number * ROW + 4
        parts.append(f"<text x='0' y='{top + 11}'>{escape(label)}</text>")
        for since, until, reason in spells:
            left = 230 + since / max(end, 1.0) * 840
            width = max((until - since) / max(end, 1.0) * 840, 1.0)
            parts.append(
                f"<rect class='band state' x='{left:.1f}' y='{top}' width='{width:.1f}' "
                f"height='{ROW - 4}'><title>{escape(reason)}: {since:.0f} to {until:.0f} s</title>"
                "</rect>"
            )
    return "".join([*parts, "</svg>"])
