"""Runs peers under an older Python environment and times them when asked, one request a line.

``python peer_process.py FOLDER`` imports nothing of the engine. ``FOLDER/work.npz`` holds options
and scenarios, results go to ``FOLDER/<route>.npy``. Requests and answers are lines of JSON:
``{"run": route}`` answers wall and processor seconds, ``{"keep": route}`` writes the result.
"""

from __future__ import annotations

import json
import math
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from numba import njit

ROOT = math.sqrt(0.5)


@njit(fastmath=True, error_model="numpy")
def _general(forward, strike, sign, deviation, moves, out):  # type: ignore[no-untyped-def]
    factor, scale = moves[0], moves[2]
    for i in range(forward.size):
        f, k, w, s = forward[i], strike[i], sign[i], deviation[i]
        for j in range(factor.size):
            moved = f * factor[j]
            spread = s * scale[j]
            d1 = math.log(moved / k) / spread + 0.5 * spread
            asset = moved * 0.5 * math.erfc(-w * d1 * ROOT)
            cash = k * 0.5 * math.erfc(-w * (d1 - spread) * ROOT)
            out[i, j] = w * (asset - cash)


@njit(fastmath=True, error_model="numpy")
def _factorised(forward, strike, sign, deviation, moves, out):  # type: ignore[no-untyped-def]
    factor, log_factor, scale, inverse = moves
    for i in range(forward.size):
        f, k, w, s = forward[i], strike[i], sign[i], deviation[i]
        x = math.log(f / k)
        per_s = 1.0 / s
        for j in range(factor.size):
            middle = (x + log_factor[j]) * (inverse[j] * per_s)
            half = 0.5 * s * scale[j]
            asset = f * factor[j] * 0.5 * math.erfc(-w * (middle + half) * ROOT)
            cash = k * 0.5 * math.erfc(-w * (middle - half) * ROOT)
            out[i, j] = w * (asset - cash)


class Work:
    """Options, scenarios and room for the values."""

    def __init__(self, folder):  # type: ignore[no-untyped-def]
        with np.load(folder / "work.npz") as held:
            work = {name: held[name].copy() for name in held.files}
        self.forward, self.strike = work["forward"], work["strike"]
        self.is_call = work["is_call"]
        self.sign = np.where(self.is_call, 1.0, -1.0)
        self.volatility, self.years = work["volatility"], work["years"]
        self.deviation = self.volatility * np.sqrt(self.years)
        factor, scale = work["forward_factor"], work["volatility_factor"]
        self.moves = (factor, np.log(factor), scale, 1.0 / scale)
        self.out = np.empty((self.forward.size, factor.size))
        self.n_vollib = int(work["n_vollib"])

    def svml_general(self):  # type: ignore[no-untyped-def]
        _general(self.forward, self.strike, self.sign, self.deviation, self.moves, self.out)
        return self.out

    def svml_factorised(self):  # type: ignore[no-untyped-def]
        _factorised(self.forward, self.strike, self.sign, self.deviation, self.moves, self.out)
        return self.out

    def vollib(self):  # type: ignore[no-untyped-def]
        """Value the first options alone, by py_vollib_vectorized, all scenarios in one call."""
        from py_vollib_vectorized import vectorized_black

        some = slice(0, self.n_vollib)
        shape = (self.n_vollib, self.moves[0].size)
        spread = [np.broadcast_to(a[some, None], shape).ravel() for a in (self.strike, self.years)]
        return vectorized_black(
            np.broadcast_to(np.where(self.is_call[some], "c", "p")[:, None], shape).ravel(),
            (self.forward[some, None] * self.moves[0]).ravel(),
            spread[0],
            spread[1],
            0.0,
            (self.volatility[some, None] * self.moves[2]).ravel(),
            return_as="numpy",
        ).reshape(shape)


def _state():  # type: ignore[no-untyped-def]
    import numba
    from numba.core import config

    return {
        "numba": numba.__version__,
        "numpy": np.__version__,
        "svml": bool(config.USING_SVML),
    }


def main() -> None:
    """Answer requests until the input ends."""
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    work = Work(folder)
    print(json.dumps(_state()), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        name = request.get("run") or request["keep"]
        try:
            starts = time.perf_counter(), time.process_time()
            result = getattr(work, name)()
            seconds = time.perf_counter() - starts[0], time.process_time() - starts[1]
        except Exception as error:
            said = " ".join(str(error).split())[:120]
            print(json.dumps({"failed": f"{type(error).__name__}: {said}"}), flush=True)
            continue
        if "keep" in request:
            np.save(folder / f"{name}.npy", result)
        print(json.dumps({"wall": seconds[0], "processor": seconds[1]}), flush=True)


if __name__ == "__main__":
    main()
