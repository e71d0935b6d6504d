"""Acts on calls: each once, by somebody, for a reason; amounts to the last digit."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest
from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError

from engine.calls.disputes import DisputeReason
from engine.errors import (
    InvariantBroken,
    MissingDataError,
    ModelInputError,
    ParameterError,
    StateError,
)
from infra.db import Database, open_database
from infra.db.call_tables import CallFactRow
from infra.db.tables import CallRow
from tests.integration.db.call_facts import act, btc, came, one_call, with_terms
from tests.integration.db.facts import DAY, DUE, NEXT_DAY, bound, breaks, calls, requirements
from tests.integration.db.test_audit import tamper
from tests.processes import race


def state_of(database: Database, name: str) -> str:
    return database.calls.record(name).standing.state


def test_a_call_is_agreed_pledged_and_settled(database: Database) -> None:
    name, acts = one_call(database), database.call_actions
    assert acts.agree(name, act()).standing.state == "agreed"
    pledged = acts.pledge(name, btc("100"), act())
    assert (pledged.number, pledged.standing.state) == (4, "pledged")
    settled = acts.settle(name, came("100", 4, reference="tx-1"), act("bob", "credit seen"))
    assert settled.standing.state == "settled"
    assert database.calls.open_calls().empty
    history = database.calls.history(name)
    assert history["state"].tolist() == ["computed", "issued", "agreed", "pledged", "settled"]
    assert history["actor"].tolist()[2:] == ["alice", "alice", "bob"]
    facts = database.calls.record(name).facts
    assert facts[1]["details"] == {"asset": "BTC", "quantity": "1.5", "place": "deribit/main"}
    heads = database.audit.verify().heads
    assert (heads["call_facts"].position, heads["call_events"].position) == (3, 5)


def test_i22_a_partial_settlement_reduces_what_is_asked_for_exactly(database: Database) -> None:
    name = one_call(database, "1234567890123456789012345678901.000000000000000001")
    database.call_actions.settle(name, came("0.000000000000000001"), act())
    standing = database.calls.record(name).standing
    assert standing.outstanding == Decimal("1234567890123456789012345678901")
    assert standing.state == "issued"
    database.call_actions.settle(name, came("1234567890123456789012345678901"), act())
    assert state_of(database, name) == "settled"


def test_a_partial_dispute_leaves_the_agreed_part_to_be_paid(database: Database) -> None:
    name, acts = one_call(database), database.call_actions
    acts.dispute(name, Decimal(60), DisputeReason.EXPOSURE, act())
    assert state_of(database, name) == "partially_disputed"
    acts.pledge(name, btc("60"), act())
    done = acts.settle(name, came("60", 4), act())
    assert done.standing.state == "disputed"
    assert (done.standing.outstanding, done.standing.disputed) == (40, 40)
    assert acts.withdraw_dispute(name, act()).standing.state == "issued"
    acts.agree(name, act())
    acts.pledge(name, btc("40", "0.6"), act())
    assert state_of(database, name) == "pledged"
    with pytest.raises(StateError, match="all that is agreed is on its way"):
        acts.pledge(name, btc("1", "0.1"), act())


def test_a_rejected_pledge_leaves_the_call_agreed_and_may_be_offered_again(
    database: Database,
) -> None:
    name, acts = one_call(database), database.call_actions
    with pytest.raises(StateError, match="nothing unpaid of it is agreed: agree to it first"):
        acts.pledge(name, btc("100"), act())
    acts.agree(name, act())
    first = acts.pledge(name, btc("100"), act())
    acts.reject_pledge(name, first.number, act(reason="not eligible"))
    assert state_of(database, name) == "agreed"
    again = acts.pledge(name, btc("100"), act())
    assert not again.is_repetition
    with pytest.raises(ModelInputError, match=f"pledge is 4, limit one .*: {again.number}"):
        acts.settle(name, came("1", first.number), act())


def test_a_repeated_pledge_or_settlement_finds_the_first(database: Database) -> None:
    name, acts = one_call(database), database.call_actions
    acts.agree(name, act())
    first = acts.pledge(name, btc("50"), act())
    again = acts.pledge(name, btc("50"), act("bob", "retry after a lost answer"))
    assert (again.number, again.is_repetition) == (first.number, True)
    assert again.standing.pledged == 50
    acts.settle(name, came("20", 4), act(key="a"))
    acts.settle(name, came("20", 4), act(key="a"))
    assert acts.settle(name, came("20", 4), act(key="b")).standing.settled == 40
    with pytest.raises(StateError, match="key a has been used for event 5 of call"):
        acts.settle(name, came("21", 4), act(key="a"))


def test_i53_an_act_needs_a_principal_and_a_reason(database: Database) -> None:
    name = one_call(database)
    for nobody in (act(principal=" "), act(reason="")):
        with pytest.raises(ParameterError, match="an act needs a"):
            database.call_actions.agree(name, nobody)
    row = {
        "position": 1, "fact_key": "k", "call_id": name, "number": 3, "kind": "agreed",
        "is_last": 0, "netting_set_id": "NS-1", "margin_type": "house", "details": {},
        "principal": "", "reason": "", "recorded_at": DUE, "hash": "0",
    }  # fmt: skip
    with pytest.raises(InvariantBroken), database.writing() as connection:
        connection.execute(insert(CallFactRow), row)


def test_what_is_not_allowed_names_state_and_way_out(database: Database) -> None:
    name, acts = one_call(database), database.call_actions
    with pytest.raises(MissingDataError, match="there is no call other"):
        acts.agree("other", act())
    with pytest.raises(StateError, match="is issued and cannot be dispute withdrawn: nothing"):
        acts.withdraw_dispute(name, act())
    with pytest.raises(ModelInputError, match="undisputed amount is 100, limit below 100"):
        acts.dispute(name, Decimal(100), DisputeReason.ROUNDING, act())
    with pytest.raises(ModelInputError, match="amount settled is -1, limit > 0"):
        acts.settle(name, came("-1"), act())
    acts.settle(name, came("100"), act())
    with pytest.raises(StateError, match="is settled and cannot be agreed: it is at its end"):
        acts.agree(name, act())


def _decide(url: str, name: str) -> str:
    database = open_database(url, wait_seconds=20.0)
    try:
        database.call_actions.agree(name, act("somebody", seen=2))
        return "decided"
    except StateError as error:
        return str(error)
    finally:
        database.close()


def test_of_people_who_decide_at_once_one_wins_and_the_others_look_again(
    database_url: str,
) -> None:
    database = open_database(database_url)
    name = one_call(database)
    database.close()
    answers = race(_decide, database_url, name, n=4)
    assert answers.count("decided") == 1
    wanted = "has moved on: event 3 by somebody made it agreed, you have seen event 2"
    assert sum(wanted in text for text in answers) == 3
    assert database.calls.history(name)["state"].tolist() == ["computed", "issued", "agreed"]
    database.close()


def test_i24_each_level_of_a_missed_deadline_is_escalated_once(database: Database) -> None:
    name, ageing = one_call(database), database.call_ageing
    assert ageing.age(DUE - timedelta(seconds=1), "plimsoll") == []
    first = ageing.age(DUE, "plimsoll")
    assert [(step.state, step.told) for step in first] == [("failed", ""), ("escalated", "desk")]
    assert ageing.age(DUE + timedelta(hours=1), "plimsoll") == []
    late = ageing.age(DUE + timedelta(days=2), "plimsoll")
    assert [(step.state, step.level) for step in late] == [("escalated", 2), ("reduction", 3)]
    assert ageing.age(DUE + timedelta(days=3), "plimsoll") == []
    states = database.calls.history(name)["state"].tolist()
    assert states[2:] == ["failed", "escalated", "escalated", "reduction"]
    database.call_actions.settle(name, came("100"), act())
    assert state_of(database, name) == "settled"


def test_i24_a_level_is_not_told_again_when_the_call_is_replaced(database: Database) -> None:
    one_call(database)
    database.call_ageing.age(DUE, "plimsoll")
    run = database.runs.get(f"eod-{DAY}-1")
    database.runs.finish(run.run_id, "completed", {})
    later = with_terms(calls({"NS-1": "130"}, due_at=DUE + timedelta(days=1)))
    following = bound(database, NEXT_DAY)
    name = database.calls.issue(following.run_id, later)["call_id"][0]
    steps = database.call_ageing.age(DUE + timedelta(hours=2), "plimsoll")
    assert [(step.state, step.level) for step in steps] == [
        ("failed", None),
        ("escalated", None),
        ("escalated", 2),
    ]
    assert state_of(database, name) == "escalated"


def test_i24_the_database_itself_refuses_a_second_escalation(database: Database) -> None:
    name = one_call(database)
    database.call_ageing.age(DUE, "plimsoll")
    row = {
        "position": 3, "fact_key": "other", "call_id": name, "number": 9, "kind": "escalated",
        "is_last": 0, "level": 1, "deadline": DUE, "netting_set_id": "NS-1",
        "margin_type": "house", "details": {}, "principal": "x", "reason": "x",
        "recorded_at": DUE, "hash": "0",
    }  # fmt: skip
    with database.engine.connect() as connection:
        with pytest.raises(DBAPIError):
            connection.execute(insert(CallFactRow), row)
        connection.rollback()


def test_what_is_on_its_way_goes_over_to_the_call_that_replaces(database: Database) -> None:
    old, acts = one_call(database), database.call_actions
    acts.agree(old, act())
    acts.pledge(old, btc("100"), act())
    acts.settle(old, came("30", 4), act())
    database.runs.finish(f"eod-{DAY}-1", "completed", {})
    rows = with_terms(calls({"NS-1": "90"}, due_at=DUE + timedelta(days=1)))
    new = database.calls.issue(bound(database, NEXT_DAY).run_id, rows)["call_id"][0]
    before, after = database.calls.record(old), database.calls.record(new)
    assert (before.standing.state, before.standing.in_flight) == ("superseded", 0)
    assert (after.standing.state, after.standing.in_flight) == ("pledged", 70)
    assert after.facts[0]["details"]["carried_from"] == old
    with pytest.raises(StateError, match="is superseded and cannot be settled"):
        acts.settle(old, came("70", 4), act())
    done = acts.settle(new, came("70", after.facts[0]["number"]), act())
    assert (done.standing.state, done.standing.outstanding) == ("issued", 20)
    database.audit.verify()


def test_what_was_sent_for_a_call_taken_back_is_recorded_when_it_comes(
    database: Database,
) -> None:
    name, acts = one_call(database), database.call_actions
    acts.agree(name, act())
    acts.pledge(name, btc("100"), act())
    database.runs.finish(f"eod-{DAY}-1", "completed", {})
    database.calls.withdraw(bound(database, NEXT_DAY).run_id, ["NS-1"], "covered")
    done = acts.settle(name, came("100", 4), act())
    assert (done.standing.state, done.standing.settled) == ("withdrawn", 100)


def test_a_pledge_that_comes_after_the_call_was_paid_otherwise_is_recorded(
    database: Database,
) -> None:
    name, acts = one_call(database), database.call_actions
    acts.agree(name, act())
    acts.pledge(name, btc("100"), act())
    assert acts.settle(name, came("100"), act()).standing.state == "settled"
    done = acts.settle(name, came("100", 4), act())
    assert (done.standing.settled, done.standing.outstanding) == (200, 0)
    with pytest.raises(StateError, match="money that came is seen by the close"):
        acts.settle(name, came("1"), act())


def on_request(database: Database, *, status: str = "assessed") -> str:
    run = bound(database)
    database.requirements.save(run.run_id, requirements("NS-1", status=status))
    rows = with_terms(calls({"NS-1": "-50"}), returns="on_request")
    return str(database.calls.issue(run.run_id, rows)["call_id"][0])


def test_a_return_on_request_waits_until_it_is_asked_for(database: Database) -> None:
    name, acts = on_request(database), database.call_actions
    assert state_of(database, name) == "computed"
    with pytest.raises(StateError, match="it has not been issued"):
        acts.pledge(name, btc("50"), act())
    assert acts.request_return(name, act()).standing.state == "issued"
    acts.pledge(name, btc("50"), act("treasury"))
    acts.settle(name, came("50", 3), act("treasury"))
    assert state_of(database, name) == "settled"
    with pytest.raises(StateError, match="cannot be requested: only a return that is computed"):
        acts.request_return(name, act())


def test_i23_a_break_that_opens_after_the_return_was_let_go_still_stops_it(
    database: Database,
) -> None:
    name, acts = on_request(database), database.call_actions
    run_id = database.calls.record(name).call["run_id"]
    acts.request_return(name, act())
    database.breaks.update(run_id, breaks(("B-1", 1.0)).assign(netting_set_id="NS-1"))
    with pytest.raises(StateError, match="cannot go: break B-1 is open"):
        acts.pledge(name, btc("50"), act("treasury"))


def test_i23_no_return_leaves_on_stale_inputs_or_beside_a_break_or_call(
    database: Database,
) -> None:
    name, acts = on_request(database, status="held"), database.call_actions
    run_id = database.calls.record(name).call["run_id"]
    rows = breaks(("B-1", 1.0)).assign(netting_set_id="NS-1")
    database.breaks.update(run_id, rows)
    other = with_terms(calls({"NS-1": "10"})).assign(margin_type="venue")
    database.runs.finish(run_id, "completed", {})
    following = bound(database, NEXT_DAY)
    called = database.calls.issue(following.run_id, other)["call_id"][0]
    database.runs.finish(following.run_id, "completed", {})
    with pytest.raises(StateError) as refused:
        acts.request_return(name, act())
    for reason in ("not fresh", "later close", "break B-1 is open", f"call {called} is open"):
        assert reason in str(refused.value)
    assert state_of(database, name) == "computed"


def test_i23_a_return_beside_an_open_call_of_another_type_is_not_issued(
    database: Database,
) -> None:
    rows = with_terms(calls({"NS-1": "10"})).assign(margin_type="venue")
    run = bound(database)
    database.calls.issue(run.run_id, rows)
    database.runs.finish(run.run_id, "completed", {})
    back = with_terms(calls({"NS-1": "-5"}, due_at=DUE + timedelta(days=1)))
    issued = database.calls.issue(bound(database, NEXT_DAY).run_id, back)
    assert issued["state"].tolist() == ["computed"]


def test_a_return_does_not_age(database: Database) -> None:
    one_call(database, "-100")
    assert database.call_ageing.age(DUE + timedelta(days=30), "plimsoll") == []


def test_collateral_is_replaced_new_in_before_old_out(database: Database) -> None:
    name, acts = one_call(database), database.call_actions
    acts.agree(name, act())
    acts.pledge(name, btc("100"), act())
    with pytest.raises(ModelInputError, match="limit above 0 and at most 0, which has settled"):
        acts.propose_substitution(name, 4, Decimal(100), btc("100"), act())
    acts.settle(name, came("100", 4), act())
    with pytest.raises(ModelInputError, match="the new collateral is worth 99 after haircut"):
        acts.propose_substitution(name, 4, Decimal(100), btc("99"), act())
    proposed = acts.propose_substitution(name, 4, Decimal(60), btc("61"), act())
    with pytest.raises(ModelInputError, match="at most 40, which has settled"):
        acts.propose_substitution(name, 4, Decimal(60), btc("62"), act())
    with pytest.raises(StateError, match="is proposed and cannot be released; possible: agreed"):
        acts.move_substitution(name, proposed.number, "released", act())
    for step in ("agreed", "received", "released"):
        acts.move_substitution(name, proposed.number, step, act())
    found = database.calls.record(name)
    assert found.substitutions[proposed.number].state == "released"
    assert found.standing.state == "settled"
    with pytest.raises(MissingDataError, match="has no substitution 99; there is: 6"):
        acts.move_substitution(name, 99, "agreed", act())


def test_terms_are_kept_with_the_call(database: Database) -> None:
    found = database.calls.record(one_call(database))
    assert found.terms is not None
    assert [level["name"] for level in found.terms["terms"]["levels"]] == [
        "desk", "risk", "reduction",
    ]  # fmt: skip
    rows = with_terms(calls({"NS-1": "1"}, due_at=DUE), issued_at=DUE + timedelta(seconds=1))
    with pytest.raises(ModelInputError, match="limit not before its issue"):
        database.calls.issue(bound(database, NEXT_DAY).run_id, rows)


def test_a_state_that_its_facts_do_not_explain_is_a_bug(database: Database) -> None:
    name = one_call(database)
    with database.writing() as connection:
        connection.execute(CallRow.__table__.update().values(state="agreed"))
    with pytest.raises(InvariantBroken, match="recorded as agreed, its facts say issued"):
        database.calls.record(name)


def test_standings_of_many_calls_come_together(database: Database) -> None:
    rows = with_terms(calls({"NS-1": "1", "NS-2": "2"}))
    names = database.calls.issue(bound(database).run_id, rows)["call_id"].tolist()
    database.call_actions.settle(names[0], came("0.25"), act())
    found = database.calls.standings(names)
    assert [found[name].outstanding for name in names] == [Decimal("0.75"), Decimal(2)]
    assert isinstance(database.calls.open_calls(), pd.DataFrame)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE call_facts SET amount = '61' WHERE position = 2", "row 2 does not match"),
        ("UPDATE call_facts SET principal = 'nobody' WHERE position = 1", "row 1 does not match"),
        ("UPDATE call_facts SET reason = 'other' WHERE position = 3", "row 3 does not match"),
        ("DELETE FROM call_facts WHERE position = 2", "row 2 is missing"),
        ("UPDATE call_facts SET pledge = 3 WHERE position = 3", "row 3 does not match"),
    ],
)
def test_i51_an_altered_fact_is_found_and_named(
    database: Database, statement: str, named: str
) -> None:
    name, acts = one_call(database), database.call_actions
    acts.agree(name, act())
    acts.pledge(name, btc("60"), act())
    acts.settle(name, came("60", 4), act())
    database.audit.verify()
    tamper(database, "call_facts", statement)
    with pytest.raises(StateError, match=f"call_facts chain: {named}"):
        database.audit.verify()


def test_i53_facts_cannot_be_changed_taken_away_or_replaced(database: Database) -> None:
    name = one_call(database)
    database.call_actions.agree(name, act())
    for statement in ("UPDATE call_facts SET reason = 'x'", "DELETE FROM call_facts"):
        with database.engine.connect() as connection:
            with pytest.raises(DBAPIError, match="call_facts is append-only"):
                connection.exec_driver_sql(statement)
            connection.rollback()
