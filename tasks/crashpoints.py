"""Places where a test may kill the process, to prove that the next start gives the same bytes."""

from __future__ import annotations

import os
import signal
from typing import Final

VARIABLE: Final = "PLIMSOLL_CRASHPOINT"


def crashpoint(name: str) -> None:
    """Kill this process without warning if ``PLIMSOLL_CRASHPOINT`` names this point.

    Unset, as it always is outside fault tests, nothing happens.
    """
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
