"""What the desk does with each answer, silence and person; on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from engine.errors import ModelInputError, ParameterError, StateError
from engine.ports import Reading, TransferReport
from infra.db.writers import take_over_within
from infra.transfers import HandDecision
from tests.integration.transfers.conftest import Office
from tests.integration.transfers.fake_venue import FEE, listed, rules, wanted

UNIT = 10**8


def transit(record) -> str:
    return f"transit:{record.transfer_key}"


def test_i08_i11_i15_a_transfer_moves_once_and_counts_once_on_its_way(office: Office) -> None:
    record = office.approved("2")
    assert record.state == "new"
    assert office.units("location:sim/a") == 100 * UNIT
    assert office.database.ledger.available("location:sim/a", "BTC").amount == 98
    office.venue.credits_wait = True
    office.send()
    assert office.get(record).state == "done"
    office.resolve()
    assert office.get(record).debited_at is not None
    # In transit it counts at neither place.
    assert office.units("location:sim/a") == 98 * UNIT
    assert office.units(transit(record)) == 2 * UNIT
    assert office.units("location:sim/b") == 0
    office.venue.credits_wait = False
    office.resolve()
    assert office.get(record).state == "credited"
    assert office.get(record).fee == FEE
    assert office.units(transit(record)) == 0
    assert office.units("location:sim/b") == 2 * UNIT - 1_000
    assert office.units("fees:sim") == 1_000
    office.clock.advance(10)
    office.resolve()
    assert office.get(record).state == "reconciled"
    assert office.venue.n_executions(record.transfer_key) == 1
    assert office.database.audit.verify().heads["transfer_events"].position > 5


def test_i06_unknown_is_on_record_before_the_bytes_leave(office: Office) -> None:
    record = office.approved()
    seen = []
    office.venue.on_submit = lambda: seen.append(office.get(record))
    office.send()
    assert seen[0].state == "unknown"
    assert seen[0].sent_at is not None
    assert seen[0].balance_before == Decimal(100)


@pytest.mark.parametrize("treatment", ["reset_after", "broken_adapter"])
def test_i06_executed_without_an_answer_is_found_by_its_key_and_not_sent_again(
    office: Office, treatment: str
) -> None:
    record = office.sent_as(treatment)
    assert record.state == "unknown"
    office.resolve()
    assert office.get(record).state == "done"
    office.send()
    assert office.venue.n_executions(record.transfer_key) == 1


def test_i07_not_found_proves_nothing_before_the_quiescence(office: Office) -> None:
    """Fault 19 and F4: a request that is accepted late would be executed twice by a hasty desk."""
    record = office.sent_as("delayed")
    for _ in range(6):
        office.clock.advance(2)
        office.resolve()
        office.send()
        assert office.get(record).state == "unknown"
    assert office.venue.n_submitted == 1
    office.clock.advance(15)
    office.resolve()
    assert office.get(record).state == "done"
    assert office.venue.n_executions(record.transfer_key) == 1


def test_i07_a_lost_request_is_sent_again_under_the_same_key_after_the_quiescence(
    office: Office,
) -> None:
    record = office.sent_as("reset_before")
    office.clock.advance(60)
    office.resolve()
    assert office.get(record).state == "new"
    assert office.get(record).is_exposed
    assert [one.transfer_key for one in office.desk.in_flight()] == [record.transfer_key]
    office.send()
    assert office.get(record).state == "done"
    assert [one.key for one in office.venue.executed] == [record.transfer_key]


def test_i07_a_route_without_keys_is_never_sent_again_by_itself(office: Office) -> None:
    office.venue.is_keyed = False
    office.venue.has_lookup = False
    record = office.sent_as("reset_before")
    for _ in range(10):
        office.clock.advance(120)
        office.resolve()
        office.send()
    assert office.get(record).state == "stuck"
    assert office.venue.n_submitted == 1


def test_i07_without_keys_two_proofs_end_it_and_one_does_not(office: Office) -> None:
    office.venue.is_keyed = False
    record = office.sent_as("reset_before")
    office.clock.advance(60)
    # The balance has moved by something else: nothing is proven.
    office.venue.balances["sim/a"] -= Decimal("0.3")
    office.resolve()
    assert office.get(record).state == "unknown"
    office.venue.balances["sim/a"] += Decimal("0.3")
    office.resolve()
    assert office.get(record).state == "rejected"
    assert office.database.ledger.available("location:sim/a", "BTC").amount == 100


def test_i07_a_key_that_the_venue_has_forgotten_is_not_sent_again(office: Office) -> None:
    """Fault 22: after its lifetime the key would be new to the venue."""
    office.venue.key_lifetime = timedelta(hours=1)
    record = office.sent_as("reset_before")
    office.clock.advance(25 * 3600)
    office.resolve()
    assert office.get(record).state == "rejected"
    assert office.venue.n_submitted == 1


def test_i06_a_refusal_after_a_lost_sending_needs_its_proofs(office: Office) -> None:
    """The second sending is refused, which says nothing about the first."""
    record = office.sent_as("reset_before")
    office.clock.advance(60)
    office.resolve()
    office.venue.treatment = "refused"
    office.send()
    assert office.get(record).state == "unknown"
    office.clock.advance(60)
    office.resolve()
    assert office.get(record).state == "rejected"
    assert "has not moved" in office.database.transfers.events(record.transfer_key)[-1].reason


@pytest.mark.parametrize("treatment", ["not_sent", "maintenance"])
def test_i06_what_never_left_is_queued_again_and_waits_as_long_as_asked(
    office: Office, treatment: str
) -> None:
    record = office.sent_as(treatment)
    assert record.state == "new"
    assert not record.is_exposed
    office.send()
    assert office.venue.n_submitted == 1
    office.clock.advance(31)
    office.send()
    assert office.get(record).state == "done"


def test_i06_a_refusal_for_good_releases_the_hold(office: Office) -> None:
    record = office.sent_as("refused")
    assert record.state == "rejected"
    assert office.database.ledger.available("location:sim/a", "BTC").amount == 100
    assert office.units(transit(record)) == 0


def test_i05_the_same_intent_has_one_key_and_another_payload_under_it_is_refused(
    office: Office,
) -> None:
    record = office.approved()
    assert office.desk.propose(wanted(), "mallory", "again").transfer_key == record.transfer_key
    other = wanted(address="bc1qother", network="BTC")
    assert other.key == record.transfer_key
    with pytest.raises(ParameterError, match="another payload"):
        office.desk.propose(other, "alice", "elsewhere")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transfers SET state = 'reconciled'",
        "UPDATE transfers SET state = 'proposed'",
        "UPDATE transfers SET address = 'elsewhere'",
        "UPDATE transfers SET payload_hash = 'other'",
        "UPDATE transfer_writers SET epoch = epoch",
        "DELETE FROM transfers",
    ],
)
def test_i07_the_database_itself_refuses_steps_that_are_no_edges(
    office: Office, statement: str
) -> None:
    record = office.sent_as("clean")
    with office.database.engine.connect() as connection:
        with pytest.raises(DBAPIError):
            connection.execute(text(statement))
        connection.rollback()
    assert office.get(record) == record


def test_i12_a_destination_is_checked_when_proposed_approved_and_sent(office: Office) -> None:
    intent = wanted(network="BTC", address="bc1q", memo="7")
    with pytest.raises(ModelInputError, match="is not on the whitelist"):
        office.desk.propose(intent, "alice", "test")
    listed(office.database, replace(intent, memo=""))
    with pytest.raises(ModelInputError, match="is not on the whitelist"):
        office.desk.propose(intent, "alice", "test")
    entry = listed(office.database, intent)
    record = office.desk.propose(intent, "alice", "test")
    office.desk.approve(record.transfer_key, "bob", record.payload_hash)
    office.database.whitelist.revoke(entry.entry_id, "carol", "closed")
    waiting = office.send().waiting
    assert "taken off the whitelist" in waiting[record.transfer_key]
    assert office.venue.n_submitted == 0


def test_i12_a_new_destination_cools_off_and_needs_a_second_person(office: Office) -> None:
    intent = wanted()
    content = replace(listed(office.database, intent), destination="sim/c")
    entry = office.database.whitelist.propose(content, "carol", "test")
    with pytest.raises(ParameterError, match="another person"):
        office.database.whitelist.approve(entry.entry_id, "carol", "test", timedelta(0))
    record = office.desk.propose(replace(intent, destination="sim/c"), "alice", "test")
    with pytest.raises(ModelInputError, match="waits for a second person"):
        office.desk.approve(record.transfer_key, "bob", record.payload_hash)
    office.database.whitelist.approve(entry.entry_id, "dave", "test", timedelta(hours=24))
    with pytest.raises(ModelInputError, match="cools off until"):
        office.desk.approve(record.transfer_key, "bob", record.payload_hash)
    office.clock.advance(24 * 3600 + 1)
    assert office.desk.approve(record.transfer_key, "bob", record.payload_hash).state == "new"


def test_i13_what_is_unknown_counts_against_the_limit_however_old(office: Office) -> None:
    office.desk = office.under(rules(limit="3"))
    first = office.sent_as("reset_before", "2")
    office.venue.lookups_fail = True
    office.clock.advance(3 * 24 * 3600)
    second = office.approved("2", leg=2)
    assert "limit: 3 BTC" in office.send().waiting[second.transfer_key]
    office.venue.lookups_fail = False
    office.venue.is_keyed = False
    office.resolve()
    office.resolve()
    assert office.get(first).state == "rejected"
    office.clock.advance(30)
    office.send()
    assert office.get(second).state == "done"


def test_i13_day_and_rolling_limits_end_at_midnight_and_after_24_hours(office: Office) -> None:
    office.desk = office.under(rules(limit="3"))
    office.sent_as("clean", "2")
    office.clock.advance(12 * 3600)
    second = office.approved("2", leg=2)
    assert "in this UTC day" in office.send().waiting[second.transfer_key]
    office.clock.advance(8 * 3600)
    # Another UTC day, but less than 24 hours.
    assert "in 24 hours" in office.send().waiting[second.transfer_key]
    office.clock.advance(4 * 3600 + 60)
    office.send()
    assert office.get(second).state == "done"


def test_i14_the_proposer_cannot_approve_and_no_one_twice_and_only_the_payload_seen(
    office: Office,
) -> None:
    office.desk = office.under(rules(tiers=(("0", 2),)))
    intent = wanted()
    listed(office.database, intent)
    record = office.desk.propose(intent, "alice", "test")
    with pytest.raises(ParameterError, match="cannot approve it"):
        office.desk.approve(record.transfer_key, "alice", record.payload_hash)
    with pytest.raises(ParameterError, match="payload hash"):
        office.desk.approve(record.transfer_key, "bob", "0" * 64)
    assert office.desk.approve(record.transfer_key, "bob", record.payload_hash).state == "proposed"
    with pytest.raises(ParameterError, match="already"):
        office.desk.approve(record.transfer_key, "bob", record.payload_hash)
    assert office.desk.approve(record.transfer_key, "carol", record.payload_hash).state == "new"
    with pytest.raises(StateError, match="approved by bob and carol"):
        office.desk.approve(record.transfer_key, "dave", record.payload_hash)


def test_i14_the_database_itself_refuses_an_approval_by_the_proposer(office: Office) -> None:
    record = office.approved()
    with office.database.engine.connect() as connection:
        with pytest.raises(DBAPIError):
            connection.execute(
                text(
                    "INSERT INTO transfer_approvals (transfer_key, approver, proposer, "
                    "payload_hash, recorded_at) SELECT transfer_key, proposer, proposer, "
                    "payload_hash, recorded_at FROM transfers"
                )
            )
        connection.rollback()
    assert office.database.transfers.approvals(record.transfer_key).keys() == {"bob"}


def test_i14_an_approval_that_was_not_used_in_time_is_void(office: Office) -> None:
    record = office.approved()
    office.clock.advance(25 * 3600)
    assert "needs 1 approvals" in office.send().waiting[record.transfer_key]
    assert office.venue.n_submitted == 0


def test_i43_a_writer_whose_epoch_is_over_sends_nothing(office: Office) -> None:
    """Another process takes the source over between the look at the balance and the commit."""
    record = office.approved()

    class Overtaken(type(office.venue)):  # type: ignore[misc]
        async def balance(self, place: str, asset: str):
            with office.database.writing() as connection:
                take_over_within(office.database, connection, place)
            return await super().balance(place, asset)

    office.venue.__class__ = Overtaken
    waiting = office.send().waiting
    assert "another process sends" in waiting[record.transfer_key]
    assert office.venue.n_submitted == 0


def test_i09_the_source_is_never_overdrawn_and_the_transfer_waits_for_its_amount(
    office: Office,
) -> None:
    first = office.approved("80")
    second = office.approved("80", leg=2)
    assert (first.state, second.state) == ("new", "approved")
    office.desk.reject(first.transfer_key, "carol", "not needed")
    office.send()
    assert office.get(second).state == "done"


def test_i40_webhooks_are_hints_repeated_forged_or_foreign(office: Office) -> None:
    record = office.sent_as("reset_before")

    def report(key: str, status: str) -> TransferReport:
        return TransferReport(
            key=key, venue_transfer_id="W", status=status, quantity=Decimal(1),
            reading=Reading(source="webhook", received_at=office.clock()),
        )  # fmt: skip

    before = office.database.transfers.events(record.transfer_key)
    for status in ("credited", "rejected", "done", "credited"):
        assert office.desk.ingest(report(record.transfer_key, status))
        assert not office.desk.ingest(report("f" * 32, status))
    assert office.get(record).state == "unknown"
    assert office.database.transfers.events(record.transfer_key) == before
    assert office.get(record).look_at <= office.clock()


def test_f56_a_credit_that_is_missing_is_put_before_a_person_and_heals_by_itself(
    office: Office,
) -> None:
    office.venue.credits_wait = True
    record = office.sent_as("clean")
    office.resolve()
    office.clock.advance(1000)
    office.resolve()
    assert office.get(record).state == "stuck"
    assert office.units(transit(record)) == UNIT
    office.venue.credits_wait = False
    office.resolve()
    assert office.get(record).state == "credited"
    assert office.units(transit(record)) == 0


def test_f55_a_fee_above_its_cap_is_not_booked_without_a_person(office: Office) -> None:
    record = office.sent_as("clean")
    dear = Decimal("0.002")
    real = office.venue._report
    office.venue._report = lambda order: replace(real(order), fee=dear)  # type: ignore[method-assign]
    office.resolve()
    stuck = office.get(record)
    assert stuck.state == "stuck"
    assert "fee 0.002" in stuck.note
    decision = HandDecision(
        outcome="credited", principal="alice", reason="the venue's tariff", fee=dear
    )
    with pytest.raises(ParameterError, match="another person"):
        office.desk.decide(record.transfer_key, decision)
    office.desk.decide(record.transfer_key, replace(decision, principal="erin"))
    assert office.units("fees:sim") == 200_000
    assert office.units(transit(record)) == 0


def test_f54_accepted_then_reversed_goes_back_to_the_source(office: Office) -> None:
    office.venue.credits_wait = True
    record = office.sent_as("clean")
    office.resolve()
    assert office.units("location:sim/a") == 99 * UNIT
    real = office.venue._report
    office.venue._report = lambda order: replace(  # type: ignore[method-assign]
        real(order), status="rejected", reason="compliance", is_debited=False
    )
    office.resolve()
    assert office.get(record).state == "rejected"
    assert office.units("location:sim/a") == 100 * UNIT
    assert office.units(transit(record)) == 0


def test_i48_an_armed_switch_lets_nothing_out_and_lists_what_is_in_flight(office: Office) -> None:
    flying = office.sent_as("reset_after")
    waiting = office.approved("1", leg=2)
    office.kill_switch.arm("erin", "breach")
    assert "kill switch is armed by erin" in office.send().waiting[waiting.transfer_key]
    assert office.venue.n_submitted == 1
    assert [one.transfer_key for one in office.desk.in_flight()] == [flying.transfer_key]
    with pytest.raises(ParameterError, match="another person confirms"):
        office.kill_switch.disarm("erin", "all well")
        office.kill_switch.disarm("erin", "all well")
    office.kill_switch.disarm("frank", "all well")
    office.clock.advance(60)
    office.send()
    assert office.get(waiting).state == "done"


def test_i48_armed_between_the_commit_and_the_bytes_nothing_leaves(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infra.transfers import sending

    record = office.approved()

    def arm(point: str) -> None:
        if point == "transfer:after-unknown":
            office.kill_switch.arm("erin", "breach")

    monkeypatch.setattr(sending, "crashpoint", arm)
    office.send()
    assert office.venue.n_submitted == 0
    assert office.get(record).state == "new"
    assert not office.get(record).is_exposed


def test_a_process_that_slept_after_its_commit_sends_nothing_any_more(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault 5: the resolver may have judged since."""
    from infra.transfers import sending

    record = office.approved()
    monkeypatch.setattr(
        sending, "crashpoint",
        lambda point: office.clock.advance(60) if point == "transfer:after-unknown" else None,
    )  # fmt: skip
    office.send()
    assert office.venue.n_submitted == 0
    assert office.get(record).state == "new"


def test_taking_back_what_was_sent_before_needs_the_proofs(office: Office) -> None:
    record = office.sent_as("reset_before")
    with pytest.raises(StateError, match="may have been carried out"):
        office.desk.reject(record.transfer_key, "alice", "no longer needed")
    office.clock.advance(60)
    office.resolve()
    assert office.get(record).state == "new"
    office.desk.reject(record.transfer_key, "alice", "no longer needed")
    assert office.get(record).state == "unknown"
    office.clock.advance(60)
    office.resolve()
    assert office.get(record).state == "rejected"
    assert office.venue.n_submitted == 1


def test_no_second_person_is_needed_where_the_policy_says_so(office: Office) -> None:
    desk = office.under(rules(tiers=(("0", 0), ("5", 1))))
    listed(office.database, wanted())
    assert desk.propose(wanted("5"), "alice", "test").state == "new"
    assert desk.propose(wanted("5.00000001"), "alice", "test").state == "proposed"


def test_a_gateway_that_fails_in_its_own_way_hinders_only_its_own_transfers(
    office: Office,
) -> None:
    record = office.sent_as("reset_after")

    class Broken(type(office.venue)):  # type: ignore[misc]
        async def find(self, order: object) -> None:
            raise KeyError("result")

    whole = type(office.venue)
    office.venue.__class__ = Broken
    assert record.transfer_key in office.resolve().waiting
    assert office.get(record).state == "unknown"
    office.venue.__class__ = whole
    office.resolve()
    assert office.get(record).state == "done"


def test_i05_a_movement_is_started_anew_only_after_an_end_without_effect(office: Office) -> None:
    with pytest.raises(StateError, match="is not on record"):
        office.approved("1", attempt_group=2)
    first = office.sent_as("reset_before")
    with pytest.raises(StateError, match="is unknown: only one that was rejected"):
        office.approved("1", attempt_group=2)
    office.venue.is_keyed = False
    office.clock.advance(60)
    office.resolve()
    assert office.get(first).state == "rejected"
    again = office.approved("1", attempt_group=2)
    assert again.transfer_key != first.transfer_key
    office.send()
    assert office.get(again).state == "done"
    with pytest.raises(StateError, match="is done: only one"):
        office.approved("1", attempt_group=3)


def test_i06_the_checks_see_a_resolver_that_does_not_wait(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted bug: "not found" is taken for "not executed" at once, and then it is executed."""
    from engine.transfers import resolution
    from infra.transfers import resolving

    for module in (resolution, resolving):
        monkeypatch.setattr(module, "quiet_at", lambda sending, *_: sending.sent_at)
    office.venue.is_keyed = False
    record = office.sent_as("delayed")
    office.resolve()
    office.clock.advance(30)
    office.venue._settle()
    # Executed and refused at once: what the state machine of histories forbids after every step.
    assert office.venue.n_executions(record.transfer_key) == 1
    assert office.get(record).state == "rejected"
