"""The one thread that writes: decisions in groups, then signs of life, the board, checkpoints.

The loop never waits for the database. What it decides queues here; everything that waits goes into
one transaction. While the database does not take it, it stays in order and is tried again: what
the loop decided is late then, never lost as long as the process lives, and says so.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from engine.errors import StateError
from infra.db.intraday_commits import Committed, LoopBatch
from infra.db.intraday_journal import Checkpoint
from infra.db.loop_lease import Fenced, Lead

if TYPE_CHECKING:
    import pandas as pd

    from infra.db import Database

GROUP_MAX: Final = 256
"""Batches of one transaction at most."""
BOARD_SLICE: Final = 200
"""Rows of the board in one transaction: a decision waits for no more of them."""
BOARD_SLICES_MAX: Final = 500
"""Slices that wait at most; the oldest are shown with a later turn of the board."""
RENEW_SECONDS: Final = 1.0
CHECKPOINT_SHARE: Final = 0.01
"""Share of the time in which a decision may find the writer at a checkpoint: large books, 50 MiB
and more, keep one seldomer than asked for."""
_RETRY_MIN: Final = 0.05
_RETRY_MAX: Final = 1.0


@dataclass(frozen=True, slots=True)
class Written:
    """A batch that became durable, and the seconds that its transaction took."""

    batch: LoopBatch
    committed: Committed
    seconds: float


@dataclass(frozen=True, slots=True)
class BoardWork:
    """What the board shows next; goes out in slices, when nothing more urgent waits."""

    rows: pd.DataFrame
    health: pd.DataFrame


@dataclass(frozen=True, slots=True)
class CheckpointWork:
    """A checkpoint that is put into bytes by the thread."""

    run_id: str
    make: Callable[[], Checkpoint]


class Writer:
    """The writer of one lead; ``start`` and ``stop`` frame its life."""

    def __init__(
        self,
        database: Database,
        lead: Lead,
        *,
        on_written: Callable[[Sequence[Written]], None],
        on_fault: Callable[[BaseException | None], None],
        watch: Callable[[], object] | None = None,
        on_seen: Callable[[Any], None] | None = None,
    ) -> None:
        self._database, self._lead = database, lead
        self._on_written, self._on_fault = on_written, on_fault
        self._watch, self._on_seen = watch, on_seen
        self._queue: queue.SimpleQueue[LoopBatch | None] = queue.SimpleQueue()
        self._board: deque[BoardWork] = deque(maxlen=BOARD_SLICES_MAX)
        self._checkpoint: CheckpointWork | None = None
        self._waiting: list[LoopBatch] = []
        self._renewed = self._watched = self._checkpoint_due = time.monotonic()
        self._retry = _RETRY_MIN
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="loop writer", daemon=True)

    @property
    def n_waiting(self) -> int:
        """Return how many batches are not durable yet."""
        return self._queue.qsize() + len(self._waiting)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> bool:
        """Write what waits and end; False if that took too long."""
        self._stopping = True
        self._queue.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def submit(self, batch: LoopBatch) -> None:
        """Let a batch be committed with all others that wait."""
        self._queue.put(batch)

    def show(self, board: BoardWork) -> None:
        """Let the board be published when nothing more urgent waits."""
        for first in range(0, max(len(board.rows), 1), BOARD_SLICE):
            rows = board.rows.iloc[first : first + BOARD_SLICE]
            self._board.append(BoardWork(rows, board.health))

    def checkpoint(self, work: CheckpointWork) -> None:
        """Let a checkpoint be kept when nothing more urgent waits."""
        self._checkpoint = work

    @property
    def is_checkpoint_due(self) -> bool:
        """Return whether checkpoints have not taken too much of the time: `CHECKPOINT_SHARE`."""
        return self._checkpoint is None and time.monotonic() >= self._checkpoint_due

    def _run(self) -> None:
        try:
            while not (self._stopping and not self._take(0.0)):
                self._take(0.0 if self._waiting or self._board else 0.1)
                try:
                    self._work()
                except Fenced:
                    raise
                except StateError as error:
                    self._on_fault(error)
                    time.sleep(self._retry)
                    self._retry = min(self._retry * 2, _RETRY_MAX)
                    if self._stopping:
                        return
        except BaseException as error:  # noqa: BLE001  (the loop must hear of it, whatever it is)
            self._on_fault(error)

    def _take(self, seconds: float) -> bool:
        """Move what has been submitted to what waits; return whether anything waits."""
        try:
            if len(self._waiting) < GROUP_MAX:
                first = self._queue.get(timeout=seconds) if seconds else self._queue.get_nowait()
                if first is not None:
                    self._waiting.append(first)
            while len(self._waiting) < GROUP_MAX:
                batch = self._queue.get_nowait()
                if batch is not None:
                    self._waiting.append(batch)
        except queue.Empty:
            pass
        return bool(self._waiting)

    def _work(self) -> None:
        if self._waiting:
            began = time.perf_counter()
            found = self._database.intraday_commits.commit_all(self._waiting)
            seconds = time.perf_counter() - began
            done = [
                Written(batch, committed, seconds)
                for batch, committed in zip(self._waiting, found, strict=True)
            ]
            self._waiting = []
            self._alive()
            self._on_written(done)
            return
        if time.monotonic() - self._renewed >= RENEW_SECONDS:
            self._database.loop_leases.renew(self._lead)
            self._alive()
        if self._board:
            board = self._board.popleft()
            try:
                self._database.board.publish(board.rows, board.health)
            except StateError:
                self._board.appendleft(board)
                raise
            self._well()
            if not self._queue.empty():
                return
        work, self._checkpoint = self._checkpoint, None
        if work is not None:
            began = time.monotonic()
            self._database.intraday_journal.keep_checkpoint(work.run_id, self._lead, work.make())
            self._alive()
            self._checkpoint_due = began + (time.monotonic() - began) / CHECKPOINT_SHARE
        if self._watch is not None and time.monotonic() - self._watched >= RENEW_SECONDS:
            self._watched = time.monotonic()
            seen = self._watch()
            if self._on_seen is not None:
                self._on_seen(seen)

    def _alive(self) -> None:
        """Note that the database has taken something under the lead, which renews it."""
        self._renewed = time.monotonic()
        self._well()

    def _well(self) -> None:
        if self._retry != _RETRY_MIN:
            self._retry = _RETRY_MIN
            self._on_fault(None)
