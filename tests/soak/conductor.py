"""One soak from its first process to its last check."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from tests.soak.crew import Member
from tests.soak.desk import Desk
from tests.soak.facts import Facts
from tests.soak.faults import Faults
from tests.soak.local import LocalSender, checked_at_the_end
from tests.soak.looking import read_events, reading
from tests.soak.loopword import LoopWord
from tests.soak.market import Paths
from tests.soak.members import make_members, make_sink
from tests.soak.place import MARKET_FRAMES, Place
from tests.soak.sampling import Sampler
from tests.soak.schedule import Planned
from tests.soak.sender import STEP
from tests.soak.takeover import Takeover
from tests.soak.talking import Talker
from tests.soak.watching import POLL_SECONDS, Expected, Watcher

START_SECONDS = 900.0
BACKLOG_SECONDS = 60.0
"""After the last fault nothing may wait for longer than this. [s]"""
FINAL_SECONDS = 1_800.0
ORPHAN_SECONDS = 3.0
"""What a killed process had started ends by itself within so long. [s]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakOptions:
    """What a soak does.

    Attributes
    ----------
    seconds : float
        How long faults and load go on after decisions have begun. [s]
    prices, fills : float
        Rates that are aimed at. [1/s]
    plant : str
        A bug that the loop is started with; empty for the product as it is.
    is_strict : bool
        Whether lateness on the screen and growth of memory are violations.
    is_brief : bool
        One loop, no alerts, sender and checks in this process: for a test of seconds.
    check_every, book_every : float
        Pauses between checks of the record, and of the book. [s]
    """

    seconds: float
    seed: int
    prices: float
    fills: float
    plant: str = ""
    is_strict: bool = True
    is_brief: bool = False
    check_every: float = 5.0
    book_every: float = 30.0


@dataclass
class Violation:
    """What must not be; ``n`` times."""

    invariant: str
    sentence: str
    second: float
    values: dict[str, Any]
    faults: tuple[str, ...]
    n: int = 1


@dataclass
class Conductor:
    """Runs the parts, does the faults, and keeps what was seen."""

    options: SoakOptions
    place: Place
    folder: Path
    planned: Sequence[Planned]
    tell: Callable[[Conductor], None] = lambda _: None
    """Called each second."""
    violations: dict[tuple[str, str], Violation] = field(default_factory=dict)
    checks: Counter[str] = field(default_factory=Counter)
    notes: dict[str, Any] = field(default_factory=dict)
    """What the checker measured beside its verdicts."""
    takeovers: list[Takeover] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    sent: dict[str, Any] = field(default_factory=dict)
    word: LoopWord | None = None
    n_alerts: int = 0
    state: str = "starting"
    began: float = 0.0
    blind_at: float = 0.0
    """When the board could last not be right: nobody led, or nobody served it."""
    loops: list[Member] = field(default_factory=list)
    others: list[Member] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.facts = Facts(self.folder / "facts.jsonl")
        market = {
            name: pd.read_parquet(self.place.market / f"{name}.parquet") for name in MARKET_FRAMES
        }
        self.epoch_ns = time.time_ns()
        self.paths = Paths(market["instruments"], market["marks"], self.options.seed)
        self.watcher = Watcher(
            self.place, self.facts, self.violated, self.checks, self.options.is_strict
        )
        self.watcher.is_excused = self._is_excused
        self.faults = Faults(self)
        self.desk = Desk(self.place, self.paths, self.epoch_ns, self.facts, self.options.seed)
        self.sampler = Sampler(self)
        self.sender: Talker | LocalSender | None = None
        self.checker: Talker | None = None
        self._checked = asyncio.Event()
        self._tasks: list[asyncio.Task[Any]] = []

    def _is_excused(self, one: Expected) -> bool:
        """Return whether nobody could know or read a state in time; of the system, read it."""
        blind = self.watcher.blind_at if one.scope == "system" else self.blind_at
        return max(blind, self.watcher.blind_at) >= one.since

    def seconds(self) -> float:
        """Return the time of true prices. [s]"""
        return (time.time_ns() - self.epoch_ns) / 1e9

    def elapsed(self) -> float:
        """Return how long decisions have been going on; 0 before. [s]"""
        return time.time() - self.began if self.began else 0.0

    def violated(self, invariant: str, sentence: str, values: Mapping[str, Any]) -> None:
        """Note that something must not be; the same thing again is counted."""
        key = (invariant, sentence[:48])
        if key in self.violations:
            self.violations[key].n += 1
            return
        found = Violation(
            invariant, sentence, self.elapsed(), dict(values), tuple(self.faults.names)
        )
        self.violations[key] = found
        self.facts.add("violation", invariant=invariant, sentence=sentence, values=found.values)

    def tell_sender(self, told: Mapping[str, Any]) -> None:
        """Hand a line to the sender of prices."""
        assert self.sender is not None
        self.sender.tell(told)

    def count_answer(self, method: str, url: str, status: int) -> None:
        """Take note of an answer to a stranger."""
        self.answers[status] += 1
        self.checks["web answers"] += 1
        if status >= 500 and status != 503:
            self.violated("web answers", f"{method} {url[:200]!r} was answered {status}", {})

    def member(self, name: str) -> Member:
        """Return a process by its name."""
        return next(one for one in (*self.loops, *self.others) if one.name == name)

    def leader(self) -> Member | None:
        """Return the process that leads, by the word of the loop; None while there is none."""
        word = self.word
        if word is None or word.age > 4.0:
            return None
        return next((one for one in self.loops if one.pid == word.pid), None)

    def note_end(self, leader: Member, how: str) -> None:
        """Take note that a leader is about to end."""
        epoch = 0 if self.word is None else self.word.epoch
        self.takeovers.append(Takeover(how, self.elapsed(), time.time(), epoch))
        self.facts.add("leader ends", how=how, epoch=epoch, member=leader.name)

    async def run(self) -> None:
        """Run from the beginning to the last check; SIGTERM ends it, and every process with it."""
        task = asyncio.current_task()
        assert task is not None
        with contextlib.suppress(ValueError, RuntimeError):
            # Only a main thread may; a test of another one is ended otherwise.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            await self._start()
            await self._soak()
            await self._finish()
        finally:
            await self._end()

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.violated("the soak itself", f"{task.exception()!r}", {})

    async def _start(self) -> None:
        plan = {
            "market": str(self.place.market), "seed": self.options.seed,
            "epoch_ns": self.epoch_ns, "rate": self.options.prices,
            "pause": 0.2 if self.options.is_brief else STEP,
        }  # fmt: skip
        self._begin(make_sink(self))
        log, environment = self.folder / "sender.log", self.place.environment
        if self.options.is_brief:
            self.sender = LocalSender(plan)
        else:
            self.sender = await Talker.start("tests.soak.sender", plan, log, environment)
        told = await self.sender.heard()
        if told is None:
            raise RuntimeError(f"the sender of prices did not start: see {log}")
        self.loops, self.others = make_members(
            self.place, self.folder, int(told["port"]), self.options.plant
        )
        self._begin(self._hear_sender())
        self.member("web").start()
        self.loops[0].start()
        self._begin(self.sampler.run())
        deadline = time.monotonic() + START_SECONDS
        while self.word is None or not self.word.is_deciding:
            if time.monotonic() > deadline or self.loops[0].n_starts > 3:
                raise RuntimeError(
                    f"the loop does not decide: see {self.loops[0].log}; limit {START_SECONDS:g} s"
                )
            await asyncio.sleep(0.1)
        self.state, self.began = "running", time.time()
        self.facts.add("began", seed=self.options.seed)
        if self.options.is_brief:
            return
        self.loops[1].start()
        self.member("alerts").start()
        self.checker = await Talker.start(
            "tests.soak.checker", self._plan_of_checks(), self.folder / "checker.log", environment
        )
        self._begin(self._hear_checker())

    def _plan_of_checks(self) -> dict[str, Any]:
        return {
            "database": self.place.server.address, "facts": str(self.facts.path),
            "close": self.place.close_id, "seed": self.options.seed, "epoch_ns": self.epoch_ns,
            "market": str(self.place.market), "check_every": self.options.check_every,
            "book_every": self.options.book_every, "is_strict": self.options.is_strict,
        }  # fmt: skip

    async def _soak(self) -> None:
        sets = sorted(set(self.place.positions["netting_set_id"]))
        pause = 1.0 if self.options.is_brief else POLL_SECONDS
        self._begin(self.watcher.run(sets, self.options.seed, pause))
        self._begin(self.desk.run(self.options.fills))
        self._begin(read_events(self))
        for planned in self.planned:
            await asyncio.sleep(max(planned.at - self.elapsed(), 0.0))
            if self.options.is_brief and planned.kind.group == "process":
                # Whoever is killed before it could tell has nothing to show.
                await self._all_shown()
            self.faults.begin(planned)
        await asyncio.sleep(max(self.options.seconds - self.elapsed(), 0.0))
        await self.faults.settled()

    async def _finish(self) -> None:
        self.state = "settling"
        if not await self.desk.quiet(BACKLOG_SECONDS):
            self.violated("web answers", "fills are not acknowledged after the last fault",
                          {"limit_seconds": BACKLOG_SECONDS})  # fmt: skip
        deadline = time.monotonic() + BACKLOG_SECONDS
        while not self._is_settled():
            if time.monotonic() > deadline:
                self.violated("backlog", "decisions still wait after the last fault",
                              {"limit_seconds": BACKLOG_SECONDS})  # fmt: skip
                break
            await asyncio.sleep(0.2)
        await self._taken(BACKLOG_SECONDS)
        self.facts.add("settled")
        self.state = "last checks"
        self.sampler.judge()
        # Ended in order, the leader leaves a checkpoint of everything.
        for one in self.loops:
            await asyncio.to_thread(one.end)
        if self.checker is None:
            plan, environment = self._plan_of_checks(), self.place.environment
            self._take(vars(await asyncio.to_thread(checked_at_the_end, plan, environment)))
            return
        self.checker.tell({"do": "final"})
        try:
            async with asyncio.timeout(FINAL_SECONDS):
                await self._checked.wait()
        except TimeoutError:
            self.violated("the soak itself", f"no last checks in {FINAL_SECONDS:g} s", {})

    async def _taken(self, seconds: float) -> None:
        """Wait until the loop has taken what is on record; that it has is checked afterwards."""
        with reading(self.place.server.address) as is_taken:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and not await asyncio.to_thread(is_taken):
                await asyncio.sleep(0.2)

    async def _all_shown(self) -> None:
        deadline = time.monotonic() + BACKLOG_SECONDS
        while self.watcher.expected and time.monotonic() < deadline:
            await asyncio.sleep(0.1)

    def _is_settled(self) -> bool:
        word = self.word
        return bool(word and word.is_deciding and not word.waiting and self.leader())

    def _take(self, told: Mapping[str, Any]) -> None:
        self.checks.update(told.get("checks", {}))
        self.notes.update(told.get("notes", {}))
        for one in told.get("violations", ()):
            self.violated(one["invariant"], one["sentence"], one["values"])

    async def _hear_sender(self) -> None:
        assert self.sender is not None
        while (told := await self.sender.heard()) is not None:
            self.sent = told

    async def _hear_checker(self) -> None:
        assert self.checker is not None
        while (told := await self.checker.heard()) is not None:
            self._take(told)
            if told.get("is_final"):
                self._checked.set()
        if not self._checked.is_set():
            self._checked.set()
            self.violated(
                "the soak itself", f"the checker ended: see {self.folder}/checker.log", {}
            )

    async def _end(self) -> None:
        self.state = "ending"
        for task in self._tasks:
            task.remove_done_callback(self._ended)
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for one in (*self.loops, *self.others):
            await asyncio.to_thread(one.end, 10.0)
        await asyncio.sleep(ORPHAN_SECONDS if self.loops else 0.0)
        for one in (*self.loops, *self.others):
            for pid in one.left_over():
                self.violated("processes live", f"{one.name} has left a process that runs on",
                              {"pid": pid, "limit_seconds": ORPHAN_SECONDS})  # fmt: skip
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for talker in (self.sender, self.checker):
            if talker is not None:
                await talker.end()
        self.facts.close()
