"""Any history of people, venues, faults and restarts keeps the invariants of reductions."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine.errors import MarginPlatformError, ParameterError, StateError
from engine.reduction.states import FAILED, ORDER_EDGES, PLAN_EDGES
from infra.db import Database
from infra.outbound import KillSwitch
from infra.reduction import OrderDecision, ReductionDesk
from tests.integration.reduction.conftest import by_hand, new_plan
from tests.integration.reduction.fake_venue import TREATMENTS, Markets
from tests.integration.transfers.fake_venue import Clock
from tests.worlds.reductions import PERP, leg, policy

PEOPLE = ("alice", "bob", "carol")
MODES = ("shadow", "approval", "automatic")
LOT = Decimal("0.1")
RULES = policy(caps={"slice_seconds_min": 1.0, "day_notional_max": Decimal(900_000)})


class ReductionHistory(RuleBasedStateMachine):
    """People propose, approve, refuse and stop; venues misbehave; processes restart."""

    make: Callable[[], Database]

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(datetime(2026, 11, 21, 6, tzinfo=UTC))
        self.database = type(self).make()
        self.database.clock = self.clock
        self.home = Path(tempfile.mkdtemp(prefix="plimsoll-kill-"))
        self.venue = Markets(self.clock, positions={PERP: Decimal(10)})
        self.venue.on_submit = self._asked
        self.seen: dict[str, int] = {}
        self.others = Decimal(0)
        self.restart()

    def _asked(self) -> None:
        assert not self.desk.kill_switch.status().is_armed, "I-48"

    @initialize(
        lots=st.integers(1, 120),
        mode=st.sampled_from(("approval", "automatic")),
        treatment=st.sampled_from(TREATMENTS),
    )
    def begin(self, lots: int, mode: str, treatment: str) -> None:
        """Begin with a plan at work, so that histories are about what follows."""
        record = self._propose(lots, "hand:0", mode)
        for who in ("bob", "carol"):
            if self.database.reductions.get(record.plan_id).state == "proposed":
                self.desk.approve(record.plan_id, who, record.payload_hash)
        self.send(treatment, 0)
        self.resolve(True, 0)

    @rule()
    def restart(self) -> None:
        self.database.close()
        switch = KillSwitch(self.home, self.clock)
        self.desk = ReductionDesk(self.database, RULES, switch)

    @rule(lots=st.integers(1, 120), cause=st.integers(1, 4), mode=st.sampled_from(MODES))
    def propose(self, lots: int, cause: int, mode: str) -> None:
        try:
            self._propose(lots, f"hand:{cause}", mode)
        except StateError as error:
            assert "one plan of a netting set" in str(error)
            assert self._open() is not None
        except ParameterError as error:
            assert "takes the next attempt" in str(error)

    def _propose(self, lots: int, cause: str, mode: str):
        wanted = by_hand(cause=cause, legs=(leg(lots=lots),))
        return self.desk.propose(new_plan(wanted, self.clock(), mode=mode))

    @precondition(lambda self: self._open() is not None)
    @rule(who=st.sampled_from(PEOPLE), is_right=st.booleans())
    def approve(self, who: str, is_right: bool) -> None:
        record = self._open()
        digest = record.payload_hash if is_right else "0" * 64
        known = self.database.reductions.approvals(record.plan_id)
        is_late = record.valid_until <= self.clock()
        if record.state != "proposed" or is_late:
            with pytest.raises(StateError):
                self.desk.approve(record.plan_id, who, digest)
        elif who == record.proposer or not is_right or who in known:
            with pytest.raises(ParameterError):
                self.desk.approve(record.plan_id, who, digest)
        else:
            self.desk.approve(record.plan_id, who, digest)

    @precondition(lambda self: self._open() is not None)
    @rule(who=st.sampled_from(PEOPLE))
    def take_back(self, who: str) -> None:
        record = self._open()
        act = self.desk.reject if record.state == "proposed" else self.desk.stop
        if record.state == "stopping":
            with pytest.raises(StateError):
                act(record.plan_id, who, "test")
        else:
            act(record.plan_id, who, "test")

    @rule(treatment=st.sampled_from(TREATMENTS), seconds=st.sampled_from([0, 6, 70]))
    def send(self, treatment: str, seconds: int) -> None:
        self.clock.advance(seconds)
        self.venue.treatment = treatment
        before, held = self.venue.n_submitted, self.venue.positions[PERP]
        asyncio.run(self.desk.send_due(self.venue.wiring))
        assert self.venue.n_submitted - before <= 1
        if self.venue.n_submitted > before and self.venue.orders:
            latest = self.venue.orders[-1]
            is_new = latest.key not in self.seen
            assert not is_new or latest.quantity <= abs(held), "I-47: never asks for more"

    @rule(answers=st.booleans(), seconds=st.sampled_from([0, 6, 15, 400]))
    def resolve(self, answers: bool, seconds: int) -> None:
        self.clock.advance(seconds)
        self.venue.lookups_fail = not answers
        asyncio.run(self.desk.resolve_due(self.venue.wiring, everything=True))

    @rule(treatment=st.sampled_from(TREATMENTS))
    def later(self, treatment: str) -> None:
        """Let the quiescence pass, look, and send what follows."""
        self.resolve(True, 20)
        self.send(treatment, 6)

    @rule(lots=st.integers(-40, 40))
    def somebody_trades(self, lots: int) -> None:
        """Another hand trades, the venue liquidates, ADL takes a leg."""
        self.venue.positions[PERP] += lots * LOT
        self.others += lots * LOT

    @rule(factor=st.sampled_from(["0.97", "1.03", "0.5"]))
    def market_moves(self, factor: str) -> None:
        self.venue.marks[PERP] *= Decimal(factor)

    @rule()
    def arm(self) -> None:
        self.desk.kill_switch.arm("alice", "test")

    @precondition(lambda self: self.desk.kill_switch.status().is_armed)
    @rule()
    def disarm(self) -> None:
        for who in ("bob", "carol"):
            if self.desk.kill_switch.status().disarm_requested_by != who:
                self.desk.kill_switch.disarm(who, "test")

    @rule(who=st.sampled_from(PEOPLE))
    def decide(self, who: str) -> None:
        """A person looks at the venue itself, after everything that waits there is through."""
        stuck = [one for one in self.desk.in_flight() if one.state == "stuck"]
        if not stuck:
            return
        self.clock.advance(600)
        self.venue.settle()
        key = stuck[0].order_key
        filled = sum((one.filled for one in self.venue.orders if one.key == key), Decimal(0))
        decision = OrderDecision(filled_lots=int(filled / LOT), principal=who, reason="looked")
        try:
            self.desk.decide(key, decision)
        except MarginPlatformError:
            assert who == "alice"

    @invariant()
    def i06_i47_orders_are_what_the_venue_has_and_within_their_leg(self) -> None:
        executed = Counter(one.key for one in self.venue.orders)
        queued = {one.key for _, one in self.venue.queue}
        known = set()
        for record in self.database.reductions.list():
            orders = self.database.reductions.orders(record.plan_id)
            known |= {one.order_key for one in orders}
            assert record.state not in ("shadow", "proposed", "rejected", "expired") or not orders
            filled = {key: Decimal(0) for key in known}
            for one in self.venue.orders:
                filled[one.key] = filled.get(one.key, Decimal(0)) + one.filled
            for order in orders:
                n = executed[order.order_key]
                assert n <= 1, "I-06"
                if order.state in FAILED:
                    assert n == 0 and order.order_key not in queued, "I-06"
                if order.state in ("filled", "cancelled"):
                    assert order.filled_lots * LOT == filled[order.order_key], "I-06"
                assert order.notional <= RULES.caps.slice_notional_max, "I-49"
            total = sum(filled[one.order_key] for one in orders)
            assert total <= record.intent.leg(1).quantity, "I-47: children within the parent"
        assert set(executed) | queued <= known, "nothing leaves that is not on record"
        done = sum((one.filled * one.sign for one in self.venue.orders), Decimal(0))
        assert self.venue.positions[PERP] == 10 + self.others + done

    @invariant()
    def i49_no_day_exceeds_its_limit(self) -> None:
        days: Counter[object] = Counter()
        for record in self.database.reductions.list():
            leg_lots = record.intent.leg(1)
            for order in self.database.reductions.orders(record.plan_id):
                days[order.sent_at.date()] += order.filled_lots * leg_lots.lot_notional
        assert all(total <= RULES.caps.day_notional_max for total in days.values()), "I-49"

    @invariant()
    def one_plan_is_open_and_states_move_along_their_edges(self) -> None:
        plans = self.database.reductions.list()
        assert sum(one.is_open for one in plans) <= 1
        for record in plans:
            events = self.database.reductions.events(record.plan_id)
            assert len(events) >= self.seen.get(record.plan_id, 0)
            self.seen[record.plan_id] = len(events)
            for event in events[1:]:
                edges = ORDER_EDGES if event.order_key else PLAN_EDGES
                is_first = event.order_key and not event.previous
                is_fact = event.previous == event.state and event.fact
                assert (event.previous, event.state) in edges or is_first or is_fact
        self.seen |= {one.key: 1 for one in self.venue.orders}

    def teardown(self) -> None:
        self.database.audit.verify()
        self.database.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def _open(self):
        found = [one for one in self.database.reductions.list() if one.is_open]
        return found[0] if found else None


def run_histories(new_database: Callable[[], Database], n_histories: int, n_steps: int) -> None:
    machine = type("Machine", (ReductionHistory,), {"make": staticmethod(new_database)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=n_histories,
            stateful_step_count=n_steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture
def new_sqlite(sqlite_template: Path, quick_folder: Path):
    """Return a function that makes one database after the other."""
    from infra.db import open_database

    made: list[Database] = []

    def make() -> Database:
        path = quick_folder / f"history-{len(made)}.db"
        shutil.copy(sqlite_template, path)
        made.append(open_database(f"sqlite:///{path}", actor="test"))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.timeout(600)
def test_any_history_keeps_the_invariants(new_sqlite: Callable[[], Database]) -> None:
    """I-05, I-06, I-07, I-14, I-47, I-48 and I-49 after every step."""
    run_histories(new_sqlite, 12, 12)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_any_long_history_keeps_the_invariants(
    new_database: Callable[[], Database], engine_name: str
) -> None:
    run_histories(new_database, 60 if engine_name == "sqlite" else 15, 50)
