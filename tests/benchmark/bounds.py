"""What this machine does at best: multiply-adds, exponentials and bytes read, in the same run.

Each bound rests on one simple loop in C that is timed in turn with the routes it bounds. It is a
limit of the processor for the way in which the work is done, not of the problem.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tests.benchmark import compiled_peers
from tests.benchmark.measure import Absent, Taken

# Multiplications, additions and permutations of the leanest form of Black-76 that is known here,
# by lane: 46 vector instructions for a vector of prices.
OPERATIONS_PER_PRICE = 46.0
_ROUNDS = 3_000_000
_N_EXPONENTIALS, _EXPONENTIAL_ROUNDS = 2_048, 10_000
_BYTES_READ = 3_000_000_000
_VALUES_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Bound:
    """A loop, how many operations one run of it is, and how many of them the work needs."""

    name: str
    run: Callable[[], object]
    n_operations: float
    n_needed: float

    def rate(self, seconds: Mapping[str, Taken]) -> float:
        """Return operations a second, given seconds that include this loop's."""
        return self.n_operations / seconds[self.name].processor

    def seconds_at_best(self, seconds: Mapping[str, Taken]) -> float:
        """Return the seconds in which the machine could do the work."""
        return self.n_needed / self.rate(seconds)


def multiply_adds(n_needed: float) -> Bound | Absent:
    """Return the bound of fused multiply-adds, counted by lane, in twelve chains of vectors."""
    absent = compiled_peers.library()
    if isinstance(absent, Absent):
        return absent
    n_operations = 12.0 * compiled_peers.call("lanes") * _ROUNDS
    return Bound(
        "bound: multiply-adds",
        lambda: compiled_peers.call("multiply_adds", _ROUNDS, 0.999, 0.001),
        n_operations,
        n_needed,
    )


def exponentials(n_needed: float) -> Bound | Absent:
    """Return the bound of exponentials by the C library's vectors, numbers in the first cache."""
    absent = compiled_peers.library()
    if isinstance(absent, Absent):
        return absent
    values = np.linspace(-20.0, 0.0, _N_EXPONENTIALS)
    out = np.empty_like(values)
    return Bound(
        "bound: exponentials",
        lambda: compiled_peers.call(
            "exponentials", len(values), _EXPONENTIAL_ROUNDS, values, out
        ),
        float(len(values) * _EXPONENTIAL_ROUNDS),
        n_needed,
    )  # fmt: skip


def bytes_read(n_needed: float, working_set_bytes: int) -> Bound | Absent:
    """Return the bound of reading over and over from a working set of the stated size."""
    absent = compiled_peers.library()
    if isinstance(absent, Absent):
        return absent
    n_values = max(working_set_bytes // 8 // _VALUES_AT_ONCE, 1) * _VALUES_AT_ONCE
    values = np.ones(n_values)
    n_rounds = max(_BYTES_READ // values.nbytes, 1)
    return Bound(
        f"bound: reads, {working_set_bytes / 2**20:.1f} MiB",
        lambda: compiled_peers.call("read_values", n_values, n_rounds, values),
        float(values.nbytes * n_rounds),
        n_needed,
    )
