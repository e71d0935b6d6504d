"""The payment desk: inside limits it pays a call once; else it says what it waits for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from engine.calls.disputes import dispute_reason
from engine.transfers.approvals import COLLECTOR
from infra.db.loop_lease import Fenced
from infra.paying import settle_paid
from infra.paying.live import Distrust
from tests.integration.db.call_facts import act, one_call
from tests.integration.db.facts import bound, calls
from tests.integration.paying.counter import Counter, call_of, counter, policy
from tests.integration.transfers.conftest import Office


@pytest.fixture
def at(office: Office) -> Counter:
    return counter(office)


def standing(at: Counter, call_id: str):
    return at.office.database.calls.record(call_id).standing


def test_a_call_inside_limits_is_agreed_pledged_sent_and_settled_by_itself(at: Counter) -> None:
    call_id = call_of(at.office)
    at.round()
    (sent,) = at.office.database.transfers.list()
    assert (sent.proposer, sent.intent.purpose, sent.attempts) == (COLLECTOR, call_id, 1)
    assert at.office.venue.n_executions(sent.transfer_key) == 1
    at.office.clock.advance(60)
    at.round()
    found = standing(at, call_id)
    assert (found.state, found.settled, found.called) == ("settled", Decimal(90), Decimal(90))
    facts = at.office.database.calls.record(call_id).facts
    assert [(one["kind"], one["principal"]) for one in facts] == [
        ("agreed", "standing instruction"), ("pledged", "standing instruction"),
        ("settled", "desk"),
    ]  # fmt: skip
    at.round()
    assert len(at.office.database.transfers.list()) == 1
    assert at.reasons() == {}


def test_a_call_is_not_touched_whose_agreement_does_not_say_so(office: Office) -> None:
    at = counter(office, collection="by_hand")
    call_id = call_of(office)
    at.round()
    asyncio.run(at.desk.plan_round())
    assert office.database.transfers.list() == []
    assert standing(at, call_id).state == "issued"


def test_i14_above_the_limit_it_stays_proposed_for_four_eyes(office: Office) -> None:
    at = counter(office, under=policy("1"))
    call_id = call_of(office)
    at.round()
    (waiting,) = office.database.transfers.list()
    assert waiting.state == "proposed"
    assert at.desk.told().transfers["approval"] == 1
    # What waits for a person is on its way as well: it is not proposed again.
    office.clock.advance(60)
    at.round()
    assert len(office.database.transfers.list()) == 1
    assert standing(at, call_id).in_flight == 90
    desk = at.desk.parts.transfers
    desk.approve(waiting.transfer_key, "bob", waiting.payload_hash)
    at.round()
    office.clock.advance(60)
    at.round()
    assert standing(at, call_id).state == "settled"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": "held"}, "inputs of NS-1 are in doubt: stale marks of okx"),
        ({"owed": 400.0}, "covered again"),
        ({"is_deciding": False}, "first snapshots"),
        ({"distrusted": (Distrust(scope="venue", name="sim", state="down", reason="gone"),)},
         "sim/a: venue sim is down, gone"),
        ({"distrusted": (Distrust(scope="account", name="vault", state="uncertain", reason="x"),)},
         "account vault is uncertain"),
        ({"distrusted": (Distrust(scope="account", name="house", state="down", reason="x"),)},
         "sim/b: account house is down"),
        ({"distrusted": (Distrust(scope="underlying", name="BTC", state="stale", reason="x"),)},
         "nothing is free"),
    ],
)  # fmt: skip
def test_i31_i32_nothing_leaves_on_doubt_and_it_is_paid_when_the_doubt_ends(
    at: Counter, change: dict[str, object], words: str
) -> None:
    call_id = call_of(at.office)
    sound = at.books.__dict__.copy()
    at.books.__dict__.update(change)
    at.round()
    assert at.office.database.transfers.list() == []
    reason = at.reasons()[call_id]
    assert words in reason.words
    assert reason.next_action
    assert at.desk.told().n_waiting == 1
    at.books.__dict__.update(sound)
    at.desk.waiting.drop(call_id)
    at.round()
    assert len(at.office.database.transfers.list()) == 1


def test_i48_an_armed_kill_switch_lets_nothing_be_planned(at: Counter) -> None:
    call_id = call_of(at.office)
    at.office.kill_switch.arm("carol", "drill")
    at.round()
    assert at.office.database.transfers.list() == []
    assert standing(at, call_id).state == "issued"
    assert "kill switch is armed by carol" in at.desk.told().trouble
    for name in ("carol", "dave"):
        at.office.kill_switch.disarm(name, "drill over")
    at.round()
    assert len(at.office.database.transfers.list()) == 1


def test_i13_what_limits_of_the_day_leave_is_paid_and_the_rest_is_said(office: Office) -> None:
    at = counter(office, under=policy(limit="1.5"))
    call_id = call_of(office)
    at.round()
    (sent,) = office.database.transfers.list()
    assert sent.intent.quantity == Decimal("1.5")
    assert sent.state != "proposed"
    assert "stay unpaid" in at.reasons()[call_id].words
    office.clock.advance(60)
    at.round()
    assert len(office.database.transfers.list()) == 1
    assert "limits of the day are used up" in at.reasons()[call_id].words


def test_i43_a_desk_whose_loop_does_not_lead_any_more_records_and_sends_nothing(
    office: Office,
) -> None:
    old = counter(office)
    call_of(office)
    new = counter(office, holder="two")
    with pytest.raises(Fenced):
        asyncio.run(old.desk.run(asyncio.Event()))
    asyncio.run(old.desk.scan())
    with pytest.raises(Fenced):
        asyncio.run(old.desk.plan_round())
    assert office.database.transfers.list() == []
    new.round()
    assert len(office.database.transfers.list()) == 1


def test_i15_i22_what_is_on_its_way_for_a_call_that_is_replaced_is_not_asked_for_again(
    at: Counter,
) -> None:
    first = call_of(at.office)
    at.plan()
    run = bound(at.office.database, force=True)
    later = at.office.database.calls.issue(run.run_id, calls({"NS-1": "120"}))
    successor = str(later["call_id"][0])
    at.plan()
    sent = {one.intent.purpose: one for one in at.office.database.transfers.list()}
    assert set(sent) == {first, successor}
    found = standing(at, successor)
    assert (found.in_flight, found.outstanding) == (Decimal(120), Decimal(120))
    # 90 are on their way: 30 more are what the larger call asks for.
    assert sent[successor].intent.quantity == pytest.approx(Decimal(30) / 45, rel=Decimal("0.2"))
    at.round()
    at.office.clock.advance(60)
    at.round()
    assert standing(at, successor).state == "settled"
    assert len(at.office.database.transfers.list()) == 2


def test_what_the_client_contests_is_not_collected(at: Counter) -> None:
    call_id = call_of(at.office)
    actions = at.office.database.call_actions
    actions.dispute(call_id, Decimal(40), dispute_reason("exposure"), act("client"))
    at.plan()
    found = standing(at, call_id)
    assert (found.in_flight, found.disputed) == (Decimal(40), Decimal(50))


def test_i07_what_a_venue_refuses_is_paid_anew_and_after_the_third_a_person_is_asked(
    at: Counter,
) -> None:
    call_id = call_of(at.office)
    at.office.venue.treatment = "refused"
    for _ in range(5):
        at.round()
        at.office.clock.advance(60)
    records = at.office.database.transfers.list()
    assert [one.state for one in records] == ["rejected"] * 3
    assert len({one.transfer_key for one in records}) == 3
    assert "refused by venues" in at.reasons()[call_id].words
    assert standing(at, call_id).in_flight == 0


def test_what_a_person_refuses_is_not_proposed_again(office: Office) -> None:
    at = counter(office, under=policy("1"))
    call_id = call_of(office)
    at.plan()
    (waiting,) = office.database.transfers.list()
    at.desk.parts.transfers.reject(waiting.transfer_key, "carol", "not this client")
    settle_paid(office.database)
    at.plan()
    assert len(office.database.transfers.list()) == 1
    assert "refused by a person" in at.reasons()[call_id].words


def test_i09_two_calls_do_not_plan_with_the_same_coin(office: Office) -> None:
    office.venue.balances["sim/a"] = Decimal("2.2")
    at = counter(office, under=policy("1"))
    rows = calls({"NS-1": "90", "NS-2": "90"})
    office.database.calls.issue(bound(office.database).run_id, rows)
    at.plan()
    records = office.database.transfers.list()
    assert sum(one.intent.quantity for one in records) <= Decimal("2.2")
    assert any("unpaid" in one.words or "free" in one.words for one in at.reasons().values())


def test_a_round_is_bounded_and_asks_the_loop_once(at: Counter) -> None:
    at.desk.pace = replace(at.desk.pace, planned=2)
    names = {"NS-1": "20", "NS-2": "30", "NS-3": "10"}
    at.office.database.calls.issue(bound(at.office.database).run_id, calls(names))
    at.plan()
    # The largest first, then what is due first: here the name decides.
    assert at.books.asked[-1] == ("NS-2", "NS-1")
    assert len(at.office.database.transfers.list()) == 2
    asyncio.run(at.desk.plan_round())
    assert at.books.asked[-1] == ("NS-3",)


def test_what_failed_its_cure_is_still_collected(at: Counter) -> None:
    call_id = one_call(at.office.database, "90")
    at.office.clock.advance(3600 * 24)
    at.office.database.call_ageing.age(at.office.clock(), "clock")
    assert standing(at, call_id).state != "issued"
    at.plan()
    assert standing(at, call_id).in_flight == 90


def test_a_desk_settles_what_arrived_for_one_that_was_killed_right_then(office: Office) -> None:
    first = counter(office)
    call_id = call_of(office)
    first.plan()
    asyncio.run(first.desk.send_round())
    office.resolve()
    assert standing(first, call_id).settled == 0
    second = counter(office, holder="two")
    second.round()
    assert standing(second, call_id).state == "settled"
