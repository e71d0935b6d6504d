"""What the command line shows: results on standard output, progress and failures beside it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tasks.display import Step, show_progress_on

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress, TaskID

_PIPE_COLUMNS = 160


def show(renderable: RenderableType) -> None:
    """Write a table or text to standard output."""
    _console(sys.stdout).print(renderable, soft_wrap=isinstance(renderable, str))


def show_json(content: object) -> None:
    """Write ``content`` to standard output as indented JSON; exact amounts are texts."""
    sys.stdout.write(json.dumps(content, indent=2, default=str, ensure_ascii=False) + "\n")


def tell(text: str) -> None:
    """Write one line for people to error output, where it does not mix with results."""
    _console(sys.stderr).print(text, soft_wrap=True, highlight=False)


def tell_plainly(text: str) -> None:
    """Write one line as it stands to error output: words of others may look like markup."""
    from rich.markup import escape

    tell(escape(text))


def show_failure(sentence: str, next_step: str) -> None:
    """Write what happened and what to do next to error output."""
    from rich.markup import escape

    tell(f"[bold red]plimsoll:[/] {escape(sentence)}")
    tell(f"[dim]next: {escape(next_step)}[/]")


@contextmanager
def progress_shown() -> Iterator[None]:
    """Show the steps of the work in this process: bars on a terminal, else a line per step."""
    display = _Bars() if sys.stderr.isatty() else _Lines()
    with show_progress_on(display):
        try:
            yield
        finally:
            display.end()


class _Lines:
    """One line per finished step, for logs and pipes."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._done: set[str] = set()

    def begin(self, title: str) -> None:
        """Write the title."""
        self.end()
        sys.stderr.write(f"{title}\n")

    def report(self, step: Step) -> None:
        """Write the step when it is done."""
        started = self._started.setdefault(step.name, time.monotonic())
        if step.is_done and step.name not in self._done:
            self._done.add(step.name)
            seconds = time.monotonic() - started
            sys.stderr.write(f"  {step.name}: {step.note or 'done'} ({seconds:.1f} s)\n")

    def end(self) -> None:
        """Forget the steps."""
        self._started.clear()
        self._done.clear()


class _Bars:
    """One bar per step."""

    def __init__(self) -> None:
        self._bars: Progress | None = None
        self._rows: dict[str, TaskID] = {}

    def begin(self, title: str) -> None:
        """Leave the bars so far on the screen and start new ones below the title."""
        self.end()
        tell(f"[bold]{title}[/]")

    def report(self, step: Step) -> None:
        """Move the step's bar."""
        if self._bars is None:
            self._bars = _bars()
            self._bars.start()
        if step.name not in self._rows:
            self._rows[step.name] = self._bars.add_task(step.name, total=step.n_total, note="")
        self._bars.update(
            self._rows[step.name], completed=step.n_done, total=step.n_total, note=step.note
        )

    def end(self) -> None:
        """Leave the bars on the screen as they are."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = None
        self._rows.clear()


def _bars() -> Progress:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}[/]"),
        console=_console(sys.stderr),
    )


def _console(stream: Any) -> Console:
    from rich.console import Console

    # A pipe has no width; tables are not squeezed for it.
    width = None if stream.isatty() or os.environ.get("COLUMNS") else _PIPE_COLUMNS
    return Console(file=stream, highlight=False, width=width)
