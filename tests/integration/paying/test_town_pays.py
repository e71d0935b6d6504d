"""A tick on the wire becomes a call, a transfer and an arrival, though the desk is killed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from infra.db import Database
from tests.integration.paying.scene import paying


@pytest.mark.slow
def test_a_tick_is_called_paid_and_counted_though_the_desk_is_killed(
    sqlite_database: Database, tmp_path: Path
) -> None:
    async def play() -> None:
        async with paying(sqlite_database, tmp_path, 1) as (stage, feed):
            desk = _children("tests.integration.paying.child")
            assert len(desk) == 1
            os.kill(desk[0], signal.SIGKILL)
            await feed.fall_to(59_000.0)
            await stage.until(stage.called, "the call")
            moved = await stage.until(
                lambda: sqlite_database.transfers.list(["credited", "reconciled"]), "arrival", 120.0
            )
            assert [one.intent.source for one in moved] == ["fireblocks/1"]
            await stage.until(lambda: not stage.called(), "the call to be settled", 60.0)
            await stage.until(
                lambda: stage.status()["payments"].get("transfers", {}).get("arrived") == 1, "words"
            )
            # What has arrived counts in the book: the same deficit is not called again.
            await asyncio.sleep(2.0)
            assert len(sqlite_database.transfers.list()) == 1

    asyncio.run(play())


def _children(module: str) -> list[int]:
    """Return the processes that this one has started with a module."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().decode()
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if parent == os.getpid() and module in words:
                found.append(int(folder.name))
    return found
