"""What a person sees while a soak runs, and its report in the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tests.soak.figures import Summary, summary_of

if TYPE_CHECKING:
    from tests.soak.book import BookSize
    from tests.soak.conductor import Conductor, SoakOptions

LINE_SECONDS = 15.0
WINDOW = 10
"""Seconds that present rates are averaged over."""


class Screen:
    """Live figures on a terminal, a line now and then elsewhere."""

    def __init__(self, folder: Path, options: SoakOptions, size: BookSize) -> None:
        self.console = Console(file=sys.stdout, highlight=False)
        self._options, self._size, self._folder = options, size, folder
        self._live: Live | None = None
        self._said = -LINE_SECONDS

    def __enter__(self) -> Screen:
        if self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=2, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, sentence: str) -> None:
        """Write a line."""
        self.console.print(f"soak: {sentence}")

    def tell(self, conductor: Conductor) -> None:
        """Show how it stands."""
        if self._live is not None:
            self._live.update(self._picture(conductor))
            return
        if conductor.elapsed() - self._said >= LINE_SECONDS or conductor.state == "starting":
            if conductor.state == "starting" and self._said > -LINE_SECONDS:
                return
            self._said = conductor.elapsed()
            self.console.print(self._line(conductor), soft_wrap=True)

    def _line(self, conductor: Conductor) -> str:
        now = _present(conductor)
        bad = sum(one.n for one in conductor.violations.values())
        parts = [
            f"{conductor.elapsed():6.0f} s of {self._options.seconds:.0f}, {conductor.state}",
            f"{now.get('prices taken', 0.0):,.0f} prices/s",
            f"{now.get('fills acknowledged', 0.0):,.1f} fills/s",
            f"{now.get('open calls', 0.0):,.0f} open calls",
            f"p99 {now.get('frame_to_decision p99', float('nan')) * 1e3:,.0f} ms",
            f"loop {now.get('resident', 0.0):,.0f} MiB",
            f"checks {sum(conductor.checks.values()):,}, violated {bad:,}",
            "faults: " + (", ".join(conductor.faults.names) or "none"),
        ]
        return " | ".join(parts)

    def _picture(self, conductor: Conductor) -> Group:
        now = _present(conductor)
        grid = Table.grid(padding=(0, 2))
        for _ in range(4):
            grid.add_column()

        def row(*cells: str) -> None:
            grid.add_row(*cells)

        seed = f"seed {self._options.seed}, {conductor.place.server.kind}"
        row("soak", f"{conductor.state}, {seed}",
            f"{_clock(conductor.elapsed())} of {_clock(self._options.seconds)}", "")  # fmt: skip
        row("prices/s", f"{now.get('prices taken', 0.0):,.0f} taken",
            f"{now.get('prices sent', 0.0):,.0f} sent",
            f"{self._options.prices:,.0f} aimed at")  # fmt: skip
        row("fills/s", f"{now.get('fills acknowledged', 0.0):,.1f} acknowledged",
            f"{now.get('fills sent', 0.0):,.1f} sent",
            f"{self._options.fills:,.1f} aimed at")  # fmt: skip
        row("frame to decision", f"p50 {_ms(now.get('frame_to_decision p50'))}",
            f"p99 {_ms(now.get('frame_to_decision p99'))}",
            f"p99.9 {_ms(now.get('frame_to_decision p99.9'))}")  # fmt: skip
        row("to durable call", f"p50 {_ms(now.get('frame_to_durable p50'))}",
            f"p99 {_ms(now.get('frame_to_durable p99'))}",
            f"{now.get('open calls', 0.0):,.0f} open calls")  # fmt: skip
        row("loop", f"{now.get('resident', 0.0):,.0f} MiB",
            f"{100 * now.get('cpu', 0.0):.0f} % of a core",
            f"epoch {conductor.word.epoch if conductor.word else 0}")  # fmt: skip
        row("faults on now", ", ".join(conductor.faults.names) or "none",
            f"{sum(conductor.faults.counts.values())} of {len(conductor.planned)}", "")  # fmt: skip
        shown = [f"{scope} {name}" for scope, name in sorted(conductor.watcher.current)]
        more = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
        row("board shows", ", ".join(shown[:4]) + more or "all live", "", "")
        checked = Table.grid(padding=(0, 2))
        for _ in range(3):
            checked.add_column()
        for name, n in sorted(conductor.checks.items()):
            bad = sum(one.n for one in conductor.violations.values() if one.invariant == name)
            word = Text(f"violated {bad:,}", style="bold red") if bad else Text("holds")
            checked.add_row(name, f"{n:,} checked", word)
        return Group(grid, Text(), checked)


def print_report(conductor: Conductor, size: BookSize, page: Path) -> None:
    """Print what came of a soak."""
    console = Console(highlight=False)
    summary = summary_of(conductor, size)
    table = Table(title=summary.title, title_justify="left")
    for column in ("", "aimed at", "reached", ""):
        table.add_column(column, justify="right" if column in ("aimed at", "reached") else "left")
    for cells in summary.rates:
        table.add_row(*cells)
    console.print(table)
    for heading, columns, rows in summary.tables:
        table = Table(title=heading, title_justify="left")
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number == 0 else "right")
        for cells in rows:
            table.add_row(*cells)
        console.print(table)
    _print_violations(console, conductor, summary)
    console.print(f"report: {page}", soft_wrap=True)


def _print_violations(console: Console, conductor: Conductor, summary: Summary) -> None:
    if not conductor.violations:
        console.print(f"[green]no violation[/green] in {summary.n_checks:,} checks")
        return
    for one in conductor.violations.values():
        console.print(
            f"[red]VIOLATED[/red] {one.invariant}: {one.sentence} "
            f"(seed {conductor.options.seed}, second {one.second:.1f}, {one.n:,} times; "
            f"faults on: {', '.join(one.faults) or 'none'})",
            soft_wrap=True,
        )
        for name, value in one.values.items():
            console.print(f"    {name} = {value!r}"[:400], soft_wrap=True, markup=False)


def _present(conductor: Conductor) -> dict[str, float]:
    rows = conductor.sampler.rows[-WINDOW:]
    if not rows:
        return {}
    found: dict[str, float] = dict(rows[-1])
    for name in ("prices taken", "prices sent", "fills sent", "fills acknowledged"):
        found[name] = sum(row.get(name, 0.0) for row in rows) / len(rows)
    leader = conductor.leader()
    if leader is not None:
        found["resident"] = found.get(f"{leader.name} resident_mib", 0.0)
        found["cpu"] = sum(row.get(f"{leader.name} cpu", 0.0) for row in rows) / len(rows)
    return found


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _ms(seconds: Any) -> str:
    return "-" if seconds is None or seconds != seconds else f"{seconds * 1e3:,.1f} ms"
