"""A loop with its journal, without sockets and threads."""

from __future__ import annotations

from infra.db import Database
from infra.db.intraday_commits import LoopBatch, LoopDecision
from infra.db.loop_lease import Lead
from infra.intraday.base import Base
from infra.intraday.core import Decision, LoopCore
from infra.intraday.reports import Incoming
from infra.intraday.restarting import begin_run, checkpoint_of, restart
from tests.worlds.loop import BITCOIN, WALL, base, bitcoin, instant, ticks

CLOSE = base({"A": 140_000.0, "B": 1e7})


class Life:
    """A loop with its journal, without sockets and threads."""

    def __init__(self, database: Database, holder: str = "one", close: Base = CLOSE) -> None:
        self.database = database
        seen = database.loop_leases.look("intraday")
        self.lead: Lead = database.loop_leases.take("intraday", holder, seen)
        self.run_id = begin_run(database, close, "1.0")
        found = restart(database, close, self.run_id)
        self.core: LoopCore = found.core
        self.how, self.position = found.how, found.inbox_position
        self.core.watch(BITCOIN)

    def tick(self, price: float, seconds: float) -> Decision:
        self.core.take_ticks(ticks(self.core, bitcoin(price), seconds))
        return self.commit(self.core.decide(instant(seconds)))

    def report(self, number: int, report: object) -> None:
        self.core.take_report(Incoming("okx/a", f"m-{number}", report, WALL))  # type: ignore[arg-type]

    def commit(self, decision: Decision) -> Decision:
        recorded = None
        if decision.number:
            recorded = LoopDecision(
                run_id=self.run_id, number=decision.number, decided_at=decision.instant.wall,
                marks=decision.marks, facts=decision.facts,
            )  # fmt: skip
        done = self.database.intraday_commits.commit(
            LoopBatch(
                lead=self.lead, run_id=self.run_id, decision=recorded, calls=decision.calls,
                withdrawals=decision.withdrawals, events=decision.events,
                messages=[one.message for one in decision.reports],
            )
        )  # fmt: skip
        self.position = done.inbox_position
        self.core.committed(decision.calls, done.issued)
        return decision

    def checkpoint(self) -> None:
        point = checkpoint_of(self.core, WALL, self.position)
        self.database.intraday_journal.keep_checkpoint(self.run_id, self.lead, point)
