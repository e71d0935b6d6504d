"""Orders: one attempt each, held to limits and to what is held; and what an answer proves."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from engine.errors import ParameterError
from infra.db.reduction_records import REDUCTIONS
from infra.db.writers import take_over_within
from infra.reduction import OrderDecision, ReductionDesk, Wiring
from tests.integration.reduction.conftest import Office, by_hand
from tests.worlds.reductions import CALL, PERP, hedge, leg, policy


@pytest.mark.parametrize(
    ("treatment", "state", "n_filled"),
    [
        ("clean", "filled", "-1.6"), ("partial", "cancelled", "-0.6"),
        ("nothing", "cancelled", "0"), ("not_sent", "not_sent", "0"),
        ("maintenance", "not_sent", "0"), ("refused", "refused", "0"),
        ("reset_before", "unknown", "0"), ("reset_after", "unknown", "-1.6"),
        ("delayed", "unknown", "0"), ("broken_adapter", "unknown", "-1.6"),
        ("nonsense", "unknown", "-1.6"), ("slow", "open", "0"),
    ],
)  # fmt: skip
def test_each_answer_leads_to_the_state_that_it_proves(
    office: Office, treatment: str, state: str, n_filled: str
) -> None:
    record = office.working()
    office.venue.treatment = treatment
    office.send()
    assert office.states(record) == [state]
    assert office.venue.filled() == Decimal(n_filled)


@pytest.mark.parametrize("treatment", ["reset_before", "reset_after", "delayed", "broken_adapter"])
def test_i06_an_unknown_outcome_is_found_out_and_no_key_is_sent_twice(
    office: Office, treatment: str
) -> None:
    record = office.working()
    office.venue.treatment = treatment
    office.send()
    office.venue.treatment = "clean"
    # While it may still act, nothing else of the leg leaves.
    office.clock.advance(6)
    office.send()
    assert office.venue.n_submitted == 1
    office.rounds()
    assert office.get(record).state == "restored"
    assert office.venue.positions[PERP] == 0
    assert all(office.venue.n_executions(one.order_key) <= 1 for one in office.orders(record))
    first = office.orders(record)[0]
    assert (first.state == "not_executed") == (treatment == "reset_before")


def test_not_found_proves_nothing_while_the_position_has_moved(office: Office) -> None:
    record = office.working()
    office.venue.treatment = "reset_before"
    office.send()
    office.venue.positions[PERP] = Decimal("9.2")
    office.clock.advance(60)
    office.resolve()
    assert office.states(record) == ["unknown"]
    office.clock.advance(300)
    office.resolve()
    (order,) = office.orders(record)
    assert order.state == "stuck"
    with pytest.raises(ParameterError, match="another person"):
        decision = OrderDecision(filled_lots=8, principal="alice", reason="looked")
        office.desk.decide(order.order_key, decision)
    with pytest.raises(ParameterError, match="limit: 0 to 16"):
        decision = OrderDecision(filled_lots=17, principal="bob", reason="looked")
        office.desk.decide(order.order_key, decision)
    office.desk.decide(
        order.order_key, OrderDecision(filled_lots=8, principal="bob", reason="the venue's desk")
    )
    assert office.states(record) == ["cancelled"]
    office.venue.treatment = "clean"
    office.rounds()
    assert office.venue.positions[PERP] == 0


def test_an_order_that_is_still_open_after_its_time_is_cancelled_and_then_replaced(
    office: Office,
) -> None:
    record = office.working()
    office.venue.treatment = "slow"
    office.send()
    office.venue.treatment = "clean"
    office.clock.advance(9)
    office.resolve()
    assert office.states(record) == ["open"]
    office.clock.advance(2)
    office.resolve()
    office.resolve()
    assert office.states(record) == ["cancelled"]
    facts = [event.fact for event in office.database.reductions.events(record.plan_id)]
    assert facts.count("cancel_asked") == 1
    office.rounds()
    assert office.venue.positions[PERP] == 0


def test_a_leg_that_only_fails_is_given_up(office: Office) -> None:
    record = office.working()
    office.venue.treatment = "refused"
    office.rounds(10)
    assert office.states(record) == ["refused"] * 3
    assert office.get(record).state == "insufficient"


@pytest.mark.parametrize("trouble", ["part", "no_mark", "no_place", "no_venue"])
def test_what_cannot_be_seen_is_not_traded(office: Office, trouble: str) -> None:
    record = office.working()
    wiring = office.venue.wiring
    if trouble == "part":
        office.venue.is_whole = False
    if trouble == "no_mark":
        office.venue.marks.clear()
    if trouble == "no_place":
        wiring = Wiring({}, wiring.venues)
    if trouble == "no_venue":
        wiring = Wiring(wiring.places, {})
    worked = asyncio.run(office.desk.send_due(wiring))
    assert worked.waiting[record.plan_id]
    assert office.venue.n_submitted == 0
    assert office.get(record).note == worked.waiting[record.plan_id]


def test_i49_a_day_and_a_minute_have_their_limits(office: Office) -> None:
    rules = policy(caps={"orders_per_minute_max": 2, "slice_seconds_min": 0.0})
    record = office.working()
    desk = office.under(rules)
    for _ in range(10):
        office.send(desk)
        office.clock.advance(1)
    assert office.venue.n_submitted == 2
    office.clock.advance(60)
    office.send(desk)
    assert office.venue.n_submitted == 3
    tight = office.under(policy(caps={"day_notional_max": Decimal(300_000)}))
    for _ in range(10):
        office.send(tight)
        office.clock.advance(60)
    # Three times 96,000, and 12,000 are left: two lots.
    assert office.venue.n_submitted == 4
    assert office.venue.filled() == Decimal("-5.0")
    assert "of a day is used up" in office.get(record).note


def test_i43_a_writer_whose_epoch_is_over_sends_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process takes the account over between the epoch and the commit."""
    from infra.outbound import sending

    record = office.working()

    def overtaken(name: str) -> None:
        if name == "reduction:before-unknown":
            with office.database.writing() as connection:
                take_over_within(office.database, connection, "orders:sim/1")

    monkeypatch.setattr(sending, "crashpoint", overtaken)
    waiting = office.send().waiting
    assert "another process sends orders" in waiting[record.plan_id]
    assert office.venue.n_submitted == 0


def test_a_process_that_slept_after_its_commit_sends_nothing_any_more(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault 5: the resolver may have judged since."""
    from infra.outbound import sending

    record = office.working()
    monkeypatch.setattr(
        sending, "crashpoint",
        lambda name: office.clock.advance(3) if name == "reduction:after-unknown" else None,
    )  # fmt: skip
    office.send()
    assert office.states(record) == ["not_sent"]
    assert office.venue.n_submitted == 0


def test_i48_an_armed_switch_lets_nothing_leave_and_lists_what_is_in_flight(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infra.outbound import sending

    record = office.working()
    office.venue.treatment = "slow"
    office.send()
    office.kill_switch.arm("bob", "a test")
    assert [one.order_key for one in office.desk.in_flight()] == [
        one.order_key for one in office.orders(record)
    ]
    office.clock.advance(60)
    office.send()
    # Open past its time, yet even a cancel does not leave.
    office.resolve()
    assert (office.venue.n_submitted, office.states(record)) == (1, ["open"])
    assert office.venue.orders[0].status == "open"
    for who in ("carol", "dave"):
        office.kill_switch.disarm(who, "over")
    office.venue.treatment = "clean"
    office.clock.advance(60)
    office.resolve()
    office.resolve()

    def arm(name: str) -> None:
        if name == "reduction:after-unknown":
            office.kill_switch.arm("bob", "in between")

    monkeypatch.setattr(sending, "crashpoint", arm)
    office.clock.advance(60)
    office.send()
    assert office.states(record)[-1] == "not_sent"
    assert office.venue.n_submitted == 1, "armed between the commit and the bytes"


class TestHedges:
    """A hedge goes first, is held to what it hedges, and is never opened against the venue."""

    def plan(self, office: Office):
        office.venue.positions = {CALL: Decimal(-20)}
        office.venue.marks[CALL] = Decimal("0.05")
        closing = leg(
            number=2, instrument_id=CALL, side="buy", lots=20, lot=Decimal(1),
            tick=Decimal("0.0005"), is_option=True, exposure=Decimal(30_000),
            mark_price=Decimal("0.05"),
        )  # fmt: skip
        return office.working(
            by_hand(kind="hedge_first", legs=(hedge(lots=100), closing)),
        )

    def test_the_hedge_is_through_before_anything_else_begins(self, office: Office) -> None:
        record = self.plan(office)
        office.rounds(60)
        orders = office.orders(record)
        hedges = [one for one in orders if one.leg == 1]
        others = [one for one in orders if one.leg == 2]
        assert sum(one.filled_lots for one in hedges) == 100
        assert max(one.sent_at for one in hedges) < min(one.sent_at for one in others)
        assert office.venue.positions[PERP] == 10
        assert all(one.notional <= 50_000 for one in hedges), "I-49: a hedge's own limit"
        assert office.venue.positions[CALL] == 0

    def test_no_more_is_hedged_than_is_left_to_hedge(self, office: Office) -> None:
        record = self.plan(office)
        office.send()
        office.venue.positions[CALL] = Decimal(-5)
        office.rounds(40)
        hedged = sum(one.filled_lots for one in office.orders(record) if one.leg == 1)
        # 5 calls of 30,000 are 2.5 perpetuals.
        assert hedged == 25

    def test_a_hedge_that_the_venue_would_charge_for_is_not_opened(self, office: Office) -> None:
        record = self.plan(office)
        office.venue.has_what_if, office.venue.what_if_margin = True, Decimal(101)
        waiting = office.send().waiting
        assert "would rise from 100 to 101" in waiting[record.plan_id]
        assert office.venue.n_submitted == 0
        office.venue.what_if_margin = Decimal(99)
        office.clock.advance(6)
        office.send()
        assert office.venue.n_submitted == 1


def test_a_plan_that_was_altered_is_not_sent(office: Office, monkeypatch) -> None:
    from infra.reduction import sending

    record = office.working()

    def altered(row):
        return replace(REDUCTIONS.record_of(row), payload_hash="0" * 64)

    monkeypatch.setattr(sending, "REDUCTIONS", replace(REDUCTIONS, record_of=altered))
    assert "was altered" in office.send().waiting[record.plan_id]
    assert office.venue.n_submitted == 0


def test_two_desks_at_once_do_not_send_twice(office: Office) -> None:
    record = office.working()
    other = ReductionDesk(office.database, policy(), office.kill_switch)

    async def both() -> None:
        wiring = office.venue.wiring
        await asyncio.gather(office.desk.send_due(wiring), other.send_due(wiring))

    asyncio.run(both())
    assert office.venue.n_submitted == 1
    assert len(office.orders(record)) == 1


def test_i06_the_checks_see_a_resolver_that_does_not_wait(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: "not found" is taken for "not executed" at once, and then it is executed."""
    from engine.reduction import resolution
    from infra.reduction import resolving

    for module in (resolution, resolving):
        monkeypatch.setattr(module, "quiet_at", lambda sent, *_: sent.sent_at)
    record = office.working()
    office.venue.treatment = "delayed"
    office.send()
    office.resolve()
    office.clock.advance(6)
    office.venue.settle()
    # Not executed and executed: what the state machine of histories forbids after every step.
    (order,) = office.orders(record)
    assert order.state == "not_executed"
    assert office.venue.n_executions(order.order_key) == 1
