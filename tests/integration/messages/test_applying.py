"""Messages of ISO 20022 drive the one state machine: each once, and only by the call's client."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from engine.calls.disputes import DisputeReason
from engine.errors import ContractViolation, MissingDataError, StateError
from infra.db import Database
from infra.messages import iso_codec
from infra.messages.applying import Correspondence, apply, request_of
from infra.messages.contents import (
    CallAmount,
    CallMessage,
    CallResponse,
    CollateralProposal,
    DisputeNotice,
    Header,
    ProposedAsset,
)
from tests.integration.db.call_facts import act, came, with_terms
from tests.integration.db.facts import CLOSE, bound, calls, requirements

BETWEEN = Correspondence(house="HOUSE", client="C-1", usd_rate=Decimal("0.9995"))


def usd(amount: str) -> CallAmount:
    return CallAmount(currency="USD", amount=Decimal(amount))


@pytest.fixture
def call(database: Database) -> str:
    run = bound(database)
    database.requirements.save(run.run_id, requirements("NS-1"))
    issued = database.calls.issue(run.run_id, with_terms(calls({"NS-1": "100"})))
    return str(issued["call_id"][0])


@pytest.fixture
def header(database: Database, call: str) -> Header:
    """Return the header with which the client answers what it was sent."""
    raw = iso_codec.encode(request_of(database.calls.record(call), CLOSE, BETWEEN))
    asked = iso_codec.decode(raw)
    assert asked.asked == usd("100")
    return replace(asked.header, message_id="C1-0001")


def send(database: Database, message: CallMessage, client: str = "C-1"):
    """Send a message as XML, the way it comes in."""
    received = iso_codec.decode(iso_codec.encode(message))
    return apply(database, client, received, lambda call, asset, quantity, place: quantity * 50)


def test_a_client_agrees_and_pledges_in_xml(database: Database, call: str, header: Header) -> None:
    agreed = CallResponse(header=header, agreed=usd("100"), note="agreed, desk 7")
    assert send(database, agreed)[0].standing.state == "agreed"
    one = ProposedAsset(
        asset="BTC", quantity=Decimal("1.2"), place="deribit/main", value=usd("999")
    )
    proposal = CollateralProposal(
        header=replace(header, message_id="C1-0002"),
        agreed=usd("100"),
        assets=(one, replace(one, asset="ETH", quantity=Decimal("0.8"))),
    )
    done = send(database, proposal)
    # At the house's own value, not the client's.
    assert done[-1].standing.in_flight == Decimal(100)
    assert all(one.is_repetition for one in send(database, proposal))
    facts = database.calls.record(call).facts
    assert [fact["reason"] for fact in facts] == [
        "agreed, desk 7", "message C1-0002", "message C1-0002",
    ]  # fmt: skip


def test_a_client_disputes_in_xml(database: Database, call: str, header: Header) -> None:
    notice = DisputeNotice(
        header=header,
        disputed=usd("40"),
        disputed_on=date(2026, 11, 21),
        contested=DisputeReason.COLLATERAL,
    )
    standing = send(database, notice)[0].standing
    assert (standing.state, standing.agreed, standing.disputed) == ("partially_disputed", 60, 40)
    assert send(database, notice)[0].is_repetition
    too_much = replace(notice, header=replace(header, message_id="2"), disputed=usd("101"))
    with pytest.raises(ContractViolation, match="101 is disputed, limit above 0 and at most 100"):
        send(database, too_much)


def test_less_than_all_is_no_agreement(database: Database, header: Header) -> None:
    with pytest.raises(ContractViolation, match="agrees to 60 of 100: name the contested figure"):
        send(database, CallResponse(header=header, agreed=usd("60")))
    eur = CallAmount(currency="EUR", amount=Decimal(100))
    with pytest.raises(ContractViolation, match="amount is in EUR, limit USD"):
        send(database, CallResponse(header=header, agreed=eur))


def test_t16_nobody_answers_for_another(database: Database, call: str, header: Header) -> None:
    agreed = CallResponse(header=header, agreed=usd("100"))
    with pytest.raises(ContractViolation, match="is of C-1, sent by C-2"):
        send(database, agreed, client="C-2")
    other = replace(agreed, header=replace(header, client="C-2"))
    with pytest.raises(MissingDataError, match="there is no call"):
        send(database, other, client="C-2")
    own = request_of(database.calls.record(call), CLOSE, BETWEEN)
    with pytest.raises(ContractViolation, match="CallRequest is sent by the house"):
        send(database, own)
    assert database.calls.record(call).standing.state == "issued"


def test_what_is_asked_for_is_what_is_open(database: Database, call: str) -> None:
    database.call_actions.settle(call, came("25.5"), act())
    assert request_of(database.calls.record(call), CLOSE, BETWEEN).asked == usd("74.5")
    database.call_actions.settle(call, came("74.5"), act())
    with pytest.raises(StateError, match="there is nothing to ask for"):
        request_of(database.calls.record(call), CLOSE, BETWEEN)


def test_a_call_in_tokens_is_asked_for_in_usd_with_its_exact_units(database: Database) -> None:
    rows = with_terms(calls({"NS-1": "250000.5"})).assign(currency="USDT")
    name = database.calls.issue(bound(database).run_id, rows)["call_id"][0]
    raw = iso_codec.encode(request_of(database.calls.record(name), CLOSE, BETWEEN))
    assert b'Ccy="USD">249875.50<' in raw
    assert iso_codec.decode(raw).asked.amount == Decimal("250000.5")
