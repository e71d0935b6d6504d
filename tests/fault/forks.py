"""Children that die at a crash point, forked from a process that is warm and has one thread."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from infra import crashpoints

Argument = TypeVar("Argument")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended, and the names of the crash points that it came to, in their order."""

    is_killed: bool
    points: tuple[str, ...]

    @property
    def n_points(self) -> int:
        """Return how many points it came to."""
        return len(self.points)


def in_child(work: Callable[[Argument], None], argument: Argument, kill_at: int = 0) -> Ended:
    """Run ``work`` in a forked process that dies at its ``kill_at``-th crash point; 0 for none.

    Connections have to be closed beforehand. What SQLAlchemy has compiled in this process serves
    the children too, which makes them several times as fast as ones that begin with nothing.
    """
    assert threading.active_count() == 1, "a fork beside threads may inherit a held lock"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reader)
            os.environ[crashpoints.VARIABLE] = f"#{kill_at}"
            crashpoints.reached = _Told(writer)
            work(argument)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as told:
        points = tuple(told.read().split())
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return Ended(True, points)
    assert os.WEXITSTATUS(status) == 0, "the process failed, see its traceback"
    return Ended(False, points)


class _Told(list[str]):
    """Names that the parent hears at once: what a killed process keeps is gone with it."""

    def __init__(self, pipe: int) -> None:
        super().__init__()
        self._pipe = pipe

    def append(self, name: str) -> None:
        """Keep a name and tell it."""
        super().append(name)
        os.write(self._pipe, f"{name}\n".encode())
