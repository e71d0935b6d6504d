"""What Deribit really sent, and what its simulator sends, read by the same contracts."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from engine.ports import Reading
from infra.clock import utc_now
from infra.venues.deribit import wire
from infra.venues.deribit.account import balances_of, margins_of
from infra.venues.deribit.instruments import instrument_row
from infra.venues.deribit.market import mark_of
from infra.venues.frames import instrument_frame
from infra.venues.payloads import decode
from tests.integration.venues.deribit_town import scene

RESULTS: dict[str, Any] = {
    "docs__private_get_account_summaries": wire.Summaries,
    "http_get_account_summaries": wire.Summaries,
    "http_get_account_summaries_cross_margin": wire.Summaries,
    "docs__private_get_account_summary": wire.Summary,
    "docs__private_simulate_portfolio": wire.Summary,
    "docs__private_get_positions": list[wire.Position],
    "docs__private_get_position": wire.Position,
    "docs__private_get_open_orders_by_currency": list[wire.Order],
    "ws_order_stop_market_response": wire.Placed,
    "docs__private_get_transaction_log": wire.Log,
    "docs__public_get_currencies": list[wire.Currency],
    "docs__public_get_instruments": list[wire.Instrument],
    "http_get_instruments": list[wire.Instrument],
    "http_get_instruments_future_combo": list[wire.Instrument],
    "http_get_instruments_option_combo": list[wire.Instrument],
    "http_get_instrument_option": wire.Instrument,
    "docs__public_ticker": wire.Ticker,
}
FRAMES: dict[str, Any] = {"ws_portfolio": wire.Summary, "ws_ticker": wire.Ticker}


def raw(real_data: Path, name: str) -> bytes:
    path = real_data / "venue_payloads" / "deribit" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    return path.read_bytes()


def result(real_data: Path, name: str) -> Any:
    body = bytes(decode(msgspec.json.Decoder(wire.Envelope), raw(real_data, name), name).result)
    return decode(msgspec.json.Decoder(RESULTS[name]), body, name)


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_real_answers_are_read_to_the_last_digit(name: str, real_data: Path) -> None:
    content = result(real_data, name)
    figures = set(
        _figures(json.loads(raw(real_data, name), parse_float=Decimal, parse_int=Decimal))
    )
    found = list(_decimals(content))
    assert set(found) <= figures


@pytest.mark.parametrize("name", sorted(FRAMES))
def test_real_frames_are_read_to_the_last_digit(name: str, real_data: Path) -> None:
    frame = decode(msgspec.json.Decoder(wire.Frame), raw(real_data, name), name)
    assert frame.method == "subscription" and frame.params is not None
    content = decode(msgspec.json.Decoder(FRAMES[name]), bytes(frame.params.data), name)
    figures = set(
        _figures(json.loads(raw(real_data, name), parse_float=Decimal, parse_int=Decimal))
    )
    found = list(_decimals(content))
    assert found and set(found) <= figures


def test_real_instruments_become_rows_and_combinations_do_not(real_data: Path) -> None:
    listed = result(real_data, "http_get_instruments")
    frame = instrument_frame(
        [instrument_row(one) for one in listed if one.kind in ("future", "option", "spot")]
    ).set_index("venue_symbol")
    assert list(frame.index) == ["BTC-27DEC24", "BTC-27DEC24-100000-C", "BTC-PERPETUAL"]
    assert list(frame["contract_multiplier"]) == [10.0, 1.0, 10.0]
    assert list(frame["payoff"]) == ["inverse"] * 3
    assert list(frame["lot_size"]) == [1.0, 0.1, 1.0]


def test_an_account_across_currencies_is_one_bucket_in_dollars(real_data: Path) -> None:
    summaries = result(real_data, "http_get_account_summaries_cross_margin").summaries
    (margin,) = margins_of(summaries)
    assert (margin.bucket, margin.currency) == ("account", "USD")
    assert margin.initial_margin == Decimal("0.806292412")
    assert margin.equity == Decimal("25.710502678")
    assert {b.asset for b in balances_of(summaries)} == {"BTC", "USDT", "ETH"}


def test_a_segregated_account_has_a_bucket_for_each_currency(real_data: Path) -> None:
    margins = margins_of(result(real_data, "docs__private_get_account_summaries").summaries)
    assert [m.bucket for m in margins] == ["BTC", "ETH"]
    assert margins[0].initial_margin == Decimal("1.24669592")


def test_the_balances_of_a_real_log_add_up(real_data: Path) -> None:
    """The rule by which a missing line is found holds in the venue's own example."""
    lines = sorted(result(real_data, "docs__private_get_transaction_log").logs, key=lambda o: o.id)
    for before, after in pairwise(lines):
        assert before.balance + after.change == after.balance


def test_a_real_ticker_is_a_mark(real_data: Path) -> None:
    mark = mark_of(
        result(real_data, "docs__public_ticker"), Reading(source="deribit", received_at=utc_now())
    )
    assert (mark.mark_price, mark.index_price) == (Decimal("36288.31"), Decimal("36297.02"))
    assert (mark.bid, mark.ask) == (Decimal("36289.5"), Decimal(36290))


@pytest.mark.parametrize(
    ("name", "method", "parameters"),
    [
        ("docs__public_ticker", "public/ticker", {"instrument_name": "BTC-PERPETUAL"}),
        ("docs__public_get_instruments", "public/get_instruments", {}),
        ("docs__public_get_currencies", "public/get_currencies", {}),
        ("docs__private_get_positions", "private/get_positions", {}),
        ("docs__private_get_transaction_log", "private/get_transaction_log", {"currency": "BTC"}),
    ],
)
def test_the_simulator_says_every_field_of_the_venues_example(
    name: str, method: str, parameters: dict[str, Any], real_data: Path
) -> None:
    async def ask() -> Any:
        async with scene() as s:
            token = await s.adapter.client.token("1002")
            headers = {"Authorization": f"Bearer {token}"} if method[:7] == "private" else {}
            url = f"{s.town.address('deribit')}/api/v2/{method}"
            async with (
                aiohttp.ClientSession() as http,
                http.get(url, params=parameters, headers=headers) as response,
            ):
                return (await response.json())["result"]

    real = json.loads(raw(real_data, name))["result"]
    told = asyncio.run(ask())
    if name.endswith("log"):
        real, told = real["logs"], told["logs"]
    first_real = real[0] if isinstance(real, list) else real
    candidates = told if isinstance(told, list) else [told]
    fields = {field for one in candidates for field in one}
    missing = set(first_real) - fields
    assert missing <= {"tick_size_steps", "total_interest_pl"}


def _figures(content: Any) -> list[Decimal]:
    if isinstance(content, Decimal):
        return [content]
    if isinstance(content, dict):
        return [one for value in content.values() for one in _figures(value)]
    if isinstance(content, list):
        return [one for value in content for one in _figures(value)]
    return []


def _decimals(content: Any) -> list[Decimal]:
    if isinstance(content, Decimal):
        return [content]
    if isinstance(content, msgspec.Struct):
        return [
            one
            for name in content.__struct_fields__
            for one in _decimals(getattr(content, name))
            if name != "filled_amount"  # a trigger order has none; the default is 0
        ]
    if isinstance(content, list):
        return [one for value in content for one in _decimals(value)]
    return []
