"""The rules of transfers, one by one."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.approvals import require_may_approve
from engine.errors import ModelInputError, ParameterError, StateError
from engine.ports import Reading, RouteGuarantees, TransferReport
from engine.transfers import (
    BalanceEvidence,
    Evidence,
    PastTransfer,
    Sending,
    TransferIntent,
    follow,
    judge_balance,
    require_fee,
    require_within_limits,
    resolve,
)
from engine.transfers.approvals import payload_of
from engine.transfers.policy import ApprovalTier, AssetRule, RouteLimit, Timing, TransferPolicy
from engine.transfers.states import EDGES, ENDS, STATES, require_edge
from infra.transfers.policy_files import DEFAULT_PARAMETERS, policy_in_force, read_policy

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TIMING = Timing(
    skew_seconds=5.0, poll_seconds=2.0, poll_seconds_max=60.0, ask_after_seconds=900.0,
    credit_due_seconds=7200.0, final_after_seconds=600.0, send_timeout_seconds=10.0,
    send_delay_seconds_max=2.0, attempts_max=3, balance_tolerance=0.01,
)  # fmt: skip
ROUTE = RouteGuarantees(
    is_keyed=True, duplicate_answer="original", has_lookup=True,
    request_expiry=timedelta(seconds=20), settle_window=timedelta(seconds=10),
)  # fmt: skip
QUIET = timedelta(seconds=2 + 30 + 5)
POLICY = TransferPolicy(
    effective_date=date(2019, 1, 1), source="test", environment="sim",
    approval_lifetime_hours=24.0, whitelist_cool_off_hours=24.0, timing=TIMING,
    assets={"BTC": AssetRule(scale=8, transfer_max=Decimal(10), fee_max=Decimal("0.01"),
                             tiers=(ApprovalTier(Decimal(0), 1), ApprovalTier(Decimal(1), 2)))},
    limits=(RouteLimit("*", "*", "BTC", Decimal(12), Decimal(15)),
            RouteLimit("sim/*", "okx/*", "BTC", Decimal(3), Decimal(3))),
)  # fmt: skip
INTENT = TransferIntent(
    purpose="call-1", leg=1, source="sim/a", destination="sim/b", asset="BTC", amount=2 * 10**8,
    scale=8, network="BTC", address="bc1q", memo="7",
)  # fmt: skip


def report(status: str = "credited", **changes: object) -> TransferReport:
    """Return what a venue says of the intent."""
    first = TransferReport(
        key=INTENT.key, venue_transfer_id="T-1", status=status, quantity=INTENT.quantity,
        reading=Reading(source="sim", received_at=NOW),
    )  # fmt: skip
    return replace(first, **changes)


def sending(seconds_ago: float = 60.0, **changes: object) -> Sending:
    """Return the record of a sending some time ago."""
    at = NOW - timedelta(seconds=seconds_ago)
    first = Sending(sent_at=at, first_sent_at=at, attempts=1, quantity=INTENT.quantity)
    return replace(first, **changes)


def past(quantity: str, **changes: object) -> PastTransfer:
    """Return a transfer of an hour ago."""
    first = PastTransfer(
        key="other", source="sim/a", destination="sim/b", asset="BTC",
        quantity=Decimal(quantity), sent_at=NOW - timedelta(hours=1), is_unknown=False,
    )  # fmt: skip
    return replace(first, **changes)


def test_i05_the_key_is_fixed_for_ever() -> None:
    """Computed here from its definition: another key in a release would send everything anew."""
    text = (
        '{"amount":"200000000","asset":"BTC","attempt_group":1,"destination":"sim/b","leg":1,'
        '"purpose":"call-1","source":"sim/a"}'
    )
    namespace = uuid.UUID("6f1d6f43-5a0b-5b53-9d0c-9c1fbc6f7a52")
    assert INTENT.key == uuid.uuid5(namespace, text).hex == "756d9616b4915cba83a1cf31f6f14d44"
    assert INTENT.payload_hash == hashlib.sha256(INTENT.canonical.encode()).hexdigest()


@pytest.mark.parametrize(
    ("change", "has_new_key"),
    [
        ({"purpose": "call-2"}, True), ({"leg": 2}, True), ({"source": "sim/c"}, True),
        ({"destination": "sim/c"}, True), ({"asset": "ETH"}, True), ({"amount": 1}, True),
        ({"attempt_group": 2}, True), ({"scale": 7}, False), ({"network": "x"}, False),
        ({"address": "x"}, False), ({"memo": "x"}, False),
    ],
)  # fmt: skip
def test_i05_i14_every_change_changes_the_hash_and_only_another_movement_the_key(
    change: dict[str, object], has_new_key: bool
) -> None:
    other = replace(INTENT, **change)
    assert other.payload_hash != INTENT.payload_hash
    assert (other.key != INTENT.key) is has_new_key
    assert len(other.key) == 32


@pytest.mark.parametrize(
    "change",
    [
        {"amount": 0}, {"amount": -1}, {"amount": 1.0}, {"amount": True}, {"amount": 10**38},
        {"scale": 19}, {"leg": 0}, {"source": "sim"}, {"destination": "sim/a"},
        {"memo": "line\nbreak"}, {"memo": "\u0661"}, {"address": "x" * 201}, {"memo": " x"},
    ],
)  # fmt: skip
def test_i03_an_intent_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ModelInputError):
        replace(INTENT, **change)


def test_i07_ends_are_final_and_there_is_one_way_to_send_again() -> None:
    assert {"reconciled", "rejected", "cancelled"} == ENDS
    assert {state for state, following in EDGES if following == "unknown"} == {"new"}
    assert not any(state in ENDS for state, _ in EDGES)
    for state in STATES:
        for following in STATES:
            if (state, following) not in EDGES:
                with pytest.raises(StateError):
                    require_edge("k", state, following)


@given(
    seconds=st.floats(0, 10_000), lookup=st.sampled_from(["absent", "unanswered", "impossible"]),
    balance=st.sampled_from(["debited", "unmoved", "unclear"]), is_keyed=st.booleans(),
    attempts=st.integers(1, 5), refusal=st.sampled_from([None, "funds", "duplicate_key", "policy"]),
    lifetime=st.sampled_from([None, 30.0, 5_000.0]),
)  # fmt: skip
def test_i07_what_is_not_found_is_never_ended_or_sent_again_without_its_proofs(
    seconds: float, lookup: str, balance: str, is_keyed: bool, attempts: int,
    refusal: str | None, lifetime: float | None,
) -> None:  # fmt: skip
    route = replace(
        ROUTE, is_keyed=is_keyed, duplicate_answer="original" if is_keyed else "none",
        key_lifetime=None if lifetime is None else timedelta(seconds=lifetime),
    )  # fmt: skip
    record = sending(seconds, attempts=attempts, refusal=refusal)
    evidence = Evidence(looked_at=NOW, lookup=lookup, balance=balance)
    verdict = resolve(record, route, evidence, TIMING).verdict
    assert verdict != "done"
    if verdict in ("rejected", "resend"):
        assert NOW - record.sent_at >= QUIET
        assert lookup == "absent"
        assert balance != "debited"
        assert refusal != "duplicate_key"
    if verdict == "rejected":
        assert balance == "unmoved"
    if verdict == "resend":
        assert is_keyed
        assert attempts < TIMING.attempts_max
        assert refusal is None
        assert lifetime is None or seconds < lifetime


def test_i07_nothing_waits_for_ever() -> None:
    evidence = Evidence(looked_at=NOW, lookup="unanswered")
    assert resolve(sending(899), ROUTE, evidence, TIMING).verdict == "wait"
    assert resolve(sending(901), ROUTE, evidence, TIMING).verdict == "ask"


def test_i06_another_quantity_under_our_key_is_for_a_person() -> None:
    evidence = Evidence(looked_at=NOW, lookup="found", report=report(quantity=Decimal("1.99")))
    assert resolve(sending(), ROUTE, evidence, TIMING).verdict == "ask"


@pytest.mark.parametrize(
    ("now", "later", "arrived", "verdict"),
    [
        ("10", "0", "0", "unmoved"), ("9.99", "0", "0", "unmoved"), ("8", "0", "0", "debited"),
        ("9", "0", "0", "unclear"), ("7", "3", "0", "unmoved"), ("10", "0", "2", "unclear"),
        ("12", "0", "2", "unmoved"), ("8", "0", "2", "unclear"), ("5", "3", "0", "debited"),
        ("10.5", "0", "0", "unclear"), ("12.5", "0", "2", "unclear"),
    ],
)  # fmt: skip
def test_i07_a_balance_proves_only_what_it_can_mean_in_one_way(
    now: str, later: str, arrived: str, verdict: str
) -> None:
    found = BalanceEvidence(
        before=Decimal(10), now=Decimal(now), later_debits=Decimal(later),
        possible_credits=Decimal(arrived),
    )  # fmt: skip
    assert judge_balance(found, Decimal(2), 0.01) == verdict


def test_i13_every_limit_that_covers_a_route_holds() -> None:
    require_within_limits(INTENT, POLICY, [past("10")], NOW)
    with pytest.raises(ParameterError, match="limit: 12 BTC"):
        require_within_limits(INTENT, POLICY, [past("10.00000001")], NOW)
    with pytest.raises(ParameterError, match="limit: 3 BTC"):
        okx = replace(INTENT, destination="okx/b")
        require_within_limits(okx, POLICY, [past("1.5", destination="okx/c")], NOW)
    with pytest.raises(ParameterError, match="limit: 10 BTC"):
        require_within_limits(replace(INTENT, amount=11 * 10**8), POLICY, (), NOW)


def test_i13_windows_end_and_what_is_unknown_never_leaves_them() -> None:
    old = past("14", sent_at=NOW - timedelta(hours=13))
    with pytest.raises(ParameterError, match="in 24 hours"):
        require_within_limits(INTENT, POLICY, [old], NOW)
    gone = replace(old, sent_at=NOW - timedelta(hours=24))
    require_within_limits(INTENT, POLICY, [gone], NOW)
    with pytest.raises(ParameterError, match="in this UTC day"):
        require_within_limits(INTENT, POLICY, [replace(gone, is_unknown=True)], NOW)
    require_within_limits(INTENT, POLICY, [replace(gone, is_unknown=True, key=INTENT.key)], NOW)


def test_i13_a_route_without_a_limit_is_closed() -> None:
    with pytest.raises(ParameterError, match="no limit covers"):
        require_within_limits(INTENT, replace(POLICY, limits=()), (), NOW)


@given(st.integers(0, 63), st.sampled_from("0123456789abcdef"))
def test_i14_any_changed_digit_of_the_hash_voids_an_approval(place: int, digit: str) -> None:
    found, payload = INTENT.payload_hash, payload_of(INTENT, "alice")
    changed = found[:place] + digit + found[place + 1 :]
    if changed == found:
        require_may_approve(payload, "bob", changed)
    else:
        with pytest.raises(ParameterError):
            require_may_approve(payload, "bob", changed)


@pytest.mark.parametrize("fee", ["-0.001", "0.0101", "2", "0.000000001", "NaN"])
def test_i11_a_fee_out_of_bounds_is_refused(fee: str) -> None:
    with pytest.raises(ModelInputError):
        require_fee(INTENT, Decimal(fee), POLICY)


def test_i11_i15_both_sides_together_say_what_has_happened() -> None:
    pending = report("pending", is_debited=True)
    assert follow(INTENT, [], POLICY).ask == ""
    assert follow(INTENT, [pending], POLICY).is_debited
    assert not follow(INTENT, [pending], POLICY).is_credited
    arrived = follow(INTENT, [pending, report(fee=Decimal("0.001"))], POLICY)
    assert (arrived.is_debited, arrived.is_credited, arrived.fee) == (True, True, 100_000)
    assert follow(INTENT, [report("rejected")], POLICY).is_returned
    assert follow(INTENT, [report("rejected"), report()], POLICY).ask
    assert follow(INTENT, [report(fee=Decimal("0.5"))], POLICY).ask
    assert follow(INTENT, [report(quantity=Decimal(1))], POLICY).ask


def test_the_shipped_policy_is_conservative() -> None:
    found = policy_in_force(date(2026, 11, 21))
    assert found.policy.environment == "sim"
    for asset in found.policy.assets.values():
        assert all(tier.approvers >= 1 for tier in asset.tiers)
    covered = {limit.asset for limit in found.policy.limits}
    assert covered == set(found.policy.assets)


@pytest.mark.parametrize(
    ("wrong", "right", "words"),
    [
        ('transfer_max = "10"', "transfer_max = 10.0", "transfer_max"),
        ("attempts_max = 5", "attempts_max = 0", "attempts_max"),
        ("balance_tolerance = 0.01", "balance_tolerance = 0.5", "balance_tolerance"),
        ('environment = "sim"', 'environment = "production"', "environment"),
        ('{ above = "1", approvers = 2 }', '{ above = "1", approvers = 0 }', "tiers"),
        ("skew_seconds = 5.0", "skew_seconds = nan", "skew_seconds"),
        ("skew_seconds = 5.0", "skew_secs = 5.0", "skew"),
    ],
)
def test_a_policy_out_of_range_is_refused_with_its_key(
    tmp_path, wrong: str, right: str, words: str
) -> None:
    text = (DEFAULT_PARAMETERS / "transfers" / "2019-01-01.toml").read_text()
    assert wrong in text
    file = tmp_path / "2019-01-01.toml"
    file.write_text(text.replace(wrong, right, 1))
    with pytest.raises(ParameterError, match=words):
        read_policy(file)
