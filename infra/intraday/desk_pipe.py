"""The desk's end of the pipes to its loop: questions out, answers and calls in."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from engine.errors import StateUnavailable
from infra.intraday.desk_line import (
    LINE_MAX,
    Answered,
    Asked,
    AskedMarks,
    Called,
    Said,
    from_loop,
    line_of,
)
from infra.paying.live import LiveAnswer, LiveMarks
from infra.paying.waiting import OpenDemand

if TYPE_CHECKING:
    from infra.paying.telling import DeskTold

ANSWER_SECONDS: Final = 5.0


@dataclass(slots=True)
class LoopPipe:
    """Asks the loop over standard output, hears it over standard input.

    Attributes
    ----------
    on_called : callable
        Hears which calls are durable.
    write : callable
        Takes a line to the loop.
    """

    on_called: Callable[[Sequence[OpenDemand]], None]
    write: Callable[[bytes], None]
    _number: int = 0
    _asked: dict[int, asyncio.Future[LiveAnswer | LiveMarks]] = field(default_factory=dict)

    async def ask(self, netting_sets: Sequence[str]) -> LiveAnswer:
        """Return how netting sets stand now; raises StateUnavailable without an answer in time."""
        self._number += 1
        found = await self._answer_to(Asked(self._number, tuple(netting_sets)))
        assert isinstance(found, LiveAnswer)
        return found

    async def marks(self) -> LiveMarks:
        """Return the loop's prices; raises StateUnavailable without an answer in time."""
        self._number += 1
        found = await self._answer_to(AskedMarks(self._number))
        assert isinstance(found, LiveMarks)
        return found

    async def _answer_to(self, question: Asked | AskedMarks) -> LiveAnswer | LiveMarks:
        number = question.number
        future: asyncio.Future[LiveAnswer | LiveMarks]
        future = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            self.write(line_of(question))
            async with asyncio.timeout(ANSWER_SECONDS):
                return await future
        except TimeoutError as error:
            raise StateUnavailable(
                f"the loop has not answered within {ANSWER_SECONDS:g} s: it is busy or gone"
            ) from error
        finally:
            del self._asked[number]

    def tell(self, told: DeskTold) -> None:
        """Let the loop know how payments stand."""
        self.write(line_of(Said(told)))

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Hear the loop until it closes the pipe."""
        while line := await reader.readline():
            try:
                message = from_loop(line)
            except msgspec.DecodeError:
                continue
            if isinstance(message, Called):
                self.on_called(message.demands)
                continue
            future = self._asked.get(message.number)
            if future is not None and not future.done():
                found = message.answer if isinstance(message, Answered) else message.marks
                future.set_result(found)


async def standard_input() -> asyncio.StreamReader:
    """Return standard input as a stream of lines."""
    reader = asyncio.StreamReader(limit=LINE_MAX)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    return reader


def to_standard_output(line: bytes) -> None:
    """Write a line to the loop at once; one that does not fit waits for the loop to read."""
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
