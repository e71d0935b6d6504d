"""Keeps the collector of garbage, and the writer's thread, out of the way of who decides."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# New objects until the youngest are looked through; 22,558 calls in one instant are 700,000.
_THRESHOLDS: Final = (10_000, 10, 10)
SWITCH_SECONDS: Final = 0.0005
"""How long the writer's thread may keep the loop from the interpreter; the default is ten times."""


@contextmanager
def standing_memory() -> Iterator[None]:
    """Let the collector pass over everything that is there now, and threads change often.

    Until the block ends. Books and agreements of 50,000 netting sets are a million objects that
    live as long as the session. Looking through them again and again while calls are made took a
    third of the time.
    """
    thresholds, switch = gc.get_threshold(), sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        sys.setswitchinterval(switch)
