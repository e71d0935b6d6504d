"""Places where a test may kill the process, to prove that the next start loses and doubles nothing.

``PLIMSOLL_CRASHPOINT`` names a point, or ``#k`` for the k-th point that the process reaches.
"""

from __future__ import annotations

import os
import signal
from typing import Final

VARIABLE: Final = "PLIMSOLL_CRASHPOINT"

reached: list[str] = []
"""Names of the points that this process came to while the variable was set, for fault tests."""


def crashpoint(name: str) -> None:
    """Kill this process without warning if ``PLIMSOLL_CRASHPOINT`` names this point or its number.

    Unset, as it always is outside fault tests, nothing happens.
    """
    wanted = os.environ.get(VARIABLE)
    if wanted is None:
        return
    # Every point counts, whether it is the wanted one or not.
    reached.append(name)
    if wanted in (name, f"#{len(reached)}"):
        os.kill(os.getpid(), signal.SIGKILL)
