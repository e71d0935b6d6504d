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
_KEEPER: Final = f"{ENVIRONMENT_PREFIX}KEEPER_PID"
_WATCH_SECONDS: Final = 0.2


def announce_service() -> None:
    """Tell the runs that this process starts whose they are."""
    os.environ[_SERVICE] = str(os.getpid())


def end_with_service() -> None:
    """End this process as soon as the service that started it is gone; others go on."""
    parent = os.getppid()
    if os.environ.get(_SERVICE) == str(parent):
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def kept_by_this_process() -> dict[str, str]:
    """Return the environment of a child that may not outlive this process."""
    return {**os.environ, _KEEPER: str(os.getpid())}


def end_with_keeper() -> None:
    """End this process as soon as the one that keeps it running is gone; others go on.

    Whoever was started by a keeper that has died since ends at once: nobody would stop it.
    """
    keeper = os.environ.get(_KEEPER, "")
    if not keeper:
        return
    # What this process starts in its turn has another parent.
    del os.environ[_KEEPER]
    if os.getppid() != int(keeper):
        os._exit(1)
    threading.Thread(target=_watch, args=(int(keeper),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    # At once, as a kill would: each step is in our database or is done again.
    os._exit(1)
