"""The desk of reductions: people, limits, one attempt per order, and when it stops."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from engine.errors import MissingDataError, ParameterError, StateError
from infra.db.reduction_records import REDUCTIONS
from infra.db.writers import take_over_within
from infra.reduction import OrderDecision, ReductionDesk, Wiring
from tests.integration.reduction.conftest import Office, by_hand, new_plan
from tests.integration.reduction.fake_venue import RatioByPosition
from tests.worlds.reductions import CALL, PERP, hedge, leg, policy


def test_a_plan_is_carried_out_in_slices_and_every_step_is_on_record(
    office_on_both: Office,
) -> None:
    office = office_on_both
    record = office.working()
    office.rounds()
    done = office.get(record)
    assert done.state == "restored"
    assert office.venue.positions[PERP] == 0
    orders = office.orders(record)
    assert [one.slice for one in orders] == list(range(1, 8))
    assert {one.state for one in orders} == {"filled"}
    assert sum(one.filled_lots for one in orders) == 100
    assert all(one.notional <= 100_000 for one in orders), "I-49"
    assert len({one.order_key for one in orders}) == 7
    events = office.database.reductions.events(record.plan_id)
    assert all(event.actor and event.reason for event in events), "I-53"
    assert events[0].state == "proposed" and events[-1].state == "restored"
    assert office.database.audit.verify().heads["reduction_events"].position == len(events)


def test_i05_the_same_plan_again_finds_the_first_and_another_payload_is_refused(
    office: Office,
) -> None:
    record = office.proposed()
    assert office.proposed().recorded_at == record.recorded_at
    with pytest.raises(ParameterError, match="takes the next attempt"):
        office.proposed(by_hand(legs=(leg(lots=50),)))


def test_one_plan_of_a_netting_set_is_open_at_a_time(office: Office) -> None:
    record = office.proposed()
    with pytest.raises(StateError, match="one plan of a netting set"):
        office.proposed(by_hand(cause="hand:2"))
    office.proposed(by_hand(cause="hand:3", netting_set_id="NS-2"))
    office.desk.reject(record.plan_id, "bob", "too much")
    assert office.proposed(by_hand(cause="hand:2")).state == "proposed"


def test_a_shadow_plan_never_acts_and_stands_in_nobodys_way(office: Office) -> None:
    shadow = office.proposed(mode="shadow")
    assert shadow.state == "shadow"
    with pytest.raises(StateError):
        office.desk.approve(shadow.plan_id, "bob", shadow.payload_hash)
    office.working(by_hand(cause="hand:2"))
    office.rounds(2)
    assert office.get(shadow).state == "shadow"
    assert not office.orders(shadow)


def test_i14_nobody_approves_their_own_plan_or_twice_or_another_payload(office: Office) -> None:
    record = office.proposed()
    with pytest.raises(ParameterError, match="another person"):
        office.desk.approve(record.plan_id, "alice", record.payload_hash)
    with pytest.raises(ParameterError, match="payload hash"):
        office.desk.approve(record.plan_id, "bob", "0" * 16)
    assert office.desk.approve(record.plan_id, "bob", record.payload_hash).state == "proposed"
    with pytest.raises(ParameterError, match="somebody else"):
        office.desk.approve(record.plan_id, "bob", record.payload_hash)
    office.send()
    assert office.venue.n_submitted == 0, "600,000 USD need four eyes beside the proposer"
    assert office.desk.approve(record.plan_id, "carol", record.payload_hash).state == "working"


def test_a_small_plan_goes_by_itself_in_the_automatic_mode_alone(office: Office) -> None:
    assert office.proposed(mode="automatic").state == "working"
    large = by_hand(netting_set_id="NS-2", legs=(leg(lots=200),))
    assert office.proposed(large, mode="automatic").state == "proposed"


def test_an_approval_that_comes_too_late_is_void(office: Office) -> None:
    record = office.proposed()
    office.clock.advance(3_601)
    with pytest.raises(StateError, match="propose it anew"):
        office.desk.approve(record.plan_id, "bob", record.payload_hash)
    office.send()
    assert office.get(record).state == "expired"


def test_a_plan_at_work_stops_when_its_figures_are_old(office: Office) -> None:
    record = office.working()
    office.send()
    office.clock.advance(3_601)
    office.send()
    assert office.get(record).state == "stopped"
    assert office.venue.n_submitted == 1


@pytest.mark.parametrize("what", ["reject", "stop"])
def test_a_refusal_and_a_stop_need_a_reason_and_the_right_state(office: Office, what: str) -> None:
    record = office.proposed() if what == "reject" else office.working()
    act = getattr(office.desk, what)
    with pytest.raises(ParameterError, match="needs a reason"):
        act(record.plan_id, "bob", " ")
    act(record.plan_id, "bob", "enough")
    with pytest.raises(StateError):
        act(record.plan_id, "bob", "enough")


def test_i47_it_stops_as_soon_as_the_netting_set_is_out_of_breach(office: Office) -> None:
    record = office.working()
    # 9 contracts bring 1.40 down to 0.95; slices are 1.6.
    office.rounds(standings=RatioByPosition(office.clock))
    done = office.get(record)
    assert done.state == "restored"
    assert "95.00%" in done.note or "%" in done.note
    assert office.venue.filled() == Decimal("-9.6")


def test_a_figure_that_is_old_ends_nothing(office: Office) -> None:
    record = office.working()
    stale = RatioByPosition(office.clock, start=0.5, age_seconds=301)
    office.send(standings=stale)
    assert office.get(record).state == "working"
    office.clock.advance(6)
    office.send(standings=replace(stale, age_seconds=10))
    assert office.get(record).state == "restored"


def test_a_plan_whose_legs_are_through_in_breach_is_called_insufficient(office: Office) -> None:
    record = office.working()
    office.rounds(standings=RatioByPosition(office.clock, per_contract=0.001))
    assert office.get(record).state == "insufficient"


def test_i47_what_somebody_else_has_sold_is_not_sold_twice(office: Office) -> None:
    record = office.working()
    office.send()
    office.venue.positions[PERP] = Decimal("2.5")
    office.rounds()
    assert office.venue.positions[PERP] == 0
    assert office.venue.filled() == Decimal("-4.1")
    assert office.get(record).state == "insufficient"


def test_i47_a_position_that_has_turned_is_left_alone(office: Office) -> None:
    record = office.working()
    office.venue.positions[PERP] = Decimal(-3)
    office.rounds(3)
    assert office.venue.n_submitted == 0
    assert office.get(record).state == "insufficient"


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


def test_a_market_that_has_run_away_stops_the_plan(office: Office) -> None:
    """I-32: no venue's mark alone leads to an irreversible act."""
    record = office.working()
    office.venue.marks[PERP] = Decimal(70_000)
    office.send()
    assert office.get(record).state == "stopped"
    assert "plan anew" in office.get(record).note
    assert office.venue.n_submitted == 0


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


def test_a_stop_waits_for_what_may_still_act(office: Office) -> None:
    record = office.working()
    office.venue.treatment = "reset_after"
    office.send()
    assert office.desk.stop(record.plan_id, "bob", "enough").state == "stopping"
    office.clock.advance(20)
    office.send()
    office.resolve()
    assert office.get(record).state == "stopped"
    assert (office.venue.n_submitted, office.venue.filled()) == (1, Decimal("-1.6"))


def test_a_call_that_is_paid_ends_the_reduction(office: Office, monkeypatch) -> None:
    from infra.reduction import sending, working

    record = office.working()
    office.send()
    for module in (sending, working):
        monkeypatch.setattr(module, "cause_over_within", lambda *_: "call call-1 is settled")
    office.clock.advance(6)
    office.send()
    assert office.get(record).state == "restored"
    assert office.venue.n_submitted == 1


def test_a_cause_that_names_no_call_that_is_there_ends_it(office: Office) -> None:
    record = office.working(by_hand(cause="call:nothing"))
    office.send()
    assert office.get(record).state == "restored"
    assert "no call nothing" in office.get(record).note


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


class TestTheDatabaseItself:
    """What no program can do, whoever it is."""

    @pytest.fixture
    def office(self, office_on_both: Office) -> Office:
        return office_on_both

    @pytest.fixture
    def record(self, office: Office):
        record = office.working()
        office.send()
        return office.get(record)

    def test_history_only_grows(self, office: Office, record) -> None:
        for statement in (
            "UPDATE reductions SET payload = 'x'",
            "UPDATE reductions SET state = 'proposed'",
            "DELETE FROM reductions",
            "UPDATE reduction_legs SET lots = 1000",
            "UPDATE reduction_orders SET state = 'unknown'",
            "UPDATE reduction_orders SET filled_lots = 0",
            "UPDATE reduction_orders SET order_key = 'x'",
            "DELETE FROM reduction_orders",
            "UPDATE reduction_events SET actor = 'x'",
            "DELETE FROM reduction_events",
            "DELETE FROM reduction_approvals",
        ):
            with pytest.raises(DBAPIError), office.database.engine.begin() as connection:
                connection.execute(text(statement))

    def test_i47_orders_stay_within_their_leg(self, office: Office, record) -> None:
        new = {"order_key": "f" * 32, "slice": 9, "lots": 84, "state": "unknown", "filled_lots": 0}
        statement = text(
            "INSERT INTO reduction_orders SELECT :order_key, plan_id, leg, :slice, place, :lots, "
            "limit_price, notional, position_before, epoch, sent_at, :state, 1, :filled_lots, "
            "NULL, '', 0, NULL, '' FROM reduction_orders"
        )
        with office.database.engine.connect() as connection:
            # 16 of 100 lots are filled: 84 more are just within.
            connection.execute(statement, new)
            connection.rollback()
        for changes, words in (
            ({"lots": 85}, "never more than the leg"),
            ({"state": "open"}, "begins as unknown"),
            ({"filled_lots": 1}, "begins as unknown"),
            ({"order_key": "short"}, "key_length"),
            ({"slice": 1}, "(?i)unique|append-only"),
        ):
            with (
                pytest.raises(DBAPIError, match=words),
                office.database.engine.begin() as connection,
            ):
                connection.execute(statement, {**new, **changes})

    def test_one_order_of_a_leg_may_act_at_a_time(self, office: Office) -> None:
        record = office.working()
        office.venue.treatment = "slow"
        office.send()
        assert office.states(record) == ["open"]
        with pytest.raises(DBAPIError), office.database.engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO reduction_orders SELECT 'ffffffffffffffffffffffffffffffff', "
                    "plan_id, leg, 2, place, lots, limit_price, notional, position_before, epoch, "
                    "sent_at, 'unknown', 1, 0, NULL, '', 0, NULL, '' FROM reduction_orders"
                )
            )


def test_a_plan_is_found_by_the_beginning_of_its_name(office: Office) -> None:
    record = office.proposed()
    assert office.database.reductions.get(record.plan_id[:8]).plan_id == record.plan_id
    for wrong in (record.plan_id[:7], "0" * 12, "' OR 1=1"):
        with pytest.raises(MissingDataError, match="plimsoll reduce list"):
            office.database.reductions.get(wrong)


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


def test_nothing_of_a_plan_is_written_without_a_reason(office: Office) -> None:
    with pytest.raises(ParameterError, match="needs a reason"):
        office.desk.propose(new_plan(by_hand(), office.clock(), reason=""))


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
