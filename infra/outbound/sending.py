"""The only way in which bytes leave: UNKNOWN is committed before, then one attempt.

The transaction that commits it checks again, all together, what was true when people decided, and
that this process still is the one that may send (I-12, I-14, I-43, I-47 to I-49). Nothing is tried
again here: what is to be done about an outcome that nobody knows, a resolver finds out.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeAlias, TypeVar

from sqlalchemy import Connection

from engine.errors import ClockSkew, StateError, VenueAccessDenied, VenueError, VenueRejected
from engine.sending import SendTiming
from infra.crashpoints import crashpoint
from infra.db.writers import epoch_within, take_over_within
from infra.outbound.kill_switch import armed_within

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.lease import Lease
    from infra.outbound.kill_switch import KillSwitch

Outcome: TypeAlias = Literal["refused", "not_sent", "unclear"]


class Hindered(Exception):
    """Nothing can be sent now; ``is_rule`` if a rule forbids it, not the moment."""

    def __init__(self, reason: str, *, is_rule: bool = False) -> None:
        super().__init__(reason)
        self.is_rule = is_rule


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to send for a scope, as its only writer; ``what`` names it in messages."""

    scope: str
    what: str
    epoch: int
    lease: Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What came of an attempt that has no clean answer.

    ``refused`` has had no effect and never will; ``not_sent`` has never left and may be tried after
    ``pause_seconds``; of ``unclear`` nobody knows. ``why`` is the venue's word for a refusal.
    """

    outcome: Outcome
    reason: str
    why: str | None = None
    pause_seconds: float = 0.0


class Sent(Protocol):
    """What has been committed as perhaps leaving now."""

    @property
    def sent_at(self) -> datetime | None: ...


class Waiting(Protocol):
    """What was read, and may have moved since."""

    @property
    def state(self) -> str: ...
    @property
    def n_events(self) -> int: ...


S = TypeVar("S", bound=Sent)
ReadyT = TypeVar("ReadyT")
ReportT = TypeVar("ReportT")


class Sender(ABC, Generic[ReadyT, S, ReportT]):
    """Sends what is ready; what that is, and what follows from an answer, each desk says."""

    noun: str

    def __init__(self, database: Database, timing: SendTiming, kill_switch: KillSwitch) -> None:
        self._database, self._timing, self._kill_switch = database, timing, kill_switch

    @contextmanager
    def _turn(self, lease: str, scope: str, what: str) -> Iterator[Turn]:
        """Yield the right to send for a scope; Hindered if another process has it now."""
        with ExitStack() as held:
            try:
                taken = held.enter_context(self._database.lease(lease))
            except StateError as error:
                raise Hindered(str(error)) from error
            with self._database.writing() as connection:
                epoch = take_over_within(self._database, connection, scope)
            crashpoint(f"{self.noun}:epoch")
            yield Turn(scope, what, epoch, taken)

    async def _send(self, ready: ReadyT) -> str:
        """Commit that the bytes may leave, let them, and return a sentence about what came of it.

        Raises
        ------
        Hindered
            If they may not; nothing was recorded.
        """
        crashpoint(f"{self.noun}:before-unknown")
        before = self._database.clock()
        with self._database.writing() as connection:
            sent = self._commit(connection, ready)
        crashpoint(f"{self.noun}:after-unknown")
        # A process that was stopped in between must not send what the resolver has judged since.
        delay = (self._database.clock() - (sent.sent_at or before)).total_seconds()
        status = self._kill_switch.status()
        if status.is_armed or delay > self._timing.send_delay_seconds_max:
            fact = status.sentence if status.is_armed else f"{delay:.1f} s passed since the commit"
            return self._failed(
                sent, Failure(outcome="not_sent", reason=f"it has not left: {fact}")
            )
        try:
            report = await asyncio.wait_for(
                self._submit(ready, sent), self._timing.send_timeout_seconds
            )
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, the outcome is unknown
            crashpoint(f"{self.noun}:after-reply")
            return self._failed(sent, self._failure(error))
        crashpoint(f"{self.noun}:after-reply")
        return self._replied(ready, sent, report)

    def _require_free(
        self, connection: Connection, now: Waiting, read: Waiting, turn: Turn
    ) -> None:
        """Raise Hindered if it has moved since it was read, or nothing may leave in this turn."""
        if now.state != read.state or now.n_events != read.n_events:
            raise Hindered(f"it is {now.state} since")
        for status in (self._kill_switch.status(), armed_within(connection)):
            if status.is_armed:
                raise Hindered(status.sentence)
        if epoch_within(connection, turn.scope) != turn.epoch:
            raise Hindered(f"another process sends {turn.what}")

    def _failure(self, error: Exception) -> Failure:
        if isinstance(error, VenueRejected) and error.cause != "duplicate_key":
            return Failure(outcome="refused", reason=str(error), why=error.cause)
        if isinstance(error, VenueRejected):
            # The key is known there: an earlier sending has arrived.
            return Failure(outcome="unclear", reason=str(error), why=error.cause)
        if isinstance(error, VenueError) and error.was_sent == "no":
            pause = error.retry_after_seconds or 0.0
            if isinstance(error, VenueAccessDenied | ClockSkew):
                # Trying again soon would only get the account locked: a person is needed.
                pause = self._timing.ask_after_seconds
            return Failure(outcome="not_sent", reason=str(error), pause_seconds=pause)
        return Failure(outcome="unclear", reason=f"{type(error).__name__}: {error}")

    @abstractmethod
    def _commit(self, connection: Connection, ready: ReadyT) -> S:
        """Check everything again and note that the bytes may leave; Hindered if they may not."""

    @abstractmethod
    def _submit(self, ready: ReadyT, sent: S) -> Awaitable[ReportT]:
        """Let the bytes leave."""

    @abstractmethod
    def _replied(self, ready: ReadyT, sent: S, report: ReportT) -> str:
        """Take over a clean answer; one that contradicts what was sent leaves it unknown."""

    @abstractmethod
    def _failed(self, sent: S, failure: Failure) -> str:
        """Take over that there was none."""
