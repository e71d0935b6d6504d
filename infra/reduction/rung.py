"""The last rung of the loop's ladder: planned on the loop's own prices, and sent on them.

Duties of the desk beside the loop. The loop waits for nothing here; the record says which netting
sets stand at the rung and what has been planned for each of its events, so that whoever is killed
anywhere is followed by somebody who begins where it was.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from sqlalchemy import Connection, select

from engine.errors import MarginPlatformError
from engine.policies.ladder_parameters import LEVEL_NAMES, REDUCE
from engine.policies.ladder_terms import ladder_terms
from engine.policies.utilisation import utilisation
from infra.crashpoints import crashpoint
from infra.db.board_tables import BoardRow
from infra.db.intraday_events import NETTING_SET, IntradayEvent, RecordedEvent
from infra.db.loop_lease import Fenced
from infra.db.reduction_queries import LADDER_CAUSE, latest_attempt_within
from infra.paying.live import ASKED_MAX, LiveAnswer, LiveLoop
from infra.reduction.desk import ReductionDesk
from infra.reduction.live import LiveStandings, doubt_of, live_basis
from infra.reduction.proposing import Proposed, ReductionBasis, ReductionWish, propose_reduction

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.loop_lease import Lead
    from infra.db.reduction_records import ReductionRecord
    from infra.intraday.base import Base
    from infra.outbound.kill_switch import KillSwitch
    from infra.reduction.policy_files import ReductionPolicyInForce
    from infra.reduction.wiring import Wiring

Duty: TypeAlias = Callable[[], Awaitable[None]]
PRINCIPAL: Final = "reduction desk"
EVENT: Final = "reduction"
"""Kind of the events by which people hear of what the rung has led to."""
ROUND_SECONDS: Final = 0.5
AGAIN_SECONDS: Final = 5.0
"""Until a netting set of which nothing could be planned is looked at again."""
ANEW_SECONDS: Final = 60.0
"""After a plan has ended by itself, until one is made anew for the same event."""
_RUNG: Final = LEVEL_NAMES[REDUCE]


@dataclass(frozen=True, slots=True, kw_only=True)
class RungParts:
    """What the duty works with.

    Attributes
    ----------
    policy_of : callable
        Returns the policy in force.
    base_of : callable
        Returns the base of a close.
    """

    database: Database
    lead: Lead
    loop: LiveLoop
    policy_of: Callable[[], ReductionPolicyInForce]
    kill_switch: KillSwitch
    wiring: Wiring
    base_of: Callable[[str], Base]


@dataclass(slots=True)
class ReduceRung:
    """Proposes, sends and sees through what the ladder's last rung asks for."""

    parts: RungParts
    pause: float = ROUND_SECONDS
    waits: dict[str, str] = field(default_factory=dict)
    """Why nothing is planned for a netting set at the rung, in words."""
    _later: dict[str, float] = field(default_factory=dict)
    _base: Base | None = None

    @property
    def duties(self) -> tuple[tuple[str, Duty], ...]:
        """Return the duties of the desk beside the loop: no slice waits for another's plan."""
        return ("planning reductions", self._planned), ("sending reductions", self._worked)

    async def _planned(self) -> None:
        await asyncio.sleep(self.pause)
        await self.propose()

    async def _worked(self) -> None:
        await asyncio.sleep(self.pause)
        await self.work()

    async def round(self) -> None:
        """Propose what is demanded and not planned yet, then take plans at work one step further.

        Raises
        ------
        Fenced
            If another loop leads: nothing is recorded.
        """
        await self.propose()
        await self.work()

    async def propose(self) -> list[Proposed]:
        """Plan for netting sets at the rung whose turn it is; return what came of each."""
        standing, now = self._standing(), time.monotonic()
        self.waits = {name: words for name, words in self.waits.items() if name in standing}
        self._later = {name: at for name, at in self._later.items() if name in standing}
        turn = [name for name in standing if self._later.get(name, 0.0) <= now][:ASKED_MAX]
        breaches = self._entered(turn)
        due = [name for name in turn if name in breaches]
        due = [name for name in due if self._is_wanted(name, breaches[name])]
        # What was looked at has its turn again when the others have had theirs.
        self._later |= dict.fromkeys(turn, now + AGAIN_SECONDS)
        if not due:
            return []
        answer = await self.parts.loop.ask(due)
        base = await self._base_of(answer.close_id)
        hindered = {name: self._hindrance(name, answer, base) for name in due}
        for name, words in hindered.items():
            self._tell(name, breaches[name], words)
        due = [name for name in due if not hindered[name]]
        basis = await self._basis(base, due) if due else None
        if basis is None:
            return []
        found = []
        for name in due:
            one = await self._plan(name, breaches[name], basis)
            self._tell(name, breaches[name], "" if one.record is not None else one.words)
            found.append(one)
        return found

    async def work(self) -> None:
        """Ask venues about orders, and send the next slices on what the loop says now."""
        parts = self.parts
        working = parts.database.reductions.list(("working", "stopping"))
        if not working:
            return
        desk = ReductionDesk(parts.database, parts.policy_of().policy, parts.kill_switch)
        await desk.resolve_due(parts.wiring)
        names = sorted({one.intent.netting_set_id for one in working})[:ASKED_MAX]
        answer = await parts.loop.ask(names)
        standings = LiveStandings(parts.database, answer, parts.database.clock())
        await desk.send_due(parts.wiring, standings)

    def _standing(self) -> dict[str, None]:
        """Return the netting sets that stand at the rung, who is worst off first."""
        query = (
            select(BoardRow.netting_set_id)
            .where(BoardRow.level == _RUNG)
            .order_by(BoardRow.margin_ratio.desc(), BoardRow.netting_set_id)
        )
        with self.parts.database.reading() as connection:
            return dict.fromkeys(connection.execute(query).scalars())

    def _entered(self, names: Sequence[str]) -> dict[str, RecordedEvent]:
        """Return the events by which netting sets have come to the rung."""
        events = self.parts.database.intraday_events.last_of(
            [f"{NETTING_SET}{name}" for name in names], ("breach", "recovery")
        )
        found = {one.resource.removeprefix(NETTING_SET): one for one in events}
        return {
            name: found[name]
            for name in names
            if name in found and found[name].payload.get("level") == _RUNG
        }

    def _is_wanted(self, name: str, breach: RecordedEvent) -> bool:
        """Return whether nothing is planned for a breach, or what was has ended a while ago."""
        database = self.parts.database
        with database.reading() as connection:
            latest = latest_attempt_within(connection, name, _cause(breach))
        if latest is None:
            return True
        if latest.is_open or latest.state == "shadow":
            return False
        ended = database.reductions.events(latest.plan_id)[-1].recorded_at
        since: timedelta = database.clock() - ended
        return since >= timedelta(seconds=ANEW_SECONDS)

    def _hindrance(self, name: str, answer: LiveAnswer, base: Base) -> str:
        status = self.parts.kill_switch.status()
        doubt = status.sentence if status.is_armed else doubt_of(name, answer)
        if doubt:
            return doubt
        live, agreement = answer.standings[name], base.rules.agreements[name]
        figures = (live.owed, live.cover, agreement.threshold, agreement.independent_amount)
        ratio = utilisation(*(np.array([one], dtype=np.float64) for one in figures))[0]
        enter = ladder_terms(base.rules, [name]).enter[0, REDUCE - 1]
        if ratio < enter:
            return f"{ratio:.2%} of cover is used by now, the rung begins at {enter:.2%}"
        return ""

    async def _basis(self, base: Base, names: Sequence[str]) -> ReductionBasis | None:
        """Return what plans rest on, one for all; None if the loop has begun anew meanwhile."""
        parts = self.parts
        told = await parts.loop.marks()
        if told.close_id != base.close_id:
            return None
        policy = parts.policy_of()
        return await asyncio.to_thread(live_basis, parts.database, base, told, names, policy)

    async def _plan(self, name: str, breach: RecordedEvent, basis: ReductionBasis) -> Proposed:
        parts = self.parts

        def fenced(connection: Connection, record: ReductionRecord) -> None:
            parts.database.loop_leases.require_within(connection, parts.lead)
            event = _told_of(record, breach, parts.database.clock())
            parts.database.intraday_events.record_within(connection, [event])

        used = breach.payload.get("utilisation", "")
        # Where the rung itself waits for a person, so does what it leads to.
        is_acting = breach.payload.get("acting_level") == _RUNG
        wish = ReductionWish(
            principal=PRINCIPAL,
            reason=f"the ladder has come to {_RUNG} at {used} of cover used",
            mode=None if is_acting else "approval",
            within=fenced,
        )
        crashpoint("rung:plan")
        try:
            found = await asyncio.to_thread(
                propose_reduction, parts.database, name, _cause(breach), basis, wish
            )
        except Fenced:
            raise
        except MarginPlatformError as error:
            return Proposed(netting_set_id=name, record=None, is_new=False, words=str(error))
        crashpoint("rung:planned")
        return found

    def _tell(self, name: str, breach: RecordedEvent, words: str) -> None:
        """Take down what is in the way, for people to hear of once."""
        if not words:
            self.waits.pop(name, None)
            return
        self.waits[name] = words
        held = _held(name, breach, words, self.parts.database.clock())
        self.parts.database.intraday_events.record([held])

    async def _base_of(self, close_id: str) -> Base:
        if self._base is None or self._base.close_id != close_id:
            self._base = await asyncio.to_thread(self.parts.base_of, close_id)
        return self._base


def _cause(breach: RecordedEvent) -> str:
    return f"{LADDER_CAUSE}{breach.event_id}"


def _told_of(record: ReductionRecord, breach: RecordedEvent, at: datetime) -> IntradayEvent:
    """Return the event by which people hear that a plan is there."""
    short, digest = record.plan_id[:12], record.payload_hash[:16]
    what = {
        "shadow": f"nothing is sent: see `plimsoll reduce show {short}`",
        "proposed": f"`plimsoll reduce approve {short} --hash {digest}`",
    }
    next_action = what.get(
        record.state, f"it is sent within its limits: `plimsoll reduce stop {short}`"
    )
    words = f"plan {short} of {record.notional:.0f} USD in mode {record.mode} by the ladder"
    said = _Said(subject=record.plan_id, reason=words, next_action=next_action)
    return _event(record.intent.netting_set_id, breach, said, at)


def _held(name: str, breach: RecordedEvent, words: str, at: datetime) -> IntradayEvent:
    next_action = (
        "it is planned by itself as soon as that is over; until then a person decides with "
        f"`plimsoll reduce propose {name}`"
    )
    said = _Said(
        subject=f"{breach.event_id}/held", reason=f"nothing is sold: {words}",
        next_action=next_action,
    )  # fmt: skip
    return _event(name, breach, said, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What people are to hear of; ``subject`` makes the fact one of a kind."""

    subject: str
    reason: str
    next_action: str


def _event(name: str, breach: RecordedEvent, said: _Said, at: datetime) -> IntradayEvent:
    facts: Mapping[str, str] = breach.payload
    kept = ("netting_set_id", "client_id", "currency", "cause", "level", "shortfall", "run_id")
    return IntradayEvent(
        kind=EVENT,
        resource=f"{NETTING_SET}{name}",
        subject=said.subject,
        occurred_at=at,
        payload={
            **{key: facts[key] for key in kept if key in facts},
            "reason": said.reason[:300],
            "next_action": said.next_action,
        },
        run_id=breach.run_id,
    )
