"""Who was logged in a moment ago: enough to go on reading while the record cannot be asked.

Kept in memory, by the hash of the secret, for minutes. What the record says always counts more: a
session that it does not have is forgotten at once.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from infra.db.users import secret_hash

if TYPE_CHECKING:
    from infra.db.web_sessions import WebSession

KEPT_SECONDS: Final = 600.0
_SESSIONS_MAX: Final = 1_000


class RememberedSessions:
    """Sessions that the record has confirmed lately."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic, self._lock = monotonic, threading.Lock()
        self._found: OrderedDict[str, tuple[float, WebSession]] = OrderedDict()

    def note(self, secret: str, session: WebSession | None) -> None:
        """Remember what the record has just said of a secret; None forgets it."""
        key = secret_hash(secret)
        with self._lock:
            self._found.pop(key, None)
            if session is not None:
                self._found[key] = self._monotonic(), session
                if len(self._found) > _SESSIONS_MAX:
                    self._found.popitem(last=False)

    def find(self, secret: str, now: datetime) -> WebSession | None:
        """Return the session of a secret as it was confirmed last, None if that is too long ago."""
        with self._lock:
            at, session = self._found.get(secret_hash(secret), (float("-inf"), None))
        if session is None or self._monotonic() - at > KEPT_SECONDS or session.expires_at <= now:
            return None
        # A notice is shown once, which only the record can note.
        return replace(session, notice="")
