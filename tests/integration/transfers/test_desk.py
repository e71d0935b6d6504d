"""What the desk does with each answer, silence and person; on SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from engine.errors import ParameterError, StateError
from engine.ports import Reading, TransferReport
from infra.transfers import HandDecision
from tests.integration.transfers.conftest import Office
from tests.integration.transfers.fake_venue import FEE, wanted

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
    from infra.outbound import sending

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
    from infra.outbound import sending

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
