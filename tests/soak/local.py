"""Sender and checker inside the conductor's own process, for a soak of seconds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any
from unittest import mock

from aiohttp import web

from tests.soak.checker import Checker, Findings
from tests.soak.market import Crash
from tests.soak.sender import Sender, application_of, counts_of, pace


class LocalSender:
    """The sender as tasks of the conductor's loop; speaks as ``talking.Talker`` does."""

    pid = 0

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._sender = Sender(dict(plan))
        self._runner = web.AppRunner(application_of(self._sender), shutdown_timeout=0.1)
        self._pacing: asyncio.Task[None] | None = None

    def tell(self, content: Mapping[str, Any]) -> None:
        """Take a line."""
        if "crash" in content:
            self._sender.paths.add_crash(Crash(**content["crash"]))
        else:
            self._sender.begin(content["number"], dict(content))

    async def heard(self) -> dict[str, Any] | None:
        """Return the port, then counts each second."""
        if self._pacing is None:
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", 0).start()
            self._pacing = asyncio.create_task(pace(self._sender, lambda _: None))
            return {"port": self._runner.addresses[0][1]}
        await asyncio.sleep(1.0)
        return counts_of(self._sender)

    async def end(self) -> None:
        """Serve no more."""
        if self._pacing is not None:
            self._pacing.cancel()
        await self._runner.cleanup()


def checked_at_the_end(plan: Mapping[str, Any], environment: Mapping[str, str]) -> Findings:
    """Return what the last round of all checks finds, in the environment of a place."""
    ours = {name: value for name, value in environment.items() if name.startswith("PLIMSOLL_")}
    with mock.patch.dict(os.environ, ours):
        from tasks.workplace import workplace

        found = Checker(plan).final()
        workplace().database.close()
    return found
