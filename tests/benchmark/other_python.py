"""Peers of an older Python environment, in a process that stays and runs one route when asked."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmark.measure import Absent, Taken
from tests.benchmark.workload import Options, Scenarios

ENVIRONMENT = Path(".venv-peers")
_SCRIPT = Path(__file__).with_name("peer_process.py")


class OtherPython:
    """A running process of ``.venv-peers`` with options and scenarios loaded."""

    def __init__(self, options: Options, scenarios: Scenarios, n_vollib: int) -> None:
        self.folder = tempfile.TemporaryDirectory()
        np.savez(
            Path(self.folder.name) / "work.npz", forward=options.forward, strike=options.strike,
            is_call=options.is_call, volatility=options.volatility, years=options.years,
            forward_factor=scenarios.forward_factor,
            volatility_factor=scenarios.volatility_factor, n_vollib=n_vollib,
        )  # fmt: skip
        python = ENVIRONMENT / "bin" / "python"
        # Where the vector library of Intel is.
        folders = [str((ENVIRONMENT / "lib").resolve()), os.environ.get("LD_LIBRARY_PATH", "")]
        libraries = os.pathsep.join(folder for folder in folders if folder)
        self.process = subprocess.Popen(
            [str(python), str(_SCRIPT), self.folder.name],
            env=os.environ | {"LD_LIBRARY_PATH": libraries, "NUMBA_NUM_THREADS": "1"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.state = self._answer()

    def ask(self, verb: str, route: str) -> dict[str, Any]:
        """Return the answer to one request."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({verb: route}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def values(self, route: str) -> np.ndarray:
        """Return what ``route`` computes."""
        self.ask("keep", route)
        values: np.ndarray = np.load(Path(self.folder.name) / f"{route}.npy")
        return values

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.folder.cleanup()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise OSError(f"{ENVIRONMENT} ended with status {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Remote:
    """One route of the other process."""

    def __init__(self, process: OtherPython, name: str) -> None:
        self.process, self.name = process, name

    def __call__(self) -> np.ndarray:
        """Return the result."""
        return self.process.values(self.name)

    def timed(self) -> Taken:
        """Run once and return the seconds that the other process took."""
        answer = self.process.ask("run", self.name)
        return Taken(answer["wall"], answer["processor"])


def started(options: Options, scenarios: Scenarios, n_vollib: int) -> OtherPython | Absent:
    """Return the running process, or why there is none."""
    if not (ENVIRONMENT / "bin" / "python").exists():
        return Absent(f"no {ENVIRONMENT}: make bench makes it where there is Python 3.11")
    try:
        return OtherPython(options, scenarios, n_vollib)
    except OSError as error:
        return Absent(str(error))


def route(process: OtherPython | Absent, name: str, needs_svml: bool = False) -> Remote | Absent:
    """Return a route that runs, or why it does not."""
    if isinstance(process, Absent):
        return process
    if needs_svml and not process.state["svml"]:
        return Absent(f"numba {process.state['numba']} finds no SVML")
    answer = process.ask("run", name)
    return Absent(answer["failed"]) if "failed" in answer else Remote(process, name)
