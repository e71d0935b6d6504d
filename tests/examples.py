"""How many examples a property is tried on: some in a default run, all with `make test-all`."""

from __future__ import annotations

import os

VARIABLE = "PLIMSOLL_EXAMPLES"


def examples(by_default: int, *, of: int) -> int:
    """Return ``of`` where all are wanted, else ``by_default``; each run draws other ones."""
    return of if os.environ.get(VARIABLE) == "all" else by_default
