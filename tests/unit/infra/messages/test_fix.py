"""FIX: frames that read the same, and damaged ones that are refused."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import simplefix
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ContractViolation, ParameterError
from infra.messages import fix_codec
from infra.messages.contents import (
    CallAmount,
    CallRequest,
    CollateralProposal,
    Header,
    ProposalResponse,
    ProposedAsset,
)

CALL = "call-2026-11-20-1-0a25d973f4e51d02f562"
SESSION = fix_codec.FixSession(
    sender="HOUSE", target="CLIENT", sequence=7, sent_at=datetime(2026, 11, 21, 1, tzinfo=UTC)
)
HEADER = Header(
    message_id="20261120-1-0a25d973f4e51d02f562",
    call_id=CALL,
    house="HOUSE",
    client="C-1",
    valued_at=datetime(2026, 11, 21, tzinfo=UTC),
)
REQUEST = CallRequest(
    header=HEADER,
    direction="call",
    asked=CallAmount(currency="USDT", amount=Decimal("240000.12345678")),
    due_at=datetime(2026, 11, 21, 4, tzinfo=UTC),
)
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F), min_size=1, max_size=35)
AMOUNTS = st.builds(
    CallAmount,
    currency=st.sampled_from(["USD", "USDT", "BTC"]),
    amount=st.integers(1, 10**25).map(lambda ticks: Decimal(ticks).scaleb(-8)),
)
HEADERS = st.builds(replace, st.just(HEADER), house=TEXT, client=TEXT)
MESSAGES = st.one_of(
    st.builds(
        CallRequest,
        header=HEADERS,
        direction=st.sampled_from(["call", "return"]),
        asked=AMOUNTS,
        due_at=st.sampled_from([None, REQUEST.due_at]),
    ),
    AMOUNTS.flatmap(
        lambda agreed: st.builds(
            CollateralProposal,
            header=HEADERS,
            agreed=st.just(agreed),
            assets=st.builds(
                ProposedAsset,
                asset=st.sampled_from(["BTC", "ETH"]),
                quantity=st.integers(1, 10**28).map(lambda ticks: Decimal(ticks).scaleb(-18)),
                place=TEXT,
                value=st.just(agreed),
            ).map(lambda one: (one,)),
            is_counter=st.booleans(),
        )
    ),
    st.builds(
        ProposalResponse,
        header=HEADERS,
        proposal_id=TEXT,
        is_accepted=st.booleans(),
        reason=st.just("") | TEXT,
    ),
)


@settings(deadline=None)
@given(message=MESSAGES)
def test_what_is_written_reads_the_same(message) -> None:
    assert fix_codec.decode(fix_codec.encode(message, SESSION)) == message


def test_a_request_is_a_deficiency_with_its_exact_amount() -> None:
    fields = fix_codec.encode(REQUEST, SESSION).decode().split("\x01")
    assert fields[0] == "8=FIXT.1.1"
    for wanted in ("35=AX", "34=7", "894=20261120-1-0a25d973f4e51d02f562", "895=3", "15=USDT",
                   "899=-240000.12345678", "126=20261121-04:00:00"):  # fmt: skip
        assert wanted in fields


def test_one_assignment_holds_one_asset_and_no_text_the_separator() -> None:
    asked = REQUEST.asked
    one = ProposedAsset(asset="BTC", quantity=Decimal(1), place="a/b", value=asked)
    two = CollateralProposal(header=HEADER, agreed=asked, assets=(one, one))
    with pytest.raises(ParameterError, match="proposes 2 assets, limit 1"):
        fix_codec.encode(two, SESSION)
    split = replace(REQUEST, header=replace(HEADER, client="C\x0135=AY"))
    with pytest.raises(ContractViolation, match="text without the separator"):
        fix_codec.encode(split, SESSION)


def reframed(old: str, new: str) -> bytes:
    """Return the request with a field changed, and length and checksum made right again."""
    text = fix_codec.encode(REQUEST, SESSION).decode()
    assert old in text
    frame = simplefix.FixMessage()
    for field in text.replace(old, new).split("\x01"):
        tag, sign, value = field.partition("=")
        if sign and tag not in ("9", "10"):
            frame.append_pair(int(tag), value)
    return bytes(frame.encode())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("35=AX", "35=D", "tag 35 is 'D', limit AX, AY or AZ"),
        ("899=-240000.12345678", "899=240000", "tag 899 is"),
        ("899=-240000.12345678", "899=nan", "a plain number"),
        ("899=-240000.12345678", "899=many", "a number"),
        ("895=3\x01", "", "tag 895 is 'absent'"),
        ("895=3", "895=3\x01895=4", "tag 895 is '2 times', limit once"),
        ("894=20261120-1-0a25d973f4e51d02f562", "894=call", "no name of a call"),
        ("126=20261121-04:00:00", "126=tomorrow", "YYYYMMDD-HH:MM:SS"),
        ("452=3", "452=5", "parties of the roles"),
    ],
)
def test_a_frame_that_says_what_we_cannot_act_on_is_refused(old, new, words) -> None:
    with pytest.raises((ContractViolation, ParameterError), match=words):
        fix_codec.decode(reframed(old, new))


def test_a_damaged_frame_is_refused() -> None:
    frame = fix_codec.encode(REQUEST, SESSION)
    for damaged in (b"", frame[:-1], frame[:40], frame + frame, b"x" * 70_000, frame[1:]):
        with pytest.raises(ContractViolation):
            fix_codec.decode(damaged)


@settings(deadline=None, max_examples=300)
@given(position=st.integers(0, 400), bit=st.integers(0, 7))
def test_no_flipped_bit_is_read_as_another_message(position: int, bit: int) -> None:
    frame = bytearray(fix_codec.encode(REQUEST, SESSION))
    frame[position % len(frame)] ^= 1 << bit
    with suppress(ContractViolation, ParameterError):
        assert fix_codec.decode(bytes(frame)) == REQUEST


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "simplefix", None)
    with pytest.raises(ParameterError, match="need the extra `fix`"):
        fix_codec.encode(REQUEST, SESSION)
