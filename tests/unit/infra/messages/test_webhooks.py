"""Webhooks: the vectors of forged, old, replayed and mangled messages; where they may be sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ContractViolation, NotSent, ParameterError
from infra.messages.webhook_body import amount_of, read_body, text_of
from infra.messages.webhook_delivery import ATTEMPTS_MAX, WAIT_MAX, wait_after
from infra.messages.webhook_signing import WebhookSecret, signed_headers, verified
from infra.messages.webhook_urls import destination

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OURS = WebhookSecret(b"k" * 32)
NEXT = WebhookSecret(b"n" * 32)
THEIRS = WebhookSecret(b"t" * 32)
BODY = '{"type":"call.agree","data":{"a":1,"b":"Zürich ⚓"}}'.encode()


def test_the_signature_is_the_one_of_the_published_scheme() -> None:
    # The example of the Standard Webhooks specification.
    secret = WebhookSecret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
        [secret],
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def headers_of(secret: WebhookSecret = OURS, *, at: datetime = NOW, body: bytes = BODY):
    return signed_headers("msg_1", at, body, [secret])


def test_t07_a_good_message_is_taken() -> None:
    found = verified(headers_of(), BODY, [OURS], NOW)
    assert (found.message_id, found.sent_at, found.body) == ("msg_1", NOW, BODY)


def test_t07_header_names_have_no_case() -> None:
    shouted = {name.upper(): value for name, value in headers_of().items()}
    assert verified(shouted, BODY, [OURS], NOW).message_id == "msg_1"


def test_t07_a_key_is_changed_without_a_gap() -> None:
    # The sender signs with both, or the receiver knows both: either way nothing is lost.
    both = signed_headers("msg_1", NOW, BODY, [OURS, NEXT])
    assert len(both["webhook-signature"].split(" ")) == 2
    for known in ([OURS], [NEXT], [OURS, NEXT]):
        assert verified(both, BODY, known, NOW)
    assert verified(headers_of(NEXT), BODY, [OURS, NEXT], NOW)


def test_t07_an_empty_body_can_be_signed_too() -> None:
    assert verified(headers_of(body=b""), b"", [OURS], NOW).body == b""


def sha1(secret: WebhookSecret) -> str:
    signed = b"msg_1." + str(int(NOW.timestamp())).encode() + b"." + BODY
    return base64.b64encode(hmac.new(secret.key, signed, hashlib.sha1).digest()).decode()


@pytest.mark.parametrize(
    ("headers", "body", "now", "words"),
    [
        (headers_of(THEIRS), BODY, NOW, "no match"),
        (headers_of(), BODY, NOW + timedelta(minutes=5, seconds=1), "webhook-timestamp is"),
        (headers_of(), BODY, NOW - timedelta(minutes=5, seconds=1), "webhook-timestamp is"),
        # The same object in another order is another text.
        (headers_of(), b'{"data":{"a":1},"type":"call.agree"}', NOW, "no match"),
        (headers_of(), BODY + b" ", NOW, "no match"),
        (headers_of(), b"", NOW, "no match"),
        (headers_of(), BODY.decode().replace("ü", "u\u0308").encode(), NOW, "no match"),
        ({**headers_of(), "webhook-signature": f"v1a,{sha1(OURS)}"}, BODY, NOW, "no match"),
        ({**headers_of(), "webhook-signature": f"v1,{sha1(OURS)}"}, BODY, NOW, "no match"),
        ({**headers_of(), "webhook-signature": "v1,"}, BODY, NOW, "no match"),
        ({**headers_of(), "webhook-signature": "v1,ümlaut"}, BODY, NOW, "no match"),
        ({**headers_of(), "webhook-id": "msg_2"}, BODY, NOW, "no match"),
        ({**headers_of(), "webhook-id": "msg 1\n"}, BODY, NOW, "webhook-id is malformed"),
        ({**headers_of(), "webhook-timestamp": "-1"}, BODY, NOW, "timestamp is malformed"),
        ({**headers_of(), "webhook-timestamp": "1e9"}, BODY, NOW, "timestamp is malformed"),
        (
            {**headers_of(), "webhook-timestamp": str(int(NOW.timestamp()) + 1)},
            BODY, NOW, "no match",
        ),
        (headers_of(), b"x" * 300_000, NOW, "webhook body is 300000 bytes"),
    ],
)  # fmt: skip
def test_t07_what_is_forged_old_early_or_mangled_is_refused(headers, body, now, words) -> None:
    with pytest.raises(ContractViolation, match=words):
        verified(headers, body, [OURS], now)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_t07_every_header_is_needed(name: str) -> None:
    headers = headers_of()
    del headers[name]
    with pytest.raises(ContractViolation, match=f"webhook {name} is missing"):
        verified(headers, BODY, [OURS], NOW)


@given(position=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_t07_no_flipped_bit_passes(position: int, bit: int) -> None:
    flipped = bytearray(BODY)
    flipped[position] ^= 1 << bit
    with pytest.raises(ContractViolation):
        verified(headers_of(), bytes(flipped), [OURS], NOW)


def test_a_secret_is_long_enough_and_never_shown() -> None:
    for text in ("whsec_c2hvcnQ=", "whsec_not base64!", ""):
        with pytest.raises(ParameterError) as refused:
            WebhookSecret.parse(text)
        assert not text or text not in str(refused.value)
    assert "kkk" not in repr(OURS)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"a":NaN}',
        b'{"a":1,"a":2}',
        b"[" * 5000,
        b'{"a":' * 20 + b"1" + b"}" * 20,
    ],
)
def test_a_body_is_read_strictly(raw: bytes) -> None:
    with pytest.raises(ContractViolation):
        read_body(raw)


def test_amounts_of_a_body_are_text() -> None:
    data = read_body(b'{"quantity":"1.500000000000000001","other":1.5,"sign":"-1","none":"nan"}')
    assert amount_of(data, "quantity") == Decimal("1.500000000000000001")
    for name in ("other", "sign", "none", "absent"):
        with pytest.raises(ContractViolation, match=f"webhook {name} is"):
            amount_of(data, name)
    with pytest.raises(ContractViolation, match="webhook other is"):
        text_of(data, "other")


def answers(*addresses: str):
    return lambda host, port: list(addresses)


@pytest.mark.parametrize(
    ("url", "allowed", "addresses"),
    [
        ("http://127.0.0.1:8080/hook", (), ("127.0.0.1",)),
        ("http://localhost/hook?a=1", (), ("127.0.0.1", "::1")),
        ("https://[::1]:8443/", (), ("::1",)),
        ("https://client.example/hook", ("client.example",), ("93.184.216.34",)),
        ("https://CLIENT.example/hook", ("Client.Example",), ("93.184.216.34",)),
    ],
)
def test_t14_what_is_loopback_or_allowed_may_be_sent_to(url, allowed, addresses) -> None:
    found = destination(url, allowed, answers(*addresses))
    # The connection goes to the address that was judged, whatever the name says next.
    assert found.address == addresses[0]
    assert addresses[0] in found.url


@pytest.mark.parametrize(
    ("url", "allowed", "addresses", "words"),
    [
        ("https://client.example/", (), ("93.184.216.34",), "limit loopback"),
        ("https://client.example/", ("client.example",), ("10.0.0.5",), "a public address"),
        ("https://client.example/", ("client.example",), ("169.254.169.254",), "a public address"),
        ("https://client.example/", ("client.example",), ("fd00::1",), "a public address"),
        ("https://client.example/", ("client.example",), ("::ffff:10.0.0.5",), "a public address"),
        # One public address beside a private one is how a name is made to turn.
        ("https://client.example/", ("client.example",), ("93.184.216.34", "10.0.0.5"), "public"),
        ("http://169.254.169.254/latest/meta-data", (), ("169.254.169.254",), "limit loopback"),
        ("http://client.example/", ("client.example",), ("93.184.216.34",), "https outside"),
        ("https://user:word@client.example/", ("client.example",), ("93.184.216.34",), "password"),
        ("ftp://127.0.0.1/", (), ("127.0.0.1",), "http or https"),
        ("https://127.0.0.1:99999/", (), ("127.0.0.1",), "malformed"),
        ("https:///x", (), ("127.0.0.1",), "http or https"),
        ("https://client.example/", ("client.example",), (), "no address"),
    ],
)
def test_t14_what_is_private_or_not_allowed_is_not_sent_to(url, allowed, addresses, words) -> None:
    with pytest.raises(ParameterError, match=words):
        destination(url, allowed, answers(*addresses))


def test_waits_double_up_to_an_hour_and_differ_between_messages() -> None:
    waits = [wait_after("msg_1", attempt) for attempt in range(1, ATTEMPTS_MAX + 1)]
    assert waits[0] < timedelta(seconds=6)
    assert all(wait <= WAIT_MAX * 1.1 for wait in waits)
    assert waits == [wait_after("msg_1", attempt) for attempt in range(1, ATTEMPTS_MAX + 1)]
    assert wait_after("msg_2", 1) != wait_after("msg_1", 1)
    assert sum(waits, timedelta(0)) > timedelta(hours=2)


def test_a_name_without_an_address_is_no_failure_for_good(monkeypatch) -> None:
    from infra.messages import webhook_urls

    def fails(*_: object, **__: object) -> None:
        raise OSError("no such name")

    monkeypatch.setattr(webhook_urls.socket, "getaddrinfo", fails)
    with pytest.raises(NotSent, match=r"no address of client\.example"):
        destination("https://client.example/", ("client.example",))
