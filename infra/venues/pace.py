"""How a replay lets adapters run: time there goes on by leaps, and may stand still meanwhile.

Limiters and streams time themselves by the machine's own clock. In a replay the venues' clock is
another one: it runs so much faster, and whoever is busy must not pass for dead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How adapters that are opened in a replay time themselves.

    Attributes
    ----------
    times : float
        How much faster than real time limiters give room.
    slack : float
        What streams wait longer before silence counts. [s]
    """

    times: float = 1.0
    slack: float = 0.0


_REAL_TIME: Final = Pace()
_PACE: ContextVar[Pace] = ContextVar("pace", default=_REAL_TIME)


def pace() -> Pace:
    """Return the pace of what is opened here; real time where nobody has said otherwise."""
    return _PACE.get()


@contextmanager
def paced(wanted: Pace) -> Iterator[None]:
    """Let adapters that are opened in the block, and streams that begin in it, run at a pace."""
    token = _PACE.set(wanted)
    try:
        yield
    finally:
        _PACE.reset(token)
