"""Looks of the conductor into the record while a soak runs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from tests.soak.checks_record import driver

if TYPE_CHECKING:
    from tests.soak.conductor import Conductor

PAUSE_SECONDS = 1.0


@contextmanager
def reading(address: str) -> Iterator[Callable[[], bool]]:
    """Yield what says whether the loop has taken every execution that is on record."""
    engine = create_engine(driver(address))
    counts = text(
        "SELECT (SELECT count(*) FROM oms_executions), "
        "(SELECT count(*) FROM intraday_inbox WHERE source = 'oms')"
    )

    def is_taken() -> bool:
        try:
            with engine.connect() as connection:
                on_record, taken = connection.execute(counts).one()
        except SQLAlchemyError:
            return False
        return bool(on_record == taken)

    try:
        yield is_taken
    finally:
        engine.dispose()


async def read_events(conductor: Conductor) -> None:
    """Tell the watcher of recorded states: a brief one comes and goes between two reads."""
    engine = create_engine(driver(conductor.place.server.address), pool_pre_ping=True)
    query = text(
        "SELECT position, name, payload FROM intraday_events WHERE position > :after "
        "ORDER BY position"
    )
    last = 0

    def new() -> list[tuple[int, str, Mapping[str, object]]]:
        try:
            with engine.connect() as connection:
                rows = connection.execute(query, {"after": last}).all()
        except SQLAlchemyError:
            return []
        return [
            (one.position, one.name,
             json.loads(one.payload) if isinstance(one.payload, str) else one.payload)
            for one in rows
        ]  # fmt: skip

    try:
        while True:
            for position, name, payload in await asyncio.to_thread(new):
                last = position
                if name == "plimsoll.degraded":
                    scope, what = str(payload.get("scope")), str(payload.get("name"))
                    conductor.watcher.noted(scope, what, time.time())
            conductor.notes["events"] = last
            await asyncio.sleep(PAUSE_SECONDS)
    finally:
        engine.dispose()
