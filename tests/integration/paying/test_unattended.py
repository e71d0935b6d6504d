"""What the payment desk may send without a second person, and what stays for four eyes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from engine.errors import ParameterError
from engine.transfers.approvals import COLLECTOR
from engine.transfers.policy import TransferPolicy
from tests.integration.transfers.conftest import Office
from tests.integration.transfers.fake_venue import listed, rules, wanted


def unattended(most: str = "5") -> TransferPolicy:
    """Return the policy of the transfer tests with an amount that needs nobody."""
    found = rules()
    rule = replace(found.assets["BTC"], unattended_max=Decimal(most))
    return replace(found, assets={"BTC": rule})


def test_i14_the_payment_desk_sends_small_amounts_and_people_never_do_so_alone(
    office: Office,
) -> None:
    desk = office.under(unattended())
    listed(office.database, wanted())
    assert desk.propose(wanted("5"), COLLECTOR, "covers call-1").state == "new"
    above = desk.propose(wanted("5.00000001"), COLLECTOR, "covers call-1")
    assert above.state == "proposed"
    by_hand = desk.propose(wanted("1", leg=2), "alice", "test")
    assert by_hand.state == "proposed"
    with pytest.raises(ParameterError, match="cannot approve it"):
        desk.approve(above.transfer_key, COLLECTOR, above.payload_hash)
    assert desk.approve(above.transfer_key, "bob", above.payload_hash).state == "new"


def test_i14_what_was_unattended_under_another_policy_does_not_leave(office: Office) -> None:
    listed(office.database, wanted())
    record = office.under(unattended()).propose(wanted("5"), COLLECTOR, "covers call-1")
    waiting = office.send(office.under(unattended("4"))).waiting
    assert "approv" in waiting[record.transfer_key]
    assert office.venue.n_submitted == 0


def test_no_more_than_asked_for_leaves_in_one_round_and_the_eldest_first(office: Office) -> None:
    first, second = office.approved("1"), office.approved("1", leg=2)
    moved = asyncio.run(office.desk.send_due({"sim": office.venue}, 1)).moved
    assert set(moved) == {first.transfer_key}
    assert set(office.send().moved) == {second.transfer_key}


def test_nobody_acts_under_the_name_of_the_payment_desk(monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.principals import principal

    monkeypatch.setenv("PLIMSOLL_PRINCIPAL", "Payment Desk")
    with pytest.raises(ParameterError, match="which is the platform itself"):
        principal()
