"""The same work in C, built when it is first measured; a machine without a compiler says so."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from engine.kernels.tail import LegRows
from engine.kernels.tiles import empty_tiles
from tests.benchmark.measure import FOLDER, Absent
from tests.benchmark.workload import Options, Scenarios

SOURCE = Path(__file__).with_suffix(".c")
_WANTED = ("-O3", "-march=native", "-ffast-math", "-shared", "-fPIC")
# Without it gcc keeps to half of the widest vectors; other processors do not know the flag.
_WIDE = ("-mprefer-vector-width=512",) if platform.machine() == "x86_64" else ()
# Values of a block stay in the second-level cache until they are tiled.
BLOCK_OPTIONS = 64
_POINTERS = {"float64": ctypes.c_double, "int64": ctypes.c_int64, "int32": ctypes.c_int32}


@cache
def library() -> ctypes.CDLL | Absent:
    """Return the compiled peers, or why there are none."""
    compiler = next((c for c in (os.environ.get("CC"), "gcc", "cc") if c and shutil.which(c)), None)
    if compiler is None:
        return Absent("no C compiler: neither $CC, gcc nor cc")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    processor = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    flags = next((line for line in processor.splitlines() if line.startswith("flags")), "")
    key = "\0".join((SOURCE.read_text(encoding="utf-8"), version, flags, *_WANTED, *_WIDE))
    path = FOLDER / f"peers-{hashlib.sha256(key.encode()).hexdigest()[:16]}.so"
    if not path.exists():
        refusal = _build(compiler, path)
        if refusal:
            return Absent(refusal)
    return ctypes.CDLL(str(path.resolve()))


def compiler_version() -> str:
    """Return the first line that the compiler says of itself, or empty text."""
    compiler = shutil.which(os.environ.get("CC", "gcc")) or shutil.which("cc")
    if compiler is None:
        return ""
    said = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    return (said.splitlines() or [""])[0]


def _build(compiler: str, path: Path) -> str:
    """Compile into ``path`` and return the compiler's refusal, empty if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done = None
    for flags in ((*_WANTED, *_WIDE), _WANTED):
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            built = Path(folder) / path.name
            command = [compiler, *flags, "-o", str(built), str(SOURCE), "-lm"]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode == 0:
                built.replace(path)
                return ""
    return f"{compiler} failed: {done.stderr.strip().splitlines()[-1] if done else ''}"


def call(name: str, *arguments: int | float | np.ndarray) -> float:
    """Call a function of the library; it has to be there."""
    found = library()
    assert isinstance(found, ctypes.CDLL)
    function = getattr(found, name)
    function.restype = {"multiply_adds": ctypes.c_double, "read_values": ctypes.c_double,
                        "lanes": ctypes.c_int64}.get(name)  # fmt: skip
    passed = [_as_c(argument) for argument in arguments]
    result: float = function(*passed)
    return result


def _as_c(argument: int | float | np.ndarray) -> object:
    if isinstance(argument, np.ndarray):
        assert argument.flags.c_contiguous
        return argument.ctypes.data_as(ctypes.POINTER(_POINTERS[argument.dtype.name]))
    if isinstance(argument, float):
        return ctypes.c_double(argument)
    return ctypes.c_int64(argument)


def general(options: Options, scenarios: Scenarios, out: np.ndarray) -> np.ndarray:
    """Fill ``out`` with option values: logarithm, division and two erfc in every cell."""
    sign = np.where(options.is_call, 1.0, -1.0)
    deviation = options.volatility * np.sqrt(options.years)
    call("black76_general", *out.shape, options.forward, options.strike, sign, deviation,
         scenarios.forward_factor, scenarios.volatility_factor, out)  # fmt: skip
    return out


def factorised(options: Options, scenarios: Scenarios, out: np.ndarray) -> np.ndarray:
    """Fill ``out`` with option values: two erfc in every cell, the rest by row or column."""
    sign = np.where(options.is_call, 1.0, -1.0)
    deviation = options.volatility * np.sqrt(options.years)
    call("black76_factorised", *out.shape, options.forward, options.strike, sign,
         np.log(options.forward / options.strike), deviation, scenarios.forward_factor,
         np.log(scenarios.forward_factor), scenarios.volatility_factor,
         1.0 / scenarios.volatility_factor, out)  # fmt: skip
    return out


def books(tiles: np.ndarray, n_scenarios: int, rows: LegRows, n_tail: int) -> np.ndarray:
    """Return the shortfall of each book, one leg each, from tiles as the engine lays them out."""
    shortfall = np.empty(rows.n_groups)
    room = np.empty((rows.n_groups, n_tail))
    ptr = np.ascontiguousarray(rows.leg_ptr[rows.group_ptr])
    n_tiles, n_instruments, _ = tiles.shape
    call("books", rows.n_groups, n_tiles, n_instruments, n_scenarios, n_tail, tiles, ptr,
         rows.index, rows.weight, room, shortfall)  # fmt: skip
    return shortfall


def close(
    options: Options, scenarios: Scenarios, mark: np.ndarray, rows: LegRows, n_tail: int
) -> np.ndarray:
    """Return the shortfalls of a whole core: options in blocks, profits tiled, books totalled."""
    moves = scenarios.largest_first()
    n_scenarios = len(moves.forward_factor)
    tiles = empty_tiles(len(options), np.arange(n_scenarios, dtype=np.int32)).tiles
    room = np.empty((BLOCK_OPTIONS, n_scenarios))
    for start in range(0, len(options), BLOCK_OPTIONS):
        block = slice(start, min(start + BLOCK_OPTIONS, len(options)))
        values = factorised(options.rows(block), moves, room[: block.stop - start])
        call("tile_rows", *values.shape, len(options), start, values, mark[block], tiles)
    return books(tiles, n_scenarios, rows, n_tail)
