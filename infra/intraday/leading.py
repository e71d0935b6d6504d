"""Taking the lead: at once where nobody has it, else when the one who has shows no life."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from infra.db.loop_lease import Fenced, Lead, LeadSeen

if TYPE_CHECKING:
    from infra.db import Database

LOOP: Final = "intraday"
LEASE_SECONDS: Final = 4.0
"""Without a sign of life for this long, by our own clock, a lead is taken over."""
_LOOK_SECONDS: Final = 0.25


def this_process() -> str:
    """Return a name of this process's life that no other has."""
    return f"{socket.gethostname()}:{os.getpid()}:{time.time_ns():x}"


async def take_lead(
    database: Database,
    holder: str,
    *,
    lease_seconds: float = LEASE_SECONDS,
    on_waiting: Callable[[LeadSeen], None] | None = None,
) -> Lead:
    """Return the lead once it is ours; waits while another process leads.

    Signs of life are counted by the holder and timed by us, so that clocks that differ do not let
    two processes lead.
    """
    seen: LeadSeen | None = None
    since = time.monotonic()
    is_first = True
    while True:
        found = await asyncio.to_thread(database.loop_leases.look, LOOP)
        is_free = found is None or found.holder == ""
        if not is_first and _key(found) == _key(seen):
            is_free = is_free or time.monotonic() - since >= lease_seconds
        else:
            seen, since = found, time.monotonic()
        is_first = False
        if is_free:
            try:
                return await asyncio.to_thread(database.loop_leases.take, LOOP, holder, found)
            except Fenced:
                continue
        if on_waiting is not None and found is not None:
            on_waiting(found)
        await asyncio.sleep(_LOOK_SECONDS)


def _key(seen: LeadSeen | None) -> tuple[int, int] | None:
    return None if seen is None else (seen.epoch, seen.beats)
