"""How figures are taken: repeats in turn, medians, processor time, memory of a fresh process."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Protocol, runtime_checkable

FOLDER = Path(".plimsoll") / "bench"
# What others do before this process adds its own: in a minute the average counts both.
LOAD_BEFORE = os.getloadavg()[0]


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of one route: by the wall, and of the processor in all threads of this process.

    Processor seconds leave out what other people's work takes; ratios are formed from them.
    """

    wall: float
    processor: float


@dataclass(frozen=True, slots=True)
class Absent:
    """A peer that cannot run here, and why."""

    reason: str


@runtime_checkable
class TimedElsewhere(Protocol):
    """A route that another process runs when asked, and times itself."""

    def __call__(self) -> object: ...

    def timed(self) -> Taken:
        """Run once and return the seconds."""
        ...


Route = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Routes:
    """The routes of a benchmark, and the ones that are missing here."""

    present: dict[str, Route] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, route: Route | Absent) -> None:
        """Take ``route``, or the reason why there is none."""
        if isinstance(route, Absent):
            self.missing[name] = route.reason
        else:
            self.present[name] = route


def interleaved(
    routes: Mapping[str, Route], repeats: int, *, warm_up: bool = True
) -> dict[str, Taken]:
    """Return the medians of each route, run in turn A B C A B C so that noise is shared."""
    found: dict[str, list[Taken]] = {name: [] for name in routes}
    for route in routes.values() if warm_up else ():
        route()
    for _ in range(repeats):
        for name, route in routes.items():
            found[name].append(_taken(route))
    return {
        name: Taken(median(t.wall for t in taken), median(t.processor for t in taken))
        for name, taken in found.items()
    }


def _taken(route: Route) -> Taken:
    if isinstance(route, TimedElsewhere):
        return route.timed()
    starts = time.perf_counter(), time.process_time()
    route()
    return Taken(time.perf_counter() - starts[0], time.process_time() - starts[1])


def ratios(seconds: Mapping[str, Taken], base: str) -> dict[str, float]:
    """Return processor seconds of each route over those of ``base``."""
    return {name: taken.processor / seconds[base].processor for name, taken in seconds.items()}


def reset_peak_memory() -> None:
    """Forget the largest resident size so far."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_mib() -> float:
    """Return the largest resident size since the last reset. [MiB]"""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024.0
    raise OSError("/proc/self/status has no VmHWM")


def in_fresh_process(module: str, *arguments: str) -> dict[str, Any]:
    """Return the JSON that ``python -m module arguments`` prints last."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{module} {arguments} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def machine() -> dict[str, Any]:
    """Return what the figures were taken on, and how busy it was."""
    # These two import this module.
    from tests.benchmark import compiled_peers, mkl_peer

    about = dict(
        (part.strip() for part in line.split(":", 1))
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if ":" in line
    )
    packages = ("numpy", "scipy", "numba", "llvmlite", "QuantLib")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": f"{about.get('model name', '')} (family {about.get('cpu family', '')})",
        "cores": os.cpu_count(),
        "load": LOAD_BEFORE,
        "python": platform.python_version(),
        "compiler": compiled_peers.compiler_version(),
        "mkl": mkl_peer.version(),
        **{name: version(name) for name in packages},
    }


def write_result(name: str, figures: Mapping[str, Any]) -> Path:
    """Write figures with machine and command to ``.plimsoll/bench/<name>.json``."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    whole = {"command": f"python -m tests.benchmark {name}", "machine": machine(), **figures}
    path.write_text(json.dumps(whole, indent=1, default=_as_json) + "\n", encoding="utf-8")
    return path


def _as_json(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value)} has no JSON")
