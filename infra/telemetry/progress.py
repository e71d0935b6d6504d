"""How far the work of this process has come, told to whoever shows it.

A process shows progress in one place: a terminal attaches itself with ``show_progress_on``; with
nobody attached the reports go nowhere. Steps report to ``progress()`` and never print.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class Step:
    """One step's state: ``n_done`` of ``n_total`` units, with a note for people."""

    name: str
    n_done: int
    n_total: int
    note: str = ""

    @property
    def is_done(self) -> bool:
        """Return whether nothing is left to do."""
        return self.n_done >= self.n_total


class Progress(Protocol):
    """Whoever shows progress."""

    def begin(self, title: str) -> None:
        """Start a new piece of work; steps of the same name after it are new steps."""

    def report(self, step: Step) -> None:
        """Show the newest state of a step; states of one step arrive in order."""


class SilentProgress:
    """Shows nothing: the default, and what scheduled runs use."""

    def begin(self, title: str) -> None:
        """Forget the title."""

    def report(self, step: Step) -> None:
        """Forget the step."""


_SILENT: Final = SilentProgress()
_attached: list[Progress] = []


def progress() -> Progress:
    """Return the attached progress display of this process, or one that shows nothing."""
    return _attached[-1] if _attached else _SILENT


@contextmanager
def show_progress_on(display: Progress) -> Iterator[None]:
    """Attach ``display`` while the block runs; the innermost one is used."""
    _attached.append(display)
    try:
        yield
    finally:
        _attached.remove(display)
