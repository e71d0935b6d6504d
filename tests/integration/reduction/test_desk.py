"""The desk of reductions: what people do, when it stops, and what the database itself holds."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from engine.errors import MissingDataError, ParameterError, StateError
from tests.integration.reduction.conftest import Office, by_hand, new_plan
from tests.integration.reduction.fake_venue import RatioByPosition
from tests.worlds.reductions import PERP, leg


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


def test_a_market_that_has_run_away_stops_the_plan(office: Office) -> None:
    """I-32: no venue's mark alone leads to an irreversible act."""
    record = office.working()
    office.venue.marks[PERP] = Decimal(70_000)
    office.send()
    assert office.get(record).state == "stopped"
    assert "plan anew" in office.get(record).note
    assert office.venue.n_submitted == 0


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


def test_nothing_of_a_plan_is_written_without_a_reason(office: Office) -> None:
    with pytest.raises(ParameterError, match="needs a reason"):
        office.desk.propose(new_plan(by_hand(), office.clock(), reason=""))
