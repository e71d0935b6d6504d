"""The loop on one base: streams in, rounds of decisions, one writer, its own state told.

One task owns the book. Streams hand it prices and reports and wake it; it decides and gives what
has to be durable to the writer, without waiting. Whatever fails degrades its own scope and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from engine.errors import ModelInputError, StateError
from engine.intraday import CollateralReport, TransferReport
from infra.db.intraday_commits import LoopBatch, LoopDecision
from infra.db.loop_lease import Fenced, Lead
from infra.intraday.accounts import AccountFollower, account_followers
from infra.intraday.base import Base
from infra.intraday.clock import STEP_SECONDS
from infra.intraday.core import Decision
from infra.intraday.desk_beside import DeskBeside
from infra.intraday.feeds import (
    MARKET,
    FeedContext,
    Follower,
    MarketFollower,
    kept_up,
)
from infra.intraday.memory import standing_memory
from infra.intraday.rates import RateFollower
from infra.intraday.relay import RelayFollower
from infra.intraday.reports import Incoming
from infra.intraday.restarting import begin_run, checkpointing, open_amounts, restart
from infra.intraday.telling import Present, Teller
from infra.intraday.trusting import Scope
from infra.intraday.wanting import held_instruments, wanted_instruments, wanted_rates
from infra.intraday.watching import Seen, Watch
from infra.intraday.writing import BoardWork, CheckpointWork, Writer, Written

if TYPE_CHECKING:
    from infra.intraday.process import LoopProcess

SECOND: Final = 1_000_000_000
_PAUSE: Final = 0.25
_RELAY_ACTION: Final = "look at the feed handler; it is read again by itself"


class Session:
    """One base's life in the loop."""

    def __init__(self, process: LoopProcess, lead: Lead, base: Base) -> None:
        self._process, self._lead, self._base = process, lead, base
        self._options, self._clock = process.options, process.clock
        self._metrics, self._database = process.metrics, process.database
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._is_over = False
        self._is_rebased = False
        self._fatal: BaseException | None = None
        self._is_faulty = False
        self._submitted: dict[int, tuple[Decision, int]] = {}
        self._n_submitted = 0
        self._may_call = False
        self._began_ns = self._clock.now().monotonic_ns
        self._markets: list[MarketFollower] = []
        self._accounts: list[AccountFollower] = []
        self._relays: list[RelayFollower] = []

    async def run(self) -> None:
        """Take up, follow the streams and decide until stopped or until a later close is there."""
        run_id = await asyncio.to_thread(
            begin_run, self._database, self._base, self._options.code_version
        )
        taken = await asyncio.to_thread(restart, self._database, self._base, run_id)
        self.core, self._inbox_position, self._how = taken.core, taken.inbox_position, taken.how
        self._teller = Teller(self.core, self._clock, self._metrics, self._options.home)
        self._desk = DeskBeside(
            self._options, self.core, self._lead, self._teller.say, lambda: self._may_call
        )
        self._writer = self._new_writer()
        # What was paid while no loop ran counts before anything is called.
        self._saw(await asyncio.to_thread(self._look))
        self._writer.start()
        feeds = [asyncio.create_task(one) for one in (*self._feeds(), self._desk.run())]
        duties = [
            asyncio.create_task(one)
            for one in (self._rounds(), self._housekeeping(), self._process.stopping.wait())
        ]
        try:
            with standing_memory():
                await asyncio.wait(duties, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await self._end([*feeds, *duties])
        if self._fatal is not None:
            raise self._fatal
        for duty in duties:
            if duty.done() and not duty.cancelled() and (error := duty.exception()) is not None:
                raise error
        if self._is_rebased:
            summary = {"decisions": self.core.number, "next": "a later close"}
            await asyncio.to_thread(self._database.runs.finish, run_id, "completed", summary)

    def _new_writer(self) -> Writer:
        connections = self._process.connections
        places = {
            place: (account.account_id, account.netting_set_id)
            for place, account in connections.accounts.items()
            if account.role == "client"
        }
        bases, venues = self._process.bases, connections.venues
        watch = Watch(self._database, self.core.run_id, self._base, bases, places, venues)
        self._look = watch.look
        return Writer(
            self._database,
            self._lead,
            on_written=lambda done: self._call_soon(self._written, done),
            on_fault=lambda error: self._call_soon(self._faulty, error),
            watch=self._look,
            on_seen=lambda seen: self._call_soon(self._saw, seen),
        )

    async def _end(self, tasks: Sequence[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._fatal is None:
            self._keep_checkpoint(is_last=True)
        # A process that does not lead any more must not write what it still has.
        await asyncio.to_thread(self._writer.stop, 10.0 if self._fatal is None else 0.0)

    def _call_soon(self, function: Callable[..., None], *values: object) -> None:
        # The loop may be closed already when the writer ends.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._heard, function, *values)

    def _heard(self, function: Callable[..., None], *values: object) -> None:
        try:
            function(*values)
        except Exception as error:  # noqa: BLE001  (a callback's error would only be logged)
            self._fatal = error
            self._is_over = True
            self._wake.set()

    def _feeds(self) -> list[Coroutine[Any, Any, None]]:
        connections = self._process.connections
        context = FeedContext(
            self.core, self._clock, self._metrics, self._wake.set, self._process.holder
        )
        works = []
        watched: set[str] = set()
        for venue, names in wanted_instruments(self._base, connections.venues).items():
            market = MarketFollower(context, venue, connections.venues[venue].market, names)
            self._markets.append(market)
            watched.update(names)
            works.append(self._kept(market.run, "venue", venue))
        if currencies := wanted_rates(self._base):
            for venue, opened in connections.venues.items():
                rates = RateFollower(context, venue, opened.day, currencies, self._options.rates)
                works.append(self._kept(rates.run, "venue", venue))
        for url in self._options.relays:
            relay = RelayFollower(context, url)
            self._relays.append(relay)
            watched.update(self.core.market.row_of)
            works.append(kept_up(relay.run, relay.failed))
        self._accounts += account_followers(context, connections)
        works += [self._kept(one.run, "account", one.account_id) for one in self._accounts]
        self.core.watch(sorted(watched & held_instruments(self._base)))
        self._teller.follow(("venue", one.venue) for one in self._markets)
        self._teller.follow(("account", one.account_id) for one in self._accounts)
        return works

    async def _kept(self, run: Callable[[], Awaitable[None]], scope: Scope, name: str) -> None:
        def tell(error: BaseException) -> None:
            # Ended by what ends any other doubt of it: a snapshot that is in the book.
            now, reason = self._clock.now(), f"{type(error).__name__}: {error}"[:300]
            self.core.trust.distrust(scope, name, "down", now.monotonic_ns, reason, MARKET)

        await kept_up(run, tell)

    async def _rounds(self) -> None:
        while not self._is_over:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.round):
                    await self._wake.wait()
            self._wake.clear()
            self._round()
            # Sockets are read between rounds, also while every round finds something to do.
            await asyncio.sleep(0)

    def _round(self) -> None:
        now = self._clock.now()
        self._may_call = self._may_call or self._is_ready(now.monotonic_ns)
        decision = self.core.decide(now, may_call=self._may_call)
        if decision.rows.size:
            self._metrics.decisions.inc()
            self._teller.board.note(decision.rows)
            if decision.oldest_ns:
                elapsed = self._clock.now().monotonic_ns - decision.oldest_ns
                self._metrics.to_decision.observe(elapsed / SECOND)
        # Said before this round, hence first.
        decision.events[:0] = self._teller.events()
        if decision.is_durable:
            self._submit(decision)
        if self._process.on_decided is not None:
            self._process.on_decided(self.core, decision, len(self._submitted))

    def _submit(self, decision: Decision) -> None:
        self._n_submitted += 1
        self._submitted[self._n_submitted] = (decision, self._clock.now().monotonic_ns)
        recorded = None
        if decision.number:
            recorded = LoopDecision(
                run_id=self.core.run_id,
                number=decision.number,
                decided_at=decision.instant.wall,
                marks=decision.marks,
                facts=decision.facts,
            )
        self._writer.submit(
            LoopBatch(
                lead=self._lead,
                run_id=self.core.run_id,
                decision=recorded,
                calls=decision.calls,
                withdrawals=decision.withdrawals,
                messages=[one.message for one in decision.reports],
                events=decision.events,
                tag=self._n_submitted,
            )
        )

    def _written(self, done: Sequence[Written]) -> None:
        now = self._clock.now().monotonic_ns
        self._metrics.commits.inc()
        self._metrics.commit.observe(done[0].seconds)
        for one in done:
            decision, _ = self._submitted.pop(one.batch.tag)
            self._inbox_position = max(self._inbox_position, one.committed.inbox_position)
            self._metrics.count_durable("call", len(one.committed.issued))
            self._metrics.count_durable("withdrawal", len(one.committed.withdrawn))
            self._metrics.count_durable("report", len(decision.reports))
            self._metrics.count_durable("event", one.committed.n_events)
            if decision.calls:
                self.core.committed(decision.calls, one.committed.issued)
                self._desk.called(decision.calls, one.committed.issued)
                self._wake.set()
                if decision.oldest_ns:
                    self._metrics.to_durable.observe((now - decision.oldest_ns) / SECOND)

    def _faulty(self, error: BaseException | None) -> None:
        if error is None:
            self._is_faulty = False
            self._teller.say("database", "live")
        elif isinstance(error, StateError) and not isinstance(error, Fenced):
            self._is_faulty = True
            self._metrics.commit_failures.inc()
            self._teller.say(
                "database",
                "down",
                str(error)[:300],
                "decisions go on and wait here; free the disk or bring the database back",
            )
        else:
            self._fatal = error
            self._is_over = True
            self._wake.set()

    def _saw(self, seen: Seen) -> None:
        if seen.close_id is not None and seen.close_id != self._base.close_id:
            self._is_rebased = self._is_over = True
        for incoming in seen.reports:
            try:
                self.core.take_report(incoming)
            except ModelInputError as error:
                self._refused(incoming, error)
        self.core.take_grants(seen.grants)
        if seen.open_calls is not None and not self.core.in_flight:
            self.core.know_open(open_amounts(seen.open_calls))
        self._wake.set()

    def _refused(self, incoming: Incoming, error: ModelInputError) -> None:
        """Say what the book could not take; the next session reads it again."""
        report = incoming.report
        scope: Scope = "location"
        if isinstance(report, CollateralReport):
            name = report.location
        elif isinstance(report, TransferReport):
            name = report.source
        else:
            scope, name = "account", report.account_id
        reason = (
            f"report {incoming.message_id} of {incoming.source} is not counted: {error}; "
            "say whose it is, then restart the loop or close"
        )
        now_ns = self._clock.now().monotonic_ns
        self.core.trust.distrust(scope, name, "uncertain", now_ns, reason[:300], "report")

    def _is_ready(self, now_ns: int) -> bool:
        """Return whether decisions may begin: all snapshots are there, or waited for enough."""
        followers: tuple[Follower, ...] = (*self._markets, *self._accounts, *self._relays)
        if all(one.is_healed for one in followers):
            return True
        if now_ns - self._began_ns < self._options.grace * SECOND:
            return False
        for one in followers:
            one.give_up_waiting(self._began_ns)
        return True

    async def _housekeeping(self) -> None:
        options = self._options
        duties: dict[Callable[[], None], float] = {
            self._watch_ages: _PAUSE,
            self._tell: options.board,
            self._keep_checkpoint: options.checkpoint,
            self._rebuild: options.rebuild,
            self._advance: options.advance,
        }
        now = self._clock.now().monotonic_ns / SECOND
        due = {duty: now + (0.0 if duty == self._tell else every) for duty, every in duties.items()}
        while not self._is_over:
            now = self._clock.now().monotonic_ns / SECOND
            for duty, every in duties.items():
                if now >= due[duty]:
                    due[duty] = now + every
                    duty()
            await asyncio.sleep(_PAUSE)

    def _rebuild(self) -> None:
        self._metrics.drift.set(self.core.book.rebuild().largest)

    def _advance(self) -> None:
        self.core.book.advance(self._clock.now().wall)
        self._wake.set()

    def _watch_ages(self) -> None:
        if not self._may_call:
            return
        now_ns, trust = self._clock.now().monotonic_ns, self.core.trust
        stale = self.core.stale_assets(now_ns)
        for name, seconds in stale.items():
            reason = f"a held instrument has had no new price for {min(seconds, 1e6):.0f} s"
            trust.distrust("underlying", name, "stale", now_ns, reason, "age")
        for one in trust.current():
            if one.scope == "underlying" and one.name not in stale:
                trust.heal("underlying", one.name, now_ns, "age")
        for relay in self._relays:
            state = "degraded" if relay.trouble else "live"
            self._teller.say(relay.name, state, relay.trouble, _RELAY_ACTION)
        step = self._clock.step_seconds()
        if abs(step) > STEP_SECONDS:
            self._teller.say(
                "clock",
                "degraded",
                f"the machine's clock stepped by {step:+.1f} s",
                "durations are unharmed; correct the clock, then restart the loop",
            )
        for market in self._markets:
            if market.offset_seconds is not None:
                self._metrics.offset.labels(market.venue).set(market.offset_seconds)

    def _tell(self) -> None:
        now = self._clock.now()
        self._teller.say(
            "loop", "live", f"epoch {self._lead.epoch}, {self._how} on {self.core.run_id}"
        )
        health: pd.DataFrame = self._teller.health()
        if not self._is_faulty:
            self._writer.show(BoardWork(self._teller.board.take(now.wall), health))
        oldest = min((at for _, at in self._submitted.values()), default=now.monotonic_ns)
        facts = {
            "holder": self._lead.holder,
            "epoch": self._lead.epoch,
            "how": self._how,
            "is_deciding": self._may_call,
            "payments": self._desk.as_json(),
            "approvals": self.core.granting.as_json(self.core.names),
        }
        waiting = (now.monotonic_ns - oldest) / SECOND
        present = Present(facts=facts, n_waiting=len(self._submitted), waiting_seconds=waiting)
        told = self._teller.write(health, present)
        if self._process.on_told is not None:
            self._process.on_told(told)

    def _keep_checkpoint(self, *, is_last: bool = False) -> None:
        # What the inbox does not have yet must not be in it: the book would be ahead of it.
        is_ahead = any(decision.reports for decision, _ in self._submitted.values())
        if self._is_faulty or is_ahead or not (is_last or self._writer.is_checkpoint_due):
            return
        make = checkpointing(self.core, self._clock.now().wall, self._inbox_position)
        self._writer.checkpoint(CheckpointWork(self.core.run_id, make))
