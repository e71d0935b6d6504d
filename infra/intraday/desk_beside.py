"""The payment desk as the loop has it beside it: started, asked nothing, answered, started again.

A process of its own, which ends with its pipes. The loop never waits for it: what does not fit into
the pipe is left out, since the desk reads open calls from the record as well.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from infra.clock import utc_now
from infra.db.intraday_batches import LoopCall
from infra.db.loop_lease import Lead
from infra.intraday.answering_desk import live_answer, live_marks
from infra.intraday.core import LoopCore
from infra.intraday.desk_line import (
    LINE_MAX,
    Answered,
    Asked,
    AskedMarks,
    Called,
    FromLoop,
    Given,
    from_desk,
    line_of,
)
from infra.intraday.status import FOLDER
from infra.paying.telling import DeskTold
from infra.paying.waiting import OpenDemand

if TYPE_CHECKING:
    from infra.intraday.process import LoopOptions

UNREAD_MAX: Final = 1 << 22
"""What the desk may leave unread before calls are left out. [bytes]"""
_CALLED_MAX: Final = 1_000
_STOP_SECONDS: Final = 5.0
_PAUSE_MAX: Final = 30.0


class Say(Protocol):
    """Tells of a part of the loop."""

    def __call__(self, name: str, state: str, reason: str = "", next_action: str = "") -> None:
        """Say how a part is."""


@dataclass(slots=True)
class DeskBeside:
    """A desk's life beside one session of the loop.

    Attributes
    ----------
    options : LoopOptions
        ``desk`` starts it; epoch and holder of the lead are added.
    told : DeskTold or None
        What the desk has said last.
    pays : bool
        Whether there is a command, and any agreement that lets its calls be collected.
    """

    options: LoopOptions
    core: LoopCore
    lead: Lead
    say: Say
    is_deciding: Callable[[], bool]
    told: DeskTold | None = None
    pays: bool = field(init=False)
    _process: Process | None = None

    def __post_init__(self) -> None:
        agreements = self.core.base.rules.agreements.values()
        is_asked_for = any(one.collection == "automatic" for one in agreements)
        self.pays = bool(self.options.desk) and is_asked_for

    @property
    def part(self) -> str:
        """Return the part of the loop that its troubles belong to."""
        return "payments" if self.pays else "reductions"

    @property
    def log(self) -> Path:
        """Return the file that takes what the desk writes to standard error."""
        return self.options.home / FOLDER / "desk.log"

    def as_json(self) -> dict[str, object] | None:
        """Return how payments stand as JSON values; None where nothing is paid by itself."""
        if not self.pays:
            return None
        if self.told is None:
            return {"state": "starting"}
        found: dict[str, object] = msgspec.to_builtins(self.told)
        return {"state": "degraded" if self.told.trouble else "live", **found}

    async def run(self) -> None:
        """Keep a desk running until cancelled."""
        if not self.options.desk:
            await asyncio.Event().wait()
        pause = 0.5
        while True:
            began = asyncio.get_running_loop().time()
            try:
                why = f"the desk beside the loop ended with {await self._live()}"
            except Exception as error:  # noqa: BLE001  (a desk's trouble must not stop the loop)
                why = f"the desk beside the loop: {type(error).__name__}: {error}"[:300]
            lived = asyncio.get_running_loop().time() - began
            pause = 0.5 if lived > _PAUSE_MAX else min(pause * 2, _PAUSE_MAX)
            next_action = f"it is started again by itself; {self.log} says why it ended"
            self.say(self.part, "degraded", why, next_action)
            await asyncio.sleep(pause)

    def called(self, calls: Sequence[LoopCall], issued: Sequence[str]) -> None:
        """Wake the desk for calls that have become durable."""
        went = set(issued)
        found = [_demand(one) for one in calls if one.wanted.call["call_id"] in went]
        for start in range(0, len(found), _CALLED_MAX):
            self._write(Called(tuple(found[start : start + _CALLED_MAX])))

    async def _live(self) -> int | None:
        """Run one desk to its end and return its exit code."""
        lead = ("--epoch", str(self.lead.epoch), "--holder", self.lead.holder)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.options.desk, *lead, stdin=PIPE, stdout=PIPE, stderr=log, limit=LINE_MAX
            )
        try:
            await self._hear(self._process)
            return await self._process.wait()
        finally:
            await self._end(self._process)
            self._process = None

    async def _hear(self, process: Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            try:
                message = from_desk(line)
            except msgspec.DecodeError:
                # Something of the desk's wrote into its line; it is told again in a moment.
                continue
            if isinstance(message, Asked):
                answer = live_answer(
                    self.core, message.netting_sets, is_deciding=self.is_deciding()
                )
                self._write(Answered(message.number, answer))
                continue
            if isinstance(message, AskedMarks):
                self._write(Given(message.number, live_marks(self.core, utc_now())))
                continue
            self.told = message.told
            if self.told.trouble:
                self.say(self.part, "degraded", self.told.trouble[:300], self.told.next_action)
            else:
                self.say(self.part, "live", _words(self.told))

    def _write(self, message: FromLoop) -> None:
        stream = None if self._process is None else self._process.stdin
        if stream is None or stream.is_closing():
            return
        if isinstance(message, Called) and stream.transport.get_write_buffer_size() > UNREAD_MAX:
            return
        with contextlib.suppress(OSError):
            stream.write(line_of(message))

    async def _end(self, process: Process) -> None:
        """Let the desk finish what it is at, by closing its pipe; a moment later it is killed."""
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _demand(one: LoopCall) -> OpenDemand:
    call = one.wanted.call
    return OpenDemand(
        call_id=str(call["call_id"]),
        netting_set_id=str(call["netting_set_id"]),
        worth=float(call["amount"]),
        due_at=call["first_due_at"],
    )


def _words(told: DeskTold) -> str:
    waits = told.transfers.get("approval", 0)
    parts = [f"{waits:,} transfers wait for approval"] if waits else []
    parts += [f"{told.n_waiting:,} calls are not paid yet"] if told.n_waiting else []
    return "; ".join(parts)
