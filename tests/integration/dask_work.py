"""Work that Dask workers import: honest, slow, murderous and broken blocks."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from engine.arrays import Float64Array1D
from engine.errors import ModelInputError


def weighted_sums(shared: Float64Array1D, block: tuple[int, ...]) -> tuple[float, ...]:
    """Return one fixed-order sum per number of the block."""
    return tuple(float(np.sum(shared * number)) for number in block)


def kill_own_worker_once(shared: str, block: int) -> int:
    """Kill the worker at block 3 the first time it comes by; the marker file remembers."""
    marker = Path(shared)
    time.sleep(0.05)
    if block == 3 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return block * block


def kill_every_worker(shared: int, block: int) -> int:
    """Kill whoever computes the block ``shared``; answer the others."""
    time.sleep(0.05)
    if block == shared:
        os.kill(os.getpid(), signal.SIGKILL)
    return block


def refuse(shared: None, block: int) -> int:
    """Fail as the engine does when an input is wrong."""
    raise ModelInputError(f"block {block} has a bad input", identifier=str(block))


def process_of(shared: None, block: int) -> int:
    """Return the process that computed the block."""
    time.sleep(0.1)
    return os.getpid()


def slow(shared: float, block: int) -> int:
    """Answer after ``shared`` seconds, in workers only."""
    if "PLIMSOLL_TEST_MAIN" not in os.environ:
        time.sleep(shared)
    return block
