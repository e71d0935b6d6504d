"""What OKX really sent, and what its simulator sends, read by the same contracts."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.errors import BadPayload
from infra.simulator.venues.okx.contracts import instrument
from infra.simulator.venues.okx.holdings import balance_payload, position_payload, positions
from infra.venues.okx import wire
from infra.venues.okx.holdings import balances_of, held_position, margins_of
from infra.venues.okx.instruments import _row
from infra.venues.payloads import decode
from tests.integration.venues.okx_town import hosted

REAL: dict[str, Any] = {
    "http_get_account_balance": wire.AccountBalance,
    "docs__account_balance": wire.AccountBalance,
    "docs__ws_account": wire.AccountBalance,
    "ws_account": wire.AccountBalance,
    "ws_account_empty": wire.AccountBalance,
    "docs__account_positions": wire.Position,
    "docs__ws_positions": wire.Position,
    "http_get_positions": wire.Position,
    "docs__account_bills": wire.Bill,
    "docs__account_config": wire.AccountConfig,
    "http_get_instruments_futures": wire.Instrument,
    "http_get_instruments_option": wire.Instrument,
    "http_get_instruments_spot": wire.Instrument,
    "http_get_instruments_swap": wire.Instrument,
    "ws_instruments": wire.Instrument,
    "http_get_mark_price": wire.MarkPrice,
    "http_get_index_price": wire.IndexTicker,
    "http_get_option_summary": wire.OptionSummary,
    "docs__ws_orders": wire.PendingOrder,
    "ws_orders_adl": wire.PendingOrder,
    "ws_funding_rate": wire.FundingRate,
}


def rows_of(folder: Path, name: str) -> list[Any]:
    path = folder / "venue_payloads" / "okx" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    frame = decode(msgspec.json.Decoder(wire.StreamFrame), path.read_bytes(), name)
    return decode(msgspec.json.Decoder(list[REAL[name]]), bytes(frame.data), name)


@pytest.mark.parametrize("name", sorted(REAL))
def test_real_payloads_are_read(name: str, real_data: Path) -> None:
    rows = rows_of(real_data, name)
    assert rows or name.endswith("empty")


@pytest.mark.parametrize("kind", ["futures", "option", "spot", "swap"])
def test_real_instruments_become_rows_of_the_contract(kind: str, real_data: Path) -> None:
    for listed in rows_of(real_data, f"http_get_instruments_{kind}"):
        row = _row(listed)
        assert row["underlying"] and row["settlement_asset"]
        assert (row["payoff"] == "inverse") == (
            listed.ct_type == "inverse" or listed.inst_type == "OPTION"
        )


def test_real_balances_stay_exact(real_data: Path) -> None:
    (held,) = rows_of(real_data, "docs__account_balance")
    (usdt,) = balances_of(held)
    assert usdt.quantity == Decimal("10679688.0460531643092577")
    (bucket,) = margins_of(held)
    assert (bucket.bucket, bucket.equity) == ("account", usdt.quantity)
    (futures_mode,) = rows_of(real_data, "http_get_account_balance")
    assert [one.bucket for one in margins_of(futures_mode)] == ["USDT"]


def test_positions_are_signed_by_their_side() -> None:
    short = wire.Position(inst_id="BTC-USDT-SWAP", pos="2", pos_side="short")
    assert held_position(short).quantity == -2
    net = wire.Position(inst_id="BTC-USDT-SWAP", pos="-2", pos_side="net")
    assert held_position(net).quantity == -2
    with pytest.raises(BadPayload):
        held_position(wire.Position(inst_id="X", pos="1", pos_side="sideways"))


def test_what_the_simulator_says_has_every_field_of_the_real_one(real_data: Path) -> None:
    folder = real_data / "venue_payloads" / "okx"
    if not folder.exists():
        pytest.skip("payloads of OKX are not there")

    def real(name: str) -> dict[str, Any]:
        row: dict[str, Any] = json.loads((folder / f"{name}.json").read_bytes())["data"][0]
        return row

    async def run() -> None:
        async with hosted() as there:
            book = there.venue.book
            held = positions(book, book.account("alpha"))
            told: Any = balance_payload(book, book.account("alpha"), held, "3")
            balance = real("http_get_account_balance")
            assert set(balance) <= set(told)
            assert set(balance["details"][0]) <= set(told["details"][0])
            position = position_payload(held[0], 1)
            assert set(real("docs__account_positions")) <= set(position)
            swap = instrument(book.listing("BTC-USDT-SWAP"), Decimal(1))
            assert set(real("http_get_instruments_swap")) <= set(swap)
            assert set(real("http_get_instruments_option")) <= set(swap)

    asyncio.run(run())
