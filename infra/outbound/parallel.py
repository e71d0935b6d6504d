"""Several venues at a time, a bounded number of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final

_AT_ONCE_MAX: Final = 8


async def in_parallel(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all works, at most eight at a time; the first failure ends the others."""
    free = asyncio.Semaphore(_AT_ONCE_MAX)

    async def one(work: Coroutine[Any, Any, None]) -> None:
        async with free:
            await work

    tasks = [asyncio.ensure_future(one(work)) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
