"""Signatures against the venues' own worked examples, and figures that stay exact."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from pydantic import SecretStr

from engine.errors import BadPayload
from infra.secrets import Credential
from infra.venues.binance import wire
from infra.venues.binance.signing import signature, signed_query
from infra.venues.okx.signing import login_arguments, signed_headers, timestamp
from infra.venues.payloads import (
    decode,
    exact_decimal,
    instant,
    optional_decimal,
    plain,
    to_milliseconds,
)

# developers.binance.com, "SIGNED Endpoint Examples for POST /api/v3/order".
BINANCE_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
BINANCE_QUERY = (
    "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
    "&timestamp=1499827319559"
)
BINANCE_SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


def test_binance_signature_is_the_one_of_its_documentation() -> None:
    assert signature(BINANCE_QUERY, BINANCE_SECRET) == BINANCE_SIGNATURE


def test_binance_query_is_signed_as_it_is_sent() -> None:
    credential = Credential("c", SecretStr("key"), SecretStr(BINANCE_SECRET))
    parameters = {
        "symbol": "LTCBTC", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
        "quantity": "1", "price": "0.1",
    }  # fmt: skip
    query = signed_query(parameters, credential, 1499827319559, 5000)
    assert query == f"{BINANCE_QUERY}&signature={BINANCE_SIGNATURE}"


def test_okx_signs_timestamp_method_path_and_body() -> None:
    credential = Credential("c", SecretStr("key"), SecretStr("secret"), SecretStr("word"))
    moment = datetime(2020, 12, 8, 9, 8, 57, 715000, tzinfo=UTC)
    headers = signed_headers(credential, moment, "GET", "/api/v5/account/balance?ccy=BTC")
    assert headers["OK-ACCESS-TIMESTAMP"] == timestamp(moment) == "2020-12-08T09:08:57.715Z"
    assert headers["OK-ACCESS-PASSPHRASE"] == "word"
    # openssl dgst -sha256 -hmac secret -binary | base64, over the four parts joined.
    assert headers["OK-ACCESS-SIGN"] == "wpDvCwYCprcMQsQkxWJiWy+YADoQE4ep+OEKKLimMoY="
    login = login_arguments(credential, moment)
    assert (
        login["timestamp"] == "1607418537"
        and login["sign"] == "0r4m26zRtlRtEgmsr5JebUbnCph92FKrk8gjfuR5McM="
    )


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "sNaN", "1e400"])
def test_a_figure_that_is_none_makes_the_answer_unreadable(text: str) -> None:
    body = f'{{"asset":"X","balance":"{text}","availableBalance":"0","maxWithdrawAmount":"0"}}'
    with pytest.raises(BadPayload):
        decode(msgspec.json.Decoder(wire.FuturesBalance), body, "balance")
    with pytest.raises(BadPayload):
        exact_decimal(text, "figure")


@pytest.mark.parametrize(
    "text",
    ["1.123456789012345678", "0.00000000000000000001", "-104729.000000000000000001", "1E-7"],
)
def test_figures_stay_exact_as_text_and_as_number(text: str) -> None:
    for quoted in (f'"{text}"', text):
        body = f'{{"asset":"X","balance":{quoted},"availableBalance":"0","maxWithdrawAmount":"0"}}'
        read = decode(msgspec.json.Decoder(wire.FuturesBalance), body, "balance")
        assert read.balance == Decimal(text)
    assert Decimal(plain(Decimal(text))) == Decimal(text) and "E" not in plain(Decimal(text))


def test_an_empty_figure_is_absent_not_zero() -> None:
    assert optional_decimal("", "figure") is None
    with pytest.raises(BadPayload):
        exact_decimal("", "figure")


@pytest.mark.parametrize("broken", ["", "<html>", '{"code":', "null", "[]", '{"symbol":1}'])
def test_what_breaks_the_contract_is_quoted(broken: str) -> None:
    with pytest.raises(BadPayload, match="order") as caught:
        decode(msgspec.json.Decoder(wire.Order), broken, "binance order")
    assert caught.value.identifier == "binance order"


def test_instants_keep_their_milliseconds() -> None:
    moment = instant("1597026383085")
    assert moment.isoformat() == "2020-08-10T02:26:23.085000+00:00"
    assert to_milliseconds(moment) == 1597026383085
    with pytest.raises(BadPayload):
        instant("soon")
