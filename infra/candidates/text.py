"""One order or transfer from its text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from engine.errors import ContractViolation
from engine.whatif import OUTSIDE, Candidate, Order, Transfer

_NAME = r"[^\s@]+"
_ORDER = re.compile(
    rf"(?P<side>buy|sell)\s+(?P<quantity>\S+)\s+(?P<item>{_NAME})"
    rf"(?:\s+(?:at|@)\s*(?P<price>[^\s@]+))?(?:\s+in\s+(?P<account>{_NAME}))?",
    re.IGNORECASE,
)
_TRANSFER = re.compile(
    rf"(?P<quantity>\S+)\s+(?P<asset>{_NAME})\s+(?:"
    rf"(?P<way>in|out)(?:\s+(?:at|to|from)\s+(?P<place>{_NAME}))?"
    rf"|from\s+(?P<source>{_NAME})\s+to\s+(?P<destination>{_NAME}))",
    re.IGNORECASE,
)
ORDER_FORM: Final = "buy|sell QUANTITY INSTRUMENT [at PRICE] [in ACCOUNT]"
TRANSFER_FORM: Final = "QUANTITY ASSET in|out [at LOCATION], or QUANTITY ASSET from PLACE to PLACE"
TEXT_LENGTH_MAX: Final = 500


def order_from(text: str) -> Order:
    """Return the order that ``text`` says.

    Raises
    ------
    ContractViolation
        If it says none.

    Examples
    --------
    >>> order_from("buy 10 deribit:BTC-27MAR26-60000-C at 0.05").price
    0.05
    """
    found = _ORDER.fullmatch(_checked(text))
    if found is None:
        raise _unread("order", text, ORDER_FORM)
    price, account = found["price"], found["account"]
    return Order(
        side="buy" if found["side"].lower() == "buy" else "sell",
        quantity=_number(found["quantity"], text),
        instrument_id=found["item"],
        price=None if price is None else _number(price, text),
        account_id=account,
    )


def transfer_from(text: str) -> Transfer:
    """Return the transfer that ``text`` says.

    Raises
    ------
    ContractViolation
        If it says none.

    Examples
    --------
    >>> transfer_from("500_000 USDT in").quantity
    500000.0
    """
    found = _TRANSFER.fullmatch(_checked(text))
    if found is None:
        raise _unread("transfer", text, TRANSFER_FORM)
    way = (found["way"] or "").lower()
    source = OUTSIDE if way == "in" else found["place"] if way else found["source"]
    destination = OUTSIDE if way == "out" else found["place"] if way else found["destination"]
    return Transfer(
        asset=found["asset"],
        quantity=_number(found["quantity"], text),
        source=source,
        destination=destination,
    )


def basket(candidate_id: str, texts: Iterable[str]) -> Candidate:
    """Return the candidate whose orders and transfers ``texts`` say, in their order.

    A text that begins with ``buy`` or ``sell`` is an order, any other one a transfer.

    Raises
    ------
    ContractViolation
        If a text says neither.
    """
    orders, transfers = [], []
    for text in texts:
        if text.strip().lower().startswith(("buy ", "sell ")):
            orders.append(order_from(text))
        else:
            transfers.append(transfer_from(text))
    return Candidate(candidate_id=candidate_id, orders=tuple(orders), transfers=tuple(transfers))


def _checked(text: str) -> str:
    if len(text) > TEXT_LENGTH_MAX:
        raise ContractViolation(
            f"{text[:40]!r}... has {len(text)} characters, limit {TEXT_LENGTH_MAX}",
            value=len(text),
            limit=f"<= {TEXT_LENGTH_MAX}",
        )
    return text.strip()


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ContractViolation(
            f"{text!r} in {whole!r} is no number: write 500000 or 500_000, with a point for "
            "decimals",
            value=text,
        ) from None


def _unread(kind: str, text: str, form: str) -> ContractViolation:
    return ContractViolation(f"{text!r} is no {kind}: write {form}", identifier=kind, value=text)
