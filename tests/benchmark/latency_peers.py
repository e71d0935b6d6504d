"""One price and what follows from it: the loop, NumPy and SciPy, and NautilusTrader's hop.

Microseconds of the processor for a price that brings nobody near a level. The loop decodes the
frame, judges the price, revalues what moved and screens everybody; NumPy and SciPy compute the
shortfalls of all books anew, and nothing else; NautilusTrader takes a quote and says what one
account is worth, without scenarios, once for each account.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from scipy import sparse

from infra.intraday.base import Base
from infra.intraday.relay import RelayFrame
from tests.benchmark.measure import Routes, interleaved
from tests.worlds import loop as world

LOOP: Final = "the loop: decode, judge, revalue, screen"
NUMPY: Final = "NumPy + SciPy: shortfalls of all books anew"
NAUTILUS: Final = "NautilusTrader: quote, then worth of every account"
ENVIRONMENT: Final = Path(".venv-nautilus")
_ETH: Final = "binance:ETHUSDT"
_FRAME: Final = '{"s": "binance", "t": %d, "n": %d, "p": [["%s", %r, null, null]]}'
_N_PRICES: Final = 50
_REPEATS: Final = 7
_BLOCK: Final = 2_048
_DECODER: Final = msgspec.json.Decoder(RelayFrame)


def peers(close: Base, n_positions: int) -> dict[str, Any]:
    """Return microseconds of one price by route, over all netting sets of a close.

    Parameters
    ----------
    n_positions : int
        Of each netting set: the accounts that the quote of NautilusTrader is asked of have as many.
    """
    core = world.core(close)
    n_sets = len(core.names)
    core.take_ticks(world.ticks(core, world.bitcoin(60_000.0)))
    core.decide(world.instant())
    core.book.rebuild()
    row = core.market.row_of[_ETH]
    passed = {"prices": 0}
    none, ahead = np.full(1, np.nan), np.zeros(1, dtype=np.int64)

    def ours() -> None:
        for _ in range(_N_PRICES):
            passed["prices"] += 1
            k = passed["prices"]
            instant = world.instant(k / 1_000)
            price = 3_000.0 * (1.0 + 1e-6 * (k % 17))
            frame = _DECODER.decode(_FRAME % (k, k, _ETH, price))
            stamp = np.full(1, instant.monotonic_ns)
            ticks = world.Ticks(
                np.full(1, row), np.array([frame.p[0][1]]), none, none, stamp, ahead,
                instant.monotonic_ns,
            )  # fmt: skip
            core.take_ticks(ticks)
            core.decide(instant)

    market = core.book._market.prepared
    rows, _, _, _ = core.book._book.layout.all_rows()
    starts = rows.leg_ptr[rows.group_ptr]
    shape = (rows.n_groups, len(market.historical))
    matrix = sparse.csr_matrix((rows.weight, rows.index, starts), shape=shape)
    n_tail = max(market.scenarios.n_historical // 100, 1)

    def theirs() -> None:
        for first in range(0, rows.n_groups, _BLOCK):
            total = matrix[first : first + _BLOCK] @ market.historical
            np.partition(total, n_tail - 1, axis=1)[:, :n_tail].mean(axis=1)

    routes = Routes()
    routes.add(LOOP, ours)
    routes.add(NUMPY, theirs)
    taken = interleaved(routes.present, _REPEATS)
    each = {LOOP: taken[LOOP].processor / _N_PRICES * 1e6, NUMPY: taken[NUMPY].processor * 1e6}
    found = _nautilus()
    if "us_each" in found:
        by_positions = {int(n): us for n, us in found["us_each"].items()}
        nearest = min(by_positions, key=lambda n: abs(n - n_positions))
        each[NAUTILUS] = by_positions[nearest] * n_sets
    missing = {} if NAUTILUS in each else {NAUTILUS: found["missing"]}
    return {"us": each, "n_sets": n_sets, "missing": missing, "nautilus": found}


def _nautilus() -> dict[str, Any]:
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists():
        return {"missing": f"needs NautilusTrader in {ENVIRONMENT} (make bench)"}
    script = Path(__file__).with_name("nautilus_peer.py")
    done = subprocess.run([str(python), str(script)], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"missing": f"fails: {done.stderr.strip().splitlines()[-1][:100]}"}
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer
