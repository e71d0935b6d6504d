"""How a call is paid: planned over what is free, pledged, transferred, and taken off when it came;
on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from engine.errors import MissingDataError, ParameterError
from infra.paying import Payment, Wanted, payment_plan, pledge_and_propose, settle_paid
from infra.paying.pledging import Leg, Payers
from infra.paying.settling import value_arrived
from tests.integration.db.call_facts import act, one_call
from tests.integration.db.facts import bound, calls
from tests.integration.transfers.conftest import Office
from tests.integration.transfers.fake_venue import FEE, listed, stock, wanted

PAYERS = Payers(pledger="client", proposer="alice", reason="test")


@dataclass
class Prices:
    """A coin at 50 and a tenth of haircut."""

    rates: dict[str, float] = field(default_factory=lambda: {"BTC": 50.0, "USD": 1.0})

    def value_in(self, asset: str, quantity: Decimal, place: str) -> Decimal:
        if asset not in self.rates:
            raise ParameterError(f"{asset} at {place} is not eligible")
        return (quantity * 45).quantize(Decimal("0.01"))


def asked(office: Office, call_id: str, amount: str = "90", **changes: object) -> Wanted:
    first = {
        "call_id": call_id, "owner": "client", "currency": "USD", "amount": Decimal(amount),
        "sources": ("sim/a",), "destination": "sim/b",
        "due_at": office.clock() + timedelta(hours=4), "now": office.clock(),
    }  # fmt: skip
    return Wanted(**{**first, **changes})  # type: ignore[arg-type]


def planned(office: Office, one: Wanted) -> Payment:
    work = payment_plan(
        one,
        database=office.database,
        gateways={"sim": office.venue},
        policy=office.desk.policy,
        valuation=Prices(),
    )
    return asyncio.run(work)


def agreed_call(office: Office, amount: str = "90") -> str:
    call_id = one_call(office.database, amount)
    office.database.call_actions.agree(call_id, act())
    return call_id


def paid(office: Office, call_id: str, amount: str = "90") -> tuple[Leg, ...]:
    listed(office.database, wanted())
    payment = planned(office, asked(office, call_id, amount))
    return tuple(
        pledge_and_propose(
            payment, PAYERS, database=office.database, desk=office.desk, valuation=Prices()
        )
    )


def approved(office: Office, leg: Leg) -> None:
    record = leg.transfer
    office.desk.approve(record.transfer_key, "bob", record.payload_hash)


def test_what_arrives_comes_off_the_call_once_however_often_anybody_looks(office: Office) -> None:
    call_id = agreed_call(office)
    (leg,) = paid(office, call_id)
    assert leg.value == 90
    standing = office.database.calls.record(call_id).standing
    assert (standing.state, standing.in_flight) == ("pledged", Decimal(90))
    assert settle_paid(office.database) == ()
    approved(office, leg)
    office.send()
    office.resolve()
    (settled,) = settle_paid(office.database)
    assert (settled.outcome, settled.value, settled.state) == ("settled", Decimal(90), "settled")
    assert settle_paid(office.database) == ()
    assert office.database.calls.record(call_id).standing.settled == 90


def test_a_transfer_that_was_refused_frees_the_pledge_and_the_call_is_owed_again(
    office: Office,
) -> None:
    call_id = agreed_call(office)
    (leg,) = paid(office, call_id)
    approved(office, leg)
    office.venue.treatment = "refused"
    office.send()
    (freed,) = settle_paid(office.database)
    assert freed.outcome == "freed"
    standing = office.database.calls.record(call_id).standing
    assert (standing.uncovered, standing.in_flight) == (Decimal(90), Decimal(0))
    facts = office.database.calls.record(call_id).facts
    assert leg.transfer.transfer_key[:12] in facts[-1]["reason"]


def test_what_was_refused_is_paid_anew_under_another_key(office: Office) -> None:
    call_id = agreed_call(office)
    (refused,) = paid(office, call_id)
    approved(office, refused)
    office.venue.treatment = "refused"
    office.send()
    settle_paid(office.database)
    office.venue.treatment = "clean"
    (again,) = paid(office, call_id)
    assert again.transfer.transfer_key != refused.transfer.transfer_key
    assert again.transfer.intent.attempt_group == 2
    approved(office, again)
    office.send()
    office.resolve()
    (settled,) = settle_paid(office.database)
    assert (settled.outcome, settled.state) == ("settled", "settled")
    assert office.venue.n_executions(again.transfer.transfer_key) == 1


def test_a_second_payment_of_the_same_amount_is_another_transfer(office: Office) -> None:
    call_id = agreed_call(office, "180")
    keys = set()
    for _ in range(2):
        (leg,) = paid(office, call_id)
        approved(office, leg)
        office.send()
        office.resolve()
        (settled,) = settle_paid(office.database)
        assert settled.value == 90
        keys.add(leg.transfer.transfer_key)
    assert len(keys) == 2
    assert office.database.calls.record(call_id).standing.state == "settled"


def test_paying_again_after_a_stop_in_between_finds_what_there_is(office: Office) -> None:
    call_id = agreed_call(office)
    listed(office.database, wanted())
    payment = planned(office, asked(office, call_id))
    steps = {"database": office.database, "desk": office.desk, "valuation": Prices()}
    (first,) = pledge_and_propose(payment, PAYERS, **steps)  # type: ignore[arg-type]
    (again,) = pledge_and_propose(payment, PAYERS, **steps)  # type: ignore[arg-type]
    assert again == first
    assert len(office.database.transfers.list()) == 1
    assert len(office.database.calls.record(call_id).standing.pledges) == 1


def test_a_pledge_that_was_carried_to_the_next_call_settles_there(office: Office) -> None:
    call_id = agreed_call(office)
    (leg,) = paid(office, call_id)
    approved(office, leg)
    office.send()
    run = bound(office.database, force=True)
    later = office.database.calls.issue(run.run_id, calls({"NS-1": "120"}))
    successor = str(later["call_id"][0])
    assert successor != call_id
    office.resolve()
    (settled,) = settle_paid(office.database)
    assert (settled.call_id, settled.value) == (successor, Decimal(90))
    assert office.database.calls.record(successor).standing.settled == 90
    assert settle_paid(office.database) == ()


def test_what_arrives_less_than_was_pledged_settles_in_proportion_rounded_down(
    office: Office,
) -> None:
    call_id = agreed_call(office)
    (leg,) = paid(office, call_id)
    (awaited,) = office.database.calls.awaited_pledges()
    approved(office, leg)
    office.send()
    office.resolve()
    record = office.get(leg.transfer)
    assert record.fee == FEE
    # The plan has reckoned with this fee: what was pledged has come in whole.
    assert value_arrived(awaited, record) == 90
    dearer = replace(record, fee=awaited.quantity / 3 + FEE)
    assert Decimal("59.99") <= value_arrived(awaited, dearer) <= 60


def test_no_more_is_planned_than_the_venue_lets_go_and_the_rest_is_named(office: Office) -> None:
    listed(office.database, wanted())
    call_id = agreed_call(office)
    office.venue.balances["sim/a"] = Decimal(1)
    payment = planned(office, asked(office, call_id))
    moved = sum(move.quantity for move in payment.optimum.plan.moves)
    assert moved == 1
    assert payment.shortfall == pytest.approx(Decimal(90) - Decimal(45), abs=Decimal("0.01"))


def test_only_what_could_be_sent_now_is_a_way_to_pay(office: Office) -> None:
    call_id = agreed_call(office)
    with pytest.raises(MissingDataError, match="put the destination on the whitelist"):
        planned(office, asked(office, call_id))
    entry = listed(office.database, wanted())
    assert planned(office, asked(office, call_id)).optimum.plan.moves
    office.database.whitelist.revoke(entry.entry_id, "dave", "no longer ours")
    with pytest.raises(MissingDataError, match="nothing can be sent to sim/b"):
        planned(office, asked(office, call_id))


def test_another_place_of_the_client_pays_where_the_first_is_empty(office: Office) -> None:
    listed(office.database, wanted())
    call_id = agreed_call(office)
    stock(office.database, office.venue, "5", place="sim/c")
    office.venue.balances["sim/a"] = Decimal(0)
    payment = planned(office, asked(office, call_id, sources=("sim/a", "sim/c")))
    assert {move.source for move in payment.optimum.plan.moves} == {"sim/c"}
