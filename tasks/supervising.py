"""Children of the service: started, watched, started again with growing pauses, and told of.

A child that ends by itself has crashed, whatever it returned. After several crashes in a short time
it is left alone for five minutes, and people are told as of a missing sign of life.
"""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine.errors import MarginPlatformError
from infra.alerts.watching import ALIVE, DEAD_MAN
from infra.db.intraday_events import SYSTEM, IntradayEvent
from tasks.orphans import kept_by_this_process

if TYPE_CHECKING:
    from infra.db import Database

STOP_SECONDS: Final = 15.0
CRASHES_MAX: Final = 6
"""Crashes within ``WINDOW_SECONDS`` after which a child is left alone for ``REST_SECONDS``."""
WINDOW_SECONDS: Final = 600.0
REST_SECONDS: Final = 300.0
PAUSE_SECONDS_MIN: Final = 0.5
PAUSE_SECONDS_MAX: Final = 30.0
SETTLED_SECONDS: Final = 30.0
"""A child that has lived so long is up again, and its next crash is a first one."""
_LOOK_SECONDS: Final = 0.1
_SIGN_SECONDS: Final = 10.0
_SILENCE_SECONDS_MAX: Final = 60
_LOG_BYTES_MAX: Final = 10_000_000
_NO_CODES: Final[frozenset[int]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """What is kept running.

    Attributes
    ----------
    name : str
        As people read it; its sign of life is ``process <name>``.
    log : Path
        What it writes to error output is added there.
    fds : tuple of int
        Open files that it inherits.
    waiting_codes : frozenset of int
        Exit codes that are no crash: it has nothing to work on yet.
    """

    name: str
    command: Sequence[str]
    log: Path
    fds: tuple[int, ...] = ()
    waiting_codes: frozenset[int] = _NO_CODES

    @property
    def sign(self) -> str:
        """Return the name of its sign of life."""
        return f"process {self.name}"

    @property
    def next_action(self) -> str:
        """Return what a person does when it does not stay up."""
        return f"look into {self.log}, then start `plimsoll serve` again"


class Keeper:
    """Keeps one child running in a thread; ``start`` and ``stop`` frame its life."""

    def __init__(
        self, child: Child, database: Database, tell: Callable[[str], None], said_by: str
    ) -> None:
        self._child, self._database, self._tell, self._by = child, database, tell, said_by
        self._stop = threading.Event()
        self._crashes: deque[float] = deque(maxlen=CRASHES_MAX)
        self._state, self._reason = "live", "started"
        self._said_at = float("-inf")
        self._unrecorded: list[IntradayEvent] = []
        self._thread = threading.Thread(target=self._keep, daemon=True, name=f"keep {child.name}")
        self.pid: int | None = None
        """Of the child that runs now."""

    @property
    def n_crashes(self) -> int:
        """Return how often the child has crashed of late."""
        return len(self._crashes)

    def start(self) -> None:
        """Begin to keep the child running."""
        self._child.log.parent.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self) -> None:
        """End the child, and expect it no more."""
        self._stop.set()
        self._thread.join(STOP_SECONDS * 2)
        try:
            self._database.life_signs.withdraw([self._child.sign])
        except MarginPlatformError as error:
            self._tell(f"{self._child.name}: {error}")

    def _keep(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            code = self._run()
            if code is None:
                return
            self._rest(self._pause(code, time.monotonic() - began))

    def _run(self) -> int | None:
        """Run the child once and return what it ended with; None if it was stopped."""
        began = time.monotonic()
        _shorten(self._child.log)
        with self._child.log.open("ab") as log:
            process = subprocess.Popen(
                list(self._child.command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=kept_by_this_process(),
                pass_fds=self._child.fds,
            )
            self.pid = process.pid
            while process.poll() is None and not self._stop.wait(_LOOK_SECONDS):
                if self._state != "live" and time.monotonic() - began >= SETTLED_SECONDS:
                    self._recovered()
                self._say()
            self.pid = None
            if process.poll() is None:
                _end(process)
                return None
        return None if self._stop.is_set() else int(process.returncode)

    def _pause(self, code: int, lived: float) -> float:
        """Say that the child has ended, and return how long to wait before it starts again. [s]"""
        child, now = self._child, time.monotonic()
        if code in child.waiting_codes:
            self._turn("degraded", f"{child.name} waits: {_last_words(child.log)}", is_event=False)
            return PAUSE_SECONDS_MAX
        if lived >= SETTLED_SECONDS:
            self._crashes.clear()
        self._crashes.append(now)
        is_given_up = len(self._crashes) == CRASHES_MAX and now - self._crashes[0] <= WINDOW_SECONDS
        n = len(self._crashes)
        pause = min(PAUSE_SECONDS_MIN * 2.0 ** (n - 1), PAUSE_SECONDS_MAX)
        if is_given_up:
            self._crashes.clear()
            pause = REST_SECONDS
        why = f": {_last_words(child.log)}" if code > 0 else ""
        ended = f"{child.name} {_ending(code)} after {lived:.0f} s{why}"
        self._turn("down" if is_given_up else "degraded", f"{ended}; starts again in {pause:g} s")
        return pause

    def _recovered(self) -> None:
        if self._state == "down":
            self._event(ALIVE, f"{self._child.name} runs again")
        else:
            self._event("restored", f"{self._child.name} runs again")
        self._state, self._reason = "live", "runs again"
        self._said_at = float("-inf")
        self._tell(f"{self._child.name} runs again")

    def _turn(self, state: str, reason: str, *, is_event: bool = True) -> None:
        is_new = (state, reason) != (self._state, self._reason)
        self._state, self._reason = state, reason
        self._said_at = float("-inf")
        if is_new:
            self._tell(reason)
            if is_event:
                self._event(DEAD_MAN if state == "down" else "degraded", reason)
        self._say()

    def _event(self, kind: str, reason: str) -> None:
        now = self._database.clock()
        cause = self._child.sign
        self._unrecorded.append(
            IntradayEvent(
                kind=kind,
                resource=f"{SYSTEM}{cause.replace(' ', '-')}",
                subject=f"{self._by}/{now.isoformat()}",
                occurred_at=now,
                payload={
                    "system": cause,
                    "cause": cause,
                    "reason": reason,
                    "next_action": self._child.next_action,
                },
            )
        )

    def _say(self) -> None:
        """Record how the child is; what the database does not take is tried again."""
        if time.monotonic() - self._said_at < _SIGN_SECONDS and not self._unrecorded:
            return
        self._said_at = time.monotonic()
        try:
            self._database.intraday_events.record(self._unrecorded)
            self._unrecorded = []
            self._database.life_signs.say(
                self._child.sign,
                by=self._by,
                seconds_max=_SILENCE_SECONDS_MAX,
                state=self._state,
                reason=self._reason,
                next_action=self._child.next_action,
            )
        except MarginPlatformError:
            # Said on error output already; the record waits for its database.
            return

    def _rest(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stop.wait(_LOOK_SECONDS) and time.monotonic() < deadline:
            self._say()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _last_words(log: Path) -> str:
    """Return the last line of a log, so that the reason stands where the crash is told."""
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - 2_000, 0))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return "its log cannot be read"
    said = [line.strip() for line in lines if line.strip()]
    # A command ends with what happened, and below it with what to do next.
    own = [line for line in said[-3:] if line.startswith("plimsoll:")]
    return (own or said)[-1][:200] if said else "it said nothing"


def _shorten(log: Path) -> None:
    """Let a log begin anew when it has grown too long; the one before is kept beside it."""
    if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
        log.replace(log.with_suffix(".log.1"))
