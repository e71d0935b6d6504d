"""Rules of the desk: destinations, limits, approvals, and one writer for each source."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from engine.errors import ModelInputError, ParameterError, StateError
from infra.db.writers import take_over_within
from tests.integration.transfers.conftest import Office
from tests.integration.transfers.fake_venue import listed, rules, wanted

UNIT = 10**8


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


def test_no_second_person_is_needed_where_the_policy_says_so(office: Office) -> None:
    desk = office.under(rules(tiers=(("0", 0), ("5", 1))))
    listed(office.database, wanted())
    assert desk.propose(wanted("5"), "alice", "test").state == "new"
    assert desk.propose(wanted("5.00000001"), "alice", "test").state == "proposed"


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
