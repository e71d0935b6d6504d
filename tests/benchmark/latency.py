"""From a frame on the wire to the decision and to the durable call, beside the floor and peers.

Another process sends frames over a WebSocket on loopback; each brings one netting set into breach.
The floor is taken right before each profile: the way of such a frame, and one durable commit of one
row by the driver alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmark import latency_peers
from tests.benchmark.latency_floor import floors
from tests.benchmark.latency_loads import BREACHES, PROFILES, Profile, base_of
from tests.benchmark.latency_loop import SHARES, engines, measure
from tests.benchmark.measure import in_fresh_process, write_result

BRIEF_STEPS = 60
BRIEF_BREACHES = 2_000


def run(console: Console) -> None:
    """Measure and print; ``PLIMSOLL_BENCH_BRIEF`` takes fewer steps and the first profile alone."""
    is_brief = bool(os.environ.get("PLIMSOLL_BENCH_BRIEF"))
    figures: dict[str, Any] = {"is_brief": is_brief, "profiles": {}}
    with engines() as found:
        for profile in PROFILES[:1] if is_brief else PROFILES:
            n_steps = BRIEF_STEPS if is_brief else profile.n_steps
            close = base_of(replace(profile, n_steps=n_steps))
            for engine, fresh in found.items():
                floor = floors(fresh())
                taken = measure(profile, close, fresh(), n_steps)
                label = f"{profile.name}, {engine}"
                figures["profiles"][label] = {"floor": floor, **taken}
                console.print(f"{label}: done")
            if profile is PROFILES[0]:
                figures["peers"] = latency_peers.peers(close, profile.n_positions)
        n_breaches = BRIEF_BREACHES if is_brief else BREACHES
        once = Profile("at once", n_breaches, 1, 0, 1, 0.02)
        close = base_of(once, at_once=n_breaches)
        for engine, fresh in found.items():
            label = f"{n_breaches:,} breaches in one instant, {engine}"
            floor = floors(fresh())
            taken = measure(once, close, fresh(), n_breaches, n_frames=1)
            figures["profiles"][label] = {"floor": floor, **taken}
    n_prices = 1_000_000 if is_brief else 10_000_000
    figures["memory"] = in_fresh_process("tests.benchmark.latency_memory", str(n_prices))
    write_result("latency", figures)
    wide = Console(width=150)
    for columns, rows in (latencies(figures), hops(figures)):
        table = Table()
        for column in columns:
            table.add_column(column, justify="left" if column == columns[0] else "right")
        for row in rows:
            table.add_row(*row)
        wide.print(table)
    wide.print(memory(figures))


def latencies(figures: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return columns and rows of the table of latencies and floors. [ms]"""
    columns = (
        "ms from the frame on the wire, p50 / p99 / p99.9", "calls", "to decision",
        "to durable call", "floor: wire + commit of a row", "durable ÷ floor, p50 / p99",
        "all durable",
    )  # fmt: skip
    rows = []
    for label, one in figures["profiles"].items():
        floor, last = one["floor"]["both"], one["durable_last"]
        ratios = " / ".join(f"{one['durable'][name] / floor[name]:.1f}" for name in ("p50", "p99"))
        is_at_once = "one instant" in label
        rows.append((
            label, f"{one['n_durable']:,}", _cell(one["decision"]), _cell(one["durable"]),
            _cell(floor), "" if is_at_once else ratios,
            f"{last * 1e3:,.0f}" if is_at_once and last is not None else "",
        ))  # fmt: skip
    return columns, rows


def _cell(quantiles: Mapping[str, float]) -> str:
    return " / ".join(f"{quantiles[name] * 1e3:,.2f}" for name in SHARES)


def hops(figures: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return columns and rows of the table of one price and what follows from it. [us]"""
    found = figures["peers"]
    own = found["us"][latency_peers.LOOP]
    rows = [
        (name, f"{us:,.0f}", "" if name == latency_peers.LOOP else f"{us / own:,.3g} ×")
        for name, us in found["us"].items()
    ]
    rows += [(name, f"missing: {why}", "") for name, why in found["missing"].items()]
    return (f"one price, {found['n_sets']:,} netting sets", "processor µs", "the loop is"), rows


def memory(figures: Mapping[str, Any]) -> str:
    """Return a sentence on memory: over prices alone, and over each profile as it ran."""
    kept = figures["memory"]
    grown = "; ".join(
        f"{label} {one['resident_mib'][0]:,.0f} and {one['resident_mib'][-1]:,.0f}"
        for label, one in figures["profiles"].items()
        if len(one["resident_mib"]) > 1
    )
    return (
        f"Resident MiB of the loop's core after a tenth of {kept['prices']:,.0f} prices "
        f"{kept['after a tenth']:,.0f}, after all {kept['after all']:,.0f}. Of the whole process "
        f"at the beginning and at the end of a profile: {grown}."
    )
