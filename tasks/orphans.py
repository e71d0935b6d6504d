"""A run that a service has started ends with the service, however that ends.

Whoever resumes the run then never meets a process that still works on it.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Final

from infra.settings import ENVIRONMENT_PREFIX

_SERVICE: Final = f"{ENVIRONMENT_PREFIX}SERVICE_PID"
_WATCH_SECONDS: Final = 0.2


def announce_service() -> None:
    """Tell the runs that this process starts whose they are."""
    os.environ[_SERVICE] = str(os.getpid())


def end_with_service() -> None:
    """End this process as soon as the service that started it is gone; others go on."""
    parent = os.getppid()
    if os.environ.get(_SERVICE) == str(parent):
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    # At once, as a kill would: each step is in our database or is done again.
    os._exit(1)
