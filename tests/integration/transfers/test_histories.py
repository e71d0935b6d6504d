"""Any history of people, venues, faults and restarts keeps the invariants of transfers."""

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
from engine.ports import Reading, TransferReport
from engine.transfers.states import EDGES, ENDS
from infra.db import Database
from infra.transfers import HandDecision, KillSwitch, TransferDesk
from tests.integration.transfers.fake_venue import (
    TREATMENTS,
    Clock,
    FakeVenue,
    listed,
    rules,
    stock,
    wanted,
)

PEOPLE = ("alice", "bob", "carol")
LIMIT = "12"
UNIT = 10**8
STATUSES = ("pending", "done", "credited", "rejected")


class TransferHistory(RuleBasedStateMachine):
    """People propose, approve, refuse and decide; venues misbehave; processes restart."""

    make: Callable[[], Database]

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(datetime(2026, 11, 21, 6, tzinfo=UTC))
        self.database = type(self).make()
        self.database.clock = self.clock
        self.home = Path(tempfile.mkdtemp(prefix="plimsoll-kill-"))
        self.keys: list[str] = []
        self.seen: dict[str, int] = {}
        self.by_hand: set[str] = set()

    @initialize(
        is_keyed=st.booleans(),
        quantities=st.lists(st.integers(1, 5), min_size=1, max_size=4),
        treatment=st.sampled_from(TREATMENTS),
    )
    def open(self, is_keyed: bool, quantities: list[int], treatment: str) -> None:
        """Begin with a few transfers on their way, so that histories are about what follows."""
        self.venue = FakeVenue(self.clock, is_keyed=is_keyed)
        self.database.ledger.register_assets({"BTC": 8})
        stock(self.database, self.venue, "30")
        listed(self.database, wanted())
        self.restart()
        for leg, quantity in enumerate(quantities, start=11):
            record = self.desk.propose(wanted(str(quantity), leg=leg), "alice", "test")
            self.keys.append(record.transfer_key)
            for who in ("bob", "carol"):
                if self.database.transfers.get(record.transfer_key).state == "proposed":
                    self.desk.approve(record.transfer_key, who, record.payload_hash)
        self.send(treatment, False)

    @rule()
    def restart(self) -> None:
        self.database.close()
        policy = rules(limit=LIMIT, tiers=(("0", 1), ("3", 2)))
        switch = KillSwitch(self.home, self.clock)
        self.desk = TransferDesk(self.database, policy, switch)

    @rule(leg=st.integers(1, 5), quantity=st.integers(1, 5), who=st.sampled_from(PEOPLE))
    def propose(self, leg: int, quantity: int, who: str) -> None:
        record = self.desk.propose(wanted(str(quantity), leg=leg), who, "test")
        if record.transfer_key not in self.keys:
            self.keys.append(record.transfer_key)

    @precondition(lambda self: self.keys)
    @rule(data=st.data(), who=st.sampled_from(PEOPLE), is_right=st.booleans())
    def approve(self, data: st.DataObject, who: str, is_right: bool) -> None:
        record = self.database.transfers.get(data.draw(st.sampled_from(self.keys)))
        digest = record.payload_hash if is_right else "0" * 64
        approvals = self.database.transfers.approvals(record.transfer_key)
        if record.state != "proposed":
            with pytest.raises(StateError):
                self.desk.approve(record.transfer_key, who, digest)
        elif who == record.proposer or not is_right or who in approvals:
            with pytest.raises(ParameterError):
                self.desk.approve(record.transfer_key, who, digest)
        else:
            self.desk.approve(record.transfer_key, who, digest)

    @precondition(lambda self: self.keys)
    @rule(data=st.data(), who=st.sampled_from(PEOPLE))
    def take_back(self, data: st.DataObject, who: str) -> None:
        record = self.database.transfers.get(data.draw(st.sampled_from(self.keys)))
        if record.state in ("proposed", "approved", "new"):
            self.desk.reject(record.transfer_key, who, "test")
        else:
            with pytest.raises(StateError):
                self.desk.reject(record.transfer_key, who, "test")

    @rule(treatment=st.sampled_from(TREATMENTS), waits=st.booleans())
    def send(self, treatment: str, waits: bool) -> None:
        self.venue.treatment, self.venue.credits_wait = treatment, waits
        before = self.venue.n_submitted
        is_armed = self.desk.kill_switch.status().is_armed
        asyncio.run(self.desk.send_due({"sim": self.venue}))
        assert not is_armed or self.venue.n_submitted == before, "I-48"

    @rule(answers=st.booleans(), waits=st.booleans())
    def resolve(self, answers: bool, waits: bool) -> None:
        self.venue.lookups_fail, self.venue.credits_wait = not answers, waits
        asyncio.run(self.desk.resolve_due({"sim": self.venue}, everything=True))

    @rule(treatment=st.sampled_from(TREATMENTS))
    def later(self, treatment: str) -> None:
        """Let the quiescence pass, look, and send what may be sent again."""
        self.wait(40)
        self.resolve(True, False)
        self.send(treatment, False)

    @rule(seconds=st.sampled_from([1, 10, 40, 400, 4000, 100_000]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)
        # What waits at the venue happens whether or not anybody asks.
        self.venue._settle()

    @precondition(lambda self: self.keys)
    @rule(data=st.data(), status=st.sampled_from(STATUSES))
    def webhook(self, data: st.DataObject, status: str) -> None:
        report = TransferReport(
            key=data.draw(st.sampled_from(self.keys)), venue_transfer_id="W", quantity=Decimal(1),
            status=status, reading=Reading(source="webhook", received_at=self.clock()),
        )  # fmt: skip
        assert self.desk.ingest(report)

    @rule()
    def arm(self) -> None:
        self.desk.kill_switch.arm("alice", "test")

    @precondition(lambda self: self.desk.kill_switch.status().is_armed)
    @rule()
    def disarm(self) -> None:
        for who in ("bob", "carol"):
            if self.desk.kill_switch.status().disarm_requested_by != who:
                self.desk.kill_switch.disarm(who, "test")

    @precondition(lambda self: self.database.transfers.list(["stuck"]))
    @rule(who=st.sampled_from(PEOPLE))
    def decide(self, who: str) -> None:
        """A person looks at the venue itself, after everything that waits there is through."""
        record = self.database.transfers.list(["stuck"])[0]
        self.clock.advance(60)
        self.venue._settle()
        n = self.venue.n_executions(record.transfer_key)
        is_there = record.transfer_key in self.venue.credited
        outcome = ("credited" if is_there else "done") if n else "rejected"
        fee = Decimal("0.00001") if outcome == "credited" else Decimal(0)
        decision = HandDecision(outcome=outcome, principal=who, reason="looked", fee=fee)
        try:
            self.desk.decide(record.transfer_key, decision)
            self.by_hand.add(record.transfer_key)
        except MarginPlatformError:
            assert who == record.proposer or record.credited_at is not None

    @invariant()
    def i06_executions_are_none_or_one_and_as_the_state_says(self) -> None:
        for record in self._records():
            n = self.venue.n_executions(record.transfer_key)
            assert n <= 1, "I-06"
            if record.state in ("rejected", "cancelled", "proposed", "approved"):
                assert n == 0, "I-06"
            if record.state in ("done", "credited", "reconciled"):
                assert n == 1, "I-06"

    @invariant()
    def i08_i09_i15_the_ledger_counts_everything_once(self) -> None:
        frame = self.database.ledger.balances()
        units = {row["account"]: int(row["amount"] * UNIT) for row in frame.to_dict("records")}
        assert sum(units.values()) == 0
        assert units.get("location:sim/a", 0) >= 0
        transit = sum(held for name, held in units.items() if name.startswith("transit:"))
        open_ones = sum(
            one.intent.amount for one in self._records()
            if one.debited_at and not one.credited_at and one.state not in ENDS
        )  # fmt: skip
        assert transit == open_ones, "I-08"
        assert self.database.ledger.available("location:sim/a", "BTC").amount >= 0, "I-09"

    @invariant()
    def i13_no_day_exceeds_its_limit(self) -> None:
        days: Counter[object] = Counter()
        for order in self.venue.executed:
            record = self.database.transfers.get(order.key)
            if record.sent_at is not None:
                days[record.sent_at.date()] += order.quantity
        assert all(total <= Decimal(LIMIT) for total in days.values()), "I-13"

    @invariant()
    def i07_states_move_along_the_edges_alone(self) -> None:
        for record in self._records():
            events = self.database.transfers.events(record.transfer_key)
            assert events[-1].state == record.state
            assert len(events) >= self.seen.get(record.transfer_key, 0)
            self.seen[record.transfer_key] = len(events)
            for event in events[1:]:
                is_edge = (event.previous, event.state) in EDGES
                assert is_edge or (event.previous == event.state and event.fact), "I-07"

    def teardown(self) -> None:
        self.database.audit.verify()
        self.database.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def _records(self):
        return self.database.transfers.list() if hasattr(self, "venue") else []


def run_histories(new_database: Callable[[], Database], n_histories: int, n_steps: int) -> None:
    machine = type("Machine", (TransferHistory,), {"make": staticmethod(new_database)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=n_histories,
            stateful_step_count=n_steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(600)
def test_any_history_keeps_the_invariants(
    new_database: Callable[[], Database], engine_name: str
) -> None:
    """I-05 to I-09, I-13 to I-15 and I-48 after every step."""
    run_histories(new_database, 12 if engine_name == "sqlite" else 5, 25)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_any_long_history_keeps_the_invariants(
    new_database: Callable[[], Database], engine_name: str
) -> None:
    run_histories(new_database, 60 if engine_name == "sqlite" else 20, 50)
