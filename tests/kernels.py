"""Compile every kernel into its cache: ``make test`` does so while types are checked.

Otherwise each process of the tests compiles what it comes to first, and often both the same.
"""

from __future__ import annotations

import os
import subprocess
import sys

# Between them they call every compiled function with the types that all others use.
COMPILING = (
    "tests/property/test_exact_sums.py",
    "tests/unit/engine/acceptance/test_prices.py",
    "tests/unit/engine/test_live_expiry.py",
    "tests/unit/engine/test_live_running.py",
    "tests/unit/engine/test_patched_books.py",
    "tests/unit/engine/test_venue_accounts.py",
)


def compile_all() -> None:
    """Run the tests that compile; whether they pass is seen when all are run."""
    words = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:randomly", *COMPILING]
    subprocess.run(words, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONHASHSEED": "0"})


if __name__ == "__main__":
    compile_all()
