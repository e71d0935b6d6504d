"""A process of the soak's own that is spoken to in lines of JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LINE_BYTES_MAX = 1 << 24


class Talker:
    """``python -m <module>`` with the plan as its first line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls, module: str, plan: Mapping[str, Any], log: Path, environment: Mapping[str, str]
    ) -> Talker:
        """Return a process that has its plan."""
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", module, stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE, stderr=file, env=dict(environment),
                limit=LINE_BYTES_MAX,
            )  # fmt: skip
        found = cls(process)
        found.tell(plan)
        return found

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def tell(self, content: Mapping[str, Any]) -> None:
        """Hand it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(content).encode() + b"\n")

    async def heard(self) -> dict[str, Any] | None:
        """Return its next line, None when it has ended."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        return json.loads(line) if line else None

    async def end(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
