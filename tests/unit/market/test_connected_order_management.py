"""Order management's rows of a close: whose they are, at which price, and when there are none."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd

from data_contracts.preparation import empty_frame
from data_contracts.registry import contract
from infra.connections import AccountConnection
from infra.market.connected.order_management import covers, oms_rows
from infra.oms import OmsPosition

CLOSE = datetime(2026, 11, 21, tzinfo=UTC)
DAY = date(2026, 11, 20)


def account(name: str, place: str, role: str = "client") -> AccountConnection:
    return AccountConnection(
        account_id=name, place=place, client_id="c", netting_set_id="n", role=role
    )


ACCOUNTS = (
    account("c-binance", "binance/alpha"),
    account("c-deribit", "deribit/1002"),
    account("house", "deribit/1001", "house"),
    account("vault", "fireblocks/0"),
)


def test_a_book_that_leaves_a_client_out_is_not_held_against_the_venues() -> None:
    venues = ("binance", "deribit")
    assert covers(ACCOUNTS, [], venues)
    assert covers(ACCOUNTS, ["c-binance", "c-deribit"], venues)
    assert not covers(ACCOUNTS, ["c-binance"], venues)


def test_rows_are_priced_as_the_venue_has_them_else_at_the_mark() -> None:
    own = empty_frame(contract("positions"))
    first = {
        "business_date": pd.Timestamp(DAY), "source": "venue", "account_id": "c-binance",
        "instrument_id": "binance:BTCUSDT", "client_id": "c", "netting_set_id": "n",
        "venue": "binance", "quantity": 3.0, "settled_price": 61000.0,
        "observed_utc": pd.Timestamp(CLOSE),
    }  # fmt: skip
    own = pd.DataFrame([first]).astype(own.dtypes.to_dict())
    marks = pd.DataFrame({"instrument_id": ["binance:ETHUSDT"], "mark_price": [2500.0]})
    held = [
        OmsPosition(account_id=name, instrument_id=instrument, quantity=Decimal(2), as_of=CLOSE)
        for name, instrument in (
            ("c-binance", "binance:BTCUSDT"), ("c-binance", "binance:ETHUSDT"),
            ("c-binance", "binance:NEW"), ("house", "deribit:BTC-PERPETUAL"),
        )
    ]  # fmt: skip
    found = oms_rows(held, ACCOUNTS, own, marks, business_date=DAY, close=CLOSE)
    assert found["source"].tolist() == ["oms"] * 3
    assert found["settled_price"].tolist()[:2] == [61000.0, 2500.0]
    assert found["settled_price"].isna().tolist() == [False, False, True]
    assert found.dtypes.to_dict() == own.dtypes.to_dict()
