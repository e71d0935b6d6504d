"""Kernels compiled for processors with other vector units give the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import hashlib
import numpy as np
from engine.kernels.black76 import scenario_option_values
from engine.kernels.exact_sums import weighted_sums
from engine.kernels.tail import LegRows, nested_expected_shortfall

rng = np.random.default_rng(11)
n, legs = 300, 90
values = scenario_option_values(
    forward=100.0 * rng.uniform(0.5, 2.0, n), strike=100.0 * rng.uniform(0.1, 5.0, n),
    is_call=rng.random(n) < 0.5, volatility=rng.uniform(0.0, 3.0, n),
    years=rng.uniform(0.0, 2.0, n),
    forward_factor=rng.uniform(0.5, 1.5, 333), volatility_factor=rng.uniform(0.5, 1.5, 333),
)
positions = rng.integers(1, 25, legs)
books = LegRows(
    np.arange(0, legs + 1, 3), np.cumsum([0, *positions]), rng.integers(0, 3, legs).astype(np.int8),
    rng.integers(0, n, positions.sum()).astype(np.int32), rng.normal(size=positions.sum()),
)
found = nested_expected_shortfall(values - 50.0, books, rng.uniform(1.0, 12.0, legs // 3), 12)
digest = hashlib.sha256(values.tobytes())
for name in type(found).__slots__:
    digest.update(getattr(found, name).tobytes())
held = positions.sum()
sums = weighted_sums(
    values, rng.integers(0, n, held), rng.normal(size=held), np.repeat(np.arange(legs), positions),
    legs,
)
digest.update(sums.tobytes())
print(digest.hexdigest())
"""


def digest_on(processor: str, folder: Path) -> str:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder / processor)}
    if processor != "this machine":
        environment |= {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("processor", ["haswell", "sandybridge"])
def test_bytes_do_not_depend_on_the_vector_units(processor: str, tmp_path: Path) -> None:
    """Haswell has half the vector width; Sandy Bridge has no fused multiply-add either."""
    assert digest_on(processor, tmp_path) == digest_on("this machine", tmp_path)
