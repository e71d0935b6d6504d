"""A soak in figures: what was reached, what was checked, what was seen, for terminal and page."""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tests.soak.schedule import KINDS

if TYPE_CHECKING:
    from tests.soak.book import BookSize
    from tests.soak.conductor import Conductor

NEEDS = {"stop": "there is no server to stop", "fill": "the server's disk is not the loop's"}


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures in words, as rows."""

    title: str
    rates: list[tuple[str, ...]]
    tables: list[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]
    n_checks: int


def summary_of(conductor: Conductor, size: BookSize) -> Summary:
    """Return the figures of a finished soak."""
    options = conductor.options
    title = (
        f"Soak of {options.seconds / 60:g} minutes, seed {options.seed}, "
        f"{conductor.place.server.kind}, {size.n_sets:,} netting sets, "
        f"{len(conductor.place.positions):,} positions; {os.cpu_count()} cores, "
        f"Python {platform.python_version()}"
        + (f"; planted: {options.plant}" if options.plant else "")
    )
    tables = [
        ("Invariants", ("", "checked", "violated"), _invariants(conductor)),
        ("Faults", ("", "times", "shown after, median [s]", "most [s]"), _faults(conductor)),
        ("Leaders", ("", "at [s]", "another decided after [s]"), _takeovers(conductor)),
        ("Memory", ("life of a leader", "MiB", "growth [MiB/h]", "files more"), _memory(conductor)),
    ]
    return Summary(
        title=title,
        rates=_rates(conductor),
        tables=[one for one in tables if one[2]],
        n_checks=sum(conductor.checks.values()),
    )


def column(conductor: Conductor, name: str) -> np.ndarray:
    """Return one column of the samples, NaN where there is none."""
    rows = conductor.sampler.rows
    return np.array([row.get(name, np.nan) for row in rows], dtype=np.float64)


def _rates(conductor: Conductor) -> list[tuple[str, ...]]:
    options = conductor.options
    seconds = column(conductor, "second")
    playing = seconds <= options.seconds
    found = []
    for label, name, aim in (
        ("prices sent, 1/s", "prices sent", options.prices),
        ("prices taken, 1/s", "prices taken", options.prices),
        ("fills sent, 1/s", "fills sent", options.fills),
        ("fills acknowledged, 1/s", "fills acknowledged", options.fills),
    ):
        values = column(conductor, name)[playing]
        mean = float(np.nanmean(values)) if values.size else 0.0
        word = "" if mean >= 0.95 * aim else f"{mean / aim:.0%} of what was aimed at"
        found.append((label, f"{aim:,.0f}", f"{mean:,.0f}", word))
    for label, name in (
        ("frame to decision, ms", "frame_to_decision"),
        ("frame to durable call, ms", "frame_to_durable"),
        ("one commit, ms", "commit"),
    ):  # fmt: skip
        p50, p99 = column(conductor, f"{name} p50"), column(conductor, f"{name} p99")
        if np.isfinite(p50).any():
            found.append(
                (label, "", f"p50 {np.nanmedian(p50) * 1e3:,.1f}",
                 f"p99 {np.nanmedian(p99) * 1e3:,.1f}, in the worst {np.nanmax(p99) * 1e3:,.0f}")
            )  # fmt: skip
    leads = column(conductor, "leads")[playing]
    if leads.size:
        found.append(("seconds with a leader", "", f"{float(np.nanmean(leads)):.2%}", ""))
    notes = conductor.notes
    found += [
        ("calls of the loop", "", f"{notes.get('calls', 0):,}",
         f"in {notes.get('decisions with calls', 0):,} decisions"),
        ("alerts delivered", "", f"{conductor.n_alerts:,}",
         f"of {notes.get('events', 0):,} events"),
        ("reads of the board", "", f"{conductor.watcher.n_reads:,}",
         f"{conductor.watcher.n_failed:,} failed"),
        ("answers to strangers", "", f"{sum(conductor.answers.values()):,}",
         ", ".join(f"{status}: {n:,}" for status, n in sorted(conductor.answers.items()))),
    ]  # fmt: skip
    return found


def _invariants(conductor: Conductor) -> list[tuple[str, ...]]:
    bad: dict[str, int] = defaultdict(int)
    for one in conductor.violations.values():
        bad[one.invariant] += one.n
    names = sorted({*conductor.checks, *bad})
    return [(name, f"{conductor.checks.get(name, 0):,}", f"{bad[name]:,}") for name in names]


def _faults(conductor: Conductor) -> list[tuple[str, ...]]:
    delays: dict[str, list[float]] = defaultdict(list)
    for what, seconds in conductor.watcher.delays:
        delays[what].append(seconds)
    found = []
    server = conductor.place.server
    able = {"stop": server.can_stop, "fill": server.can_fill}
    for kind in KINDS:
        n = conductor.faults.counts.get(kind.name, 0)
        if kind.needs and not able[kind.needs]:
            found.append((f"{kind.name} (not here: {NEEDS[kind.needs]})", "0", "", ""))
            continue
        seen = delays.get(kind.name, [])
        words = (f"{np.median(seen):.1f}", f"{max(seen):.1f}") if seen else ("", "")
        found.append((kind.name, f"{n:,}", *words))
    return found


def _takeovers(conductor: Conductor) -> list[tuple[str, ...]]:
    return [
        (one.how, f"{one.at:.0f}", "never" if one.seconds is None else f"{one.seconds:.1f}")
        for one in conductor.takeovers
    ]


def _memory(conductor: Conductor) -> list[tuple[str, ...]]:
    return [
        (f"{one['seconds']:.0f} s", f"{one['resident_mib']:,.0f}", f"{one['mib_per_hour']:+,.1f}",
         f"{one['files_growth']:+.0f}")
        for one in conductor.sampler.slopes()
    ]  # fmt: skip
