"""A desk beside a running town: it opens its day and tells of its fills as they happen, by file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from infra.simulator.oms.following import SimulatedOms
from infra.simulator.oms.senders import FileSender
from infra.simulator.venues.core.town import VenueTown

TELL_SECONDS = 1.0


@asynccontextmanager
async def desk_at(
    town: VenueTown,
    folder: Path,
    places: Sequence[str] = (),
    *,
    tell_seconds: float = TELL_SECONDS,
) -> AsyncIterator[dict[str, str]]:
    """Let a desk trade at some places of the town, all if none is named; yield its names of them.

    Raises what has ended the desk, if anything has.
    """
    accounts = {
        f"{name}/{account_id}": f"{name}-{account_id}"
        for name, venue in town.venues.items()
        for account_id in venue.book.accounts
        if venue.book.listings and (not places or f"{name}/{account_id}" in places)
    }
    desk, sender = SimulatedOms(town, accounts), FileSender(folder)
    sender.open_day(desk.open_day())
    telling = asyncio.create_task(_tell(desk, sender, tell_seconds))
    try:
        yield accounts
    finally:
        telling.cancel()
        (ended,) = await asyncio.gather(telling, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended


async def _tell(desk: SimulatedOms, sender: FileSender, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        sender.send(desk.hear())
