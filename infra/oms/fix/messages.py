"""Execution reports of a FIX 4.4 drop copy, read from the text that the session process keeps.

The session has checked length, checksum and dictionary; what is read here is the meaning. Only
reports of trades, cancelled and corrected trades are facts for us: the life of orders is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from engine.errors import ContractViolation
from engine.ports import Execution, ExecutionKind
from infra.db.executions import Unreadable
from infra.oms.naming import Naming, identifier
from infra.oms.reading import fix_instant_of, price_of, quantity_of, refused

SEPARATOR: Final = "\x01"
_REPORT: Final = "8"
# FIX 4.4, tag 150: trade, trade correct, trade cancel.
_KINDS: Final[Mapping[str, ExecutionKind]] = {"F": "trade", "G": "correction", "H": "bust"}
# Tag 54: sell short and sell short exempt are sales.
_SIDES: Final[Mapping[str, Literal["buy", "sell"]]] = {
    "1": "buy", "2": "sell", "5": "sell", "6": "sell",
}  # fmt: skip
_DETAILS: Final = {"37": "order_id", "11": "client_order_id", "34": "sequence", "30": "last_market"}


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that is no fact about a trade."""

    kind: str


Read: TypeAlias = Execution | Unreadable | Ignored


def read_message(raw: str, naming: Naming) -> Read:
    """Return what a message says.

    Parameters
    ----------
    raw : str
        ``tag=value`` pairs with their separators.
    naming : Naming
        Names of accounts and exchanges.

    Returns
    -------
    Execution, Unreadable or Ignored
        Unreadable names the execution, what was found and what the limit is.
    """
    fields = _fields(raw)
    kind = fields.get("35", "")
    if kind != _REPORT:
        return Ignored(kind)
    if fields.get("150", "") not in _KINDS:
        return Ignored(f"{kind}/{fields.get('150', '')}")
    name = fields.get("17") or f"message {fields.get('34', '?')}"
    try:
        return _execution(fields, naming)
    except ContractViolation as error:
        return Unreadable(identifier=name, reason=f"{name}: {error}", raw=raw.replace("\x01", "|"))


def _execution(fields: Mapping[str, str], naming: Naming) -> Execution:
    kind = _KINDS[fields["150"]]
    side = _SIDES.get(fields.get("54", ""))
    if side is None:
        raise refused("Side (54)", fields.get("54", ""), "1, 2, 5 or 6")
    refers_to = ""
    if kind != "trade":
        refers_to = identifier("ExecRefID (19)", _required(fields, "19", "ExecRefID"))
    executed_at = fix_instant_of("TransactTime (60)", _required(fields, "60", "TransactTime"))
    return Execution(
        execution_id=identifier("ExecID (17)", _required(fields, "17", "ExecID")),
        account_id=naming.account(_required(fields, "1", "Account")),
        instrument_id=naming.instrument(fields.get("207", ""), _required(fields, "55", "Symbol")),
        side=side,
        quantity=quantity_of("LastQty (32)", _required(fields, "32", "LastQty")),
        execution_price=price_of("LastPx (31)", _required(fields, "31", "LastPx")),
        executed_at=executed_at,
        is_repeat=fields.get("43") == "Y" or fields.get("97") == "Y",
        details={name: fields[tag] for tag, name in _DETAILS.items() if fields.get(tag)},
        kind=kind,
        refers_to=refers_to,
        reported_at=_reported_at(fields) or executed_at,
    )


def _reported_at(fields: Mapping[str, str]) -> datetime | None:
    """Return when it was first sent: a resent message has its first time of sending in 122."""
    original = fields.get("122", "") if fields.get("43") == "Y" else ""
    sent = original or fields.get("52", "")
    return fix_instant_of("SendingTime (52)", sent) if sent else None


def _required(fields: Mapping[str, str], tag: str, name: str) -> str:
    value = fields.get(tag, "")
    if not value:
        raise refused(f"{name} ({tag})", "", "present")
    return value


def _fields(raw: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for pair in raw.split(SEPARATOR):
        tag, _, value = pair.partition("=")
        # Of a tag in repeating groups the first is the message's own.
        if tag and tag not in fields:
            fields[tag] = value
    return fields
