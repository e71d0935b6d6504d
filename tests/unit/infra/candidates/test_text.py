"""What people write as an order or a transfer."""

from __future__ import annotations

import pytest

from engine.errors import ContractViolation
from engine.whatif import OUTSIDE, Order, Transfer
from infra.candidates import basket, order_from, transfer_from

CALL = "deribit:BTC-27MAR26-60000-C"


@pytest.mark.parametrize(
    ("text", "order"),
    [
        (f"buy 10 {CALL}", Order(side="buy", quantity=10.0, instrument_id=CALL)),
        (f"SELL 0.5 {CALL}", Order(side="sell", quantity=0.5, instrument_id=CALL)),
        (f"  buy 1_000 {CALL} ", Order(side="buy", quantity=1_000.0, instrument_id=CALL)),
        (f"buy 1 {CALL} at 0.05", Order(side="buy", quantity=1.0, instrument_id=CALL, price=0.05)),
        (f"buy 1 {CALL} @0.05", Order(side="buy", quantity=1.0, instrument_id=CALL, price=0.05)),
        (
            f"sell 1 {CALL} @ 0.05 in acc-7",
            Order(side="sell", quantity=1.0, instrument_id=CALL, price=0.05, account_id="acc-7"),
        ),
        (
            f"sell 1 {CALL} in acc-7",
            Order(side="sell", quantity=1.0, instrument_id=CALL, account_id="acc-7"),
        ),
    ],
)
def test_orders_are_read(text: str, order: Order) -> None:
    assert order_from(text) == order


@pytest.mark.parametrize(
    ("text", "source", "destination"),
    [
        ("500000 USDT in", OUTSIDE, None),
        ("500000 USDT in at custodian", OUTSIDE, "custodian"),
        ("500000 USDT IN to custodian", OUTSIDE, "custodian"),
        ("500000 USDT out", None, OUTSIDE),
        ("500000 USDT out from custodian", "custodian", OUTSIDE),
        ("500000 USDT from custodian to deribit-1", "custodian", "deribit-1"),
    ],
)
def test_transfers_are_read(text: str, source: str | None, destination: str | None) -> None:
    expected = Transfer(asset="USDT", quantity=500_000.0, source=source, destination=destination)
    assert transfer_from(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no order: write buy|sell QUANTITY INSTRUMENT"),
        ("hold 3 X", "'hold 3 X' is no order"),
        ("buy X", "'buy X' is no order"),
        ("buy 3 X Y", "is no order"),
        ("buy 3,5 X", "'3,5' in 'buy 3,5 X' is no number: write 500000 or 500_000"),
        ("buy ten X", "'ten' in 'buy ten X' is no number"),
        ("buy 3 X at market", "'market' in 'buy 3 X at market' is no number"),
        ("buy 3 " + "X" * 600, "has 606 characters, limit 500"),
    ],
)
def test_what_is_no_order_is_refused_with_the_form(text: str, message: str) -> None:
    with pytest.raises(ContractViolation) as found:
        order_from(text)
    assert message in str(found.value)


@pytest.mark.parametrize(
    "text", ["", "USDT in", "5 USDT", "5 USDT sideways", "5 USDT from a", "in"]
)
def test_what_is_no_transfer_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ContractViolation, match="is no transfer: write QUANTITY ASSET in"):
        transfer_from(text)


def test_not_a_number_is_read_so_that_it_is_refused_in_its_row() -> None:
    assert order_from("buy nan X").quantity != order_from("buy nan X").quantity


def test_basket_keeps_orders_and_transfers_in_their_order() -> None:
    found = basket("b", ["buy 1 X", "5 USDT in", "sell 2 Y", "1 BTC out"])
    assert [order.instrument_id for order in found.orders] == ["X", "Y"]
    assert [transfer.asset for transfer in found.transfers] == ["USDT", "BTC"]
