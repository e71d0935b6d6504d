"""Messages of ISO 20022: what is written is valid and reads the same; what is unsafe is refused."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.calls.disputes import DisputeReason
from engine.errors import ContractViolation, ParameterError
from infra.messages import iso_codec, iso_xml
from infra.messages.contents import (
    CallAmount,
    CallRequest,
    CallResponse,
    CollateralProposal,
    DisputeNotice,
    Header,
    ProposalResponse,
    ProposedAsset,
    call_id_of,
    short_id,
)
from infra.messages.iso_facets import faults, require_facets

CALL = "call-2026-11-20-1-0a25d973f4e51d02f562"
HEADER = Header(
    message_id="MSG-1",
    call_id=CALL,
    house="HOUSE",
    client="C-1",
    valued_at=datetime(2026, 11, 21, tzinfo=UTC),
)
ASKED = CallAmount(currency="USD", amount=Decimal("2610000.00"))
REQUEST = CallRequest(
    header=replace(HEADER, message_id=short_id(CALL)),
    direction="call",
    asked=ASKED,
    due_at=datetime(2026, 11, 21, 4, tzinfo=UTC),
)

TEXT = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_characters=";="),
    min_size=1,
    max_size=35,
)
FIAT = st.builds(
    CallAmount,
    currency=st.sampled_from(["USD", "EUR", "JPY"]),
    amount=st.integers(0, 10**15).map(lambda ticks: Decimal(ticks) / 10**5),
)
CRYPTO = st.builds(
    CallAmount,
    currency=st.sampled_from(["USDT", "BTC", "USDC"]),
    amount=st.integers(1, 10**20).map(lambda ticks: Decimal(ticks) / 10**8),
    usd_value=st.integers(1, 10**13).map(lambda cents: Decimal(cents) / 100),
)
AMOUNTS = FIAT | CRYPTO
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(  # noqa: DTZ001
    lambda found: found.replace(microsecond=0, tzinfo=UTC)
)
HEADERS = st.builds(
    Header,
    message_id=TEXT,
    call_id=st.just(CALL),
    house=TEXT,
    client=TEXT,
    valued_at=INSTANTS,
)
ASSETS = st.builds(
    ProposedAsset,
    asset=st.sampled_from(["BTC", "ETH", "USDC"]),
    quantity=st.integers(1, 10**28).map(lambda ticks: Decimal(ticks) / 10**18),
    place=st.sampled_from(["deribit/main", "fireblocks/7"]),
    value=AMOUNTS,
)
MESSAGES = st.one_of(
    st.builds(
        CallRequest,
        header=HEADERS.map(lambda header: replace(header, message_id=short_id(CALL))),
        direction=st.sampled_from(["call", "return"]),
        asked=AMOUNTS,
        due_at=st.none() | INSTANTS,
    ),
    st.builds(CallResponse, header=HEADERS, agreed=AMOUNTS, note=st.just("") | TEXT),
    st.builds(
        CollateralProposal,
        header=HEADERS,
        agreed=AMOUNTS,
        assets=st.lists(ASSETS, min_size=1, max_size=3).map(tuple),
        is_counter=st.booleans(),
    ),
    st.builds(
        ProposalResponse,
        header=HEADERS,
        proposal_id=TEXT,
        is_accepted=st.booleans(),
        reason=st.just("") | TEXT,
    ),
    st.builds(
        DisputeNotice,
        header=HEADERS,
        disputed=FIAT,
        disputed_on=st.dates(date(2020, 1, 1)),
        contested=st.sampled_from(DisputeReason),
    ),
)


@settings(deadline=None, max_examples=150)
@given(message=MESSAGES)
def test_what_is_written_reads_the_same(message) -> None:
    raw = iso_codec.encode(message)
    assert iso_codec.decode(raw) == message
    assert iso_codec.encode(iso_codec.decode(raw)) == raw


def test_a_request_is_of_the_schema_and_names_the_call_in_35_characters() -> None:
    raw = iso_codec.encode(REQUEST).decode()
    assert "urn:iso:std:iso:20022:tech:xsd:colr.003.001.05" in raw
    assert '<DueToPtyA Ccy="USD">2610000.00</DueToPtyA>' in raw
    assert "<TxId>20261120-1-0a25d973f4e51d02f562</TxId>" in raw
    assert "due=2026-11-21T04:00:00Z" in raw
    assert call_id_of(short_id(CALL)) == CALL
    assert len(short_id(CALL)) <= 35


def test_what_is_no_currency_goes_as_its_value_in_usd_and_its_exact_units() -> None:
    asked = CallAmount(
        currency="USDT", amount=Decimal("240000.12345678"), usd_value=Decimal("239880.001")
    )
    raw = iso_codec.encode(replace(REQUEST, asked=asked)).decode()
    # Rounded up: what is asked for is never understated.
    assert '<DueToPtyA Ccy="USD">239880.01</DueToPtyA>' in raw
    assert "amount=240000.12345678 USDT" in raw
    with pytest.raises(ParameterError, match="has no value in USD"):
        iso_codec.encode(replace(REQUEST, asked=replace(asked, usd_value=None)))
    six = CallAmount(currency="USD", amount=Decimal("1.000001"))
    with pytest.raises(ParameterError, match="is no amount of ISO 20022"):
        iso_codec.encode(replace(REQUEST, asked=six))


def test_eighteen_decimals_of_a_token_arrive_as_they_were_sent() -> None:
    one = ProposedAsset(
        asset="BTC", quantity=Decimal("12.500000000000000001"), place="deribit/main", value=ASKED
    )
    message = CollateralProposal(header=HEADER, agreed=ASKED, assets=(one,))
    raw = iso_codec.encode(message)
    assert b"<DgtlTknUnit>12.500000000000000001</DgtlTknUnit>" in raw
    assert iso_codec.decode(raw) == message


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (replace(REQUEST, header=replace(REQUEST.header, client="x" * 36)), "36 characters"),
        (replace(REQUEST, header=replace(REQUEST.header, client="")), "0 characters, limit >= 1"),
        (
            replace(REQUEST, asked=CallAmount(currency="USD", amount=Decimal(10**18))),
            "19 digits, limit <= 18",
        ),
        (
            replace(REQUEST, asked=CallAmount(currency="USD", amount=Decimal(-1))),
            "-1, limit >= 0",
        ),
        (CallResponse(header=HEADER, agreed=ASKED, note="x" * 141), "limit <= 140"),
    ],
)
def test_what_the_schema_forbids_is_named(message, words: str) -> None:
    with pytest.raises(ContractViolation, match=words):
        iso_codec.encode(message)


def test_facets_name_what_is_missing_doubled_or_of_the_wrong_pattern() -> None:
    classes = iso_xml.message_classes("colr_003_001_05")
    party = classes.PartyIdentification178Choice()
    assert list(faults(party)) == [
        "PartyIdentification178Choice has 0 of its choices, limit exactly 1"
    ]
    both = classes.PartyIdentification178Choice(
        any_bic="WRONG",
        prtry_id=classes.GenericIdentification36(id="a", issr=None),
    )
    found = "; ".join(faults(both, "/PtyA"))
    assert "/PtyA/AnyBIC is 'WRONG', limit [A-Z0-9]{4,4}" in found
    assert "/PtyA/PrtryId/Issr is missing" in found
    assert "/PtyA has 2 of its choices, limit exactly 1" in found
    with pytest.raises(ContractViolation, match="AnyBIC"):
        require_facets(both)


ENTITY = b'<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><d>&b;</d>'
EXTERNAL = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]><d>&x;</d>'


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (ENTITY, "has a StartDoctypeDecl"),
        (EXTERNAL, "has a StartDoctypeDecl"),
        (EXTERNAL.decode().encode("utf-16"), "has a StartDoctypeDecl"),
        (b'<!DOCTYPE d SYSTEM "http://127.0.0.1/x.dtd"><d/>', "has a StartDoctypeDecl"),
        (b'<?xml-stylesheet href="x"?><d/>', "has a ProcessingInstruction"),
        (b"<d>" * 100 + b"</d>" * 100, "nested deeper than 64"),
        (b"<d>" + b" " * 1_000_001 + b"</d>", "bytes, limit 1000000"),
        (b"<d>", "no well-formed XML"),
        (b'<?xml version="1.0" encoding="UTD-8"?><d/>', "no well-formed XML"),
        (b"", "no well-formed XML"),
        (b"\xff\xfe\x00", "no well-formed XML"),
        (b"<Document/>", "message is of no namespace"),
        (b'<Document xmlns="urn:x"/>', "message is of urn:x, limit one of colr.003.001.05"),
    ],
)
def test_t12_unsafe_or_foreign_xml_is_refused(raw: bytes, words: str) -> None:
    with pytest.raises(ContractViolation, match=words):
        iso_codec.decode(raw)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<TxId>", "<Extra>1</Extra><TxId>"),
        ("<Document ", '<Document zone="x" '),
        ("2610000.00</DueToPtyA>", "many</DueToPtyA>"),
        ("2610000.00</DueToPtyA>", "NaN</DueToPtyA>"),
        ("2610000.00</DueToPtyA>", "1.123456</DueToPtyA>"),
        ('Ccy="USD"', 'Ccy="USDT"'),
        ("20261120-1-0a25d973f4e51d02f562", "no-call"),
        ("due=2026-11-21T04:00:00Z", "due=tomorrow"),
        ("due=2026-11-21T04:00:00Z", "amount=many BTC"),
        ("<DtTm>2026-11-21T00:00:00Z", "<DtTm>2026-11-21T00:00:00"),
        ("MrgnCallReq>", "MrgnCallRsp>"),
    ],
)
def test_a_message_that_was_changed_is_refused_and_never_half_read(old: str, new: str) -> None:
    raw = iso_codec.encode(REQUEST).decode()
    assert old in raw
    with pytest.raises((ContractViolation, ParameterError)):
        iso_codec.decode(raw.replace(old, new).encode())


@settings(deadline=None, max_examples=300)
@given(position=st.integers(0, 1200), byte=st.integers(0, 255))
def test_no_changed_byte_raises_anything_but_a_refusal(position: int, byte: int) -> None:
    raw = bytearray(iso_codec.encode(REQUEST))
    raw[position % len(raw)] = byte
    with suppress(ContractViolation, ParameterError):
        iso_codec.decode(bytes(raw))


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(iso_xml, "import_module", absent)
    with pytest.raises(ParameterError, match=r"need the extra `iso`: pip install"):
        iso_codec.encode(REQUEST)
