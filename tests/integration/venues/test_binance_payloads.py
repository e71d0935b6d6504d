"""What Binance really sent, and what its simulator sends, read by the same contracts."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.errors import Unsupported
from infra.simulator.venues.binance import BinanceVenue
from infra.simulator.venues.binance.holdings import account_payload, position_risk, positions
from infra.venues.binance import wire
from infra.venues.binance.account import _require_one_way
from infra.venues.payloads import decode
from tests.integration.venues.binance_town import hosted

REAL = {
    "futures_http__account_info_v2": wire.Account,
    "futures_http__balance": list[wire.FuturesBalance],
    "futures_http__position_risk": list[wire.PositionRisk],
    "it__http_futures_account_positions_hedge": list[wire.PositionRisk],
    "it__http_futures_account_positions_one_way": list[wire.PositionRisk],
    "it__http_futures_account_orders": list[wire.Order],
    "it__http_futures_market_exchange_info": wire.ExchangeInfo,
    "it__http_futures_market_premium_index": wire.PremiumIndex,
    "it__http_spot_wallet_account": wire.SpotAccount,
    "futures_market_data__mark_price_stream": wire.MarkPriceUpdate,
    "futures_user_data__account_update": wire.AccountUpdate,
    "futures_user_data__account_update_bnfcr": wire.AccountUpdate,
    "futures_user_data__order_update_adl": wire.OrderTradeUpdate,
}


@pytest.mark.parametrize("name", sorted(REAL))
def test_real_payloads_are_read_to_the_last_digit(name: str, real_data: Path) -> None:
    path = real_data / "venue_payloads" / "binance" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    raw = path.read_bytes()
    content = decode(msgspec.json.Decoder(REAL[name]), raw, name)
    texts = _texts(json.loads(raw))
    for figure in _decimals(content):
        assert str(figure) in texts or figure in {Decimal(t) for t in texts if _is_figure(t)}


def test_what_the_simulator_says_has_every_field_of_the_real_account(real_data: Path) -> None:
    folder = real_data / "venue_payloads" / "binance"
    if not folder.exists():
        pytest.skip("payloads of Binance are not there")
    account = json.loads((folder / "futures_http__account_info_v2.json").read_bytes())
    risk = json.loads((folder / "futures_http__position_risk.json").read_bytes())

    async def run() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        async with hosted() as there:
            return _told(there.venue)

    told, shown = asyncio.run(run())
    assert set(account) <= set(told)
    assert set(account["assets"][0]) <= set(told["assets"][0])
    assert set(account["positions"][0]) <= set(told["positions"][0])
    assert set(risk[0]) <= set(shown[0])
    assert {name: type(value) for name, value in account["assets"][0].items()} == {
        name: type(told["assets"][0][name]) for name in account["assets"][0]
    }


def _told(venue: BinanceVenue) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    book = venue.book
    held = positions(book, book.account("alpha"))
    return account_payload(book, book.account("alpha"), held, 1), position_risk(held, 1)


def _decimals(content: object) -> list[Decimal]:
    if isinstance(content, Decimal):
        return [content] if content else []
    if isinstance(content, msgspec.Struct):
        return _decimals([getattr(content, name) for name in content.__struct_fields__])
    if isinstance(content, list):
        return [figure for one in content for figure in _decimals(one)]
    return []


def _texts(content: object) -> set[str]:
    if isinstance(content, dict):
        return {text for one in content.values() for text in _texts(one)}
    if isinstance(content, list):
        return {text for one in content for text in _texts(one)}
    return {str(content)}


def _is_figure(text: str) -> bool:
    return text.replace(".", "", 1).replace("-", "", 1).isdecimal()


def test_positions_by_side_are_refused_not_netted() -> None:
    totals = ("InitialMargin", "MaintMargin", "MarginBalance", "WalletBalance", "UnrealizedProfit")
    position = {
        "symbol": "BTCUSDT", "positionAmt": "1", "unrealizedProfit": "0", "positionSide": "LONG",
    }  # fmt: skip
    account: dict[str, Any] = {f"total{name}": "0" for name in totals}
    account |= {"assets": [], "positions": [position]}
    held = decode(msgspec.json.Decoder(wire.Account), json.dumps(account), "account")
    with pytest.raises(Unsupported, match="one-way"):
        _require_one_way(held, "alpha")
