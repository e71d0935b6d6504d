"""Compile kernels and tests into their caches: ``make test`` does so while types are checked.

Otherwise each process of the tests compiles what it comes to first, and often several the same.
"""

from __future__ import annotations

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
    """Run the tests that compile, and read all others; what fails here fails again with them."""
    for chosen in (COMPILING, ("--collect-only", "tests")):
        words = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:randomly", *chosen]
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    compile_all()
