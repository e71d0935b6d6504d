"""Executions by signed webhook: verified on the raw bytes, recorded once, bad ones kept apart.

The body is ``{"type": "executions.reported", "data": {"executions": [...]}}`` or ``{"type":
"positions.opened", "data": {"positions": [...]}}``; fields are those of the data contracts
``executions`` and ``opening_positions``, numbers as text. The receipt and what the message says are
recorded in one transaction, so that a message that comes again finds the first one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from engine.errors import ContractViolation, MissingDataError
from engine.ports import Execution, ExecutionKind
from infra.connections import read_connections
from infra.db.canonical import canonical_json
from infra.db.executions import OpeningLine, Reported, Taken, Unreadable
from infra.messages.webhook_body import read_body, text_of
from infra.messages.webhook_signing import WebhookSecret, verified
from infra.oms.naming import Naming, identifier
from infra.oms.reading import instant_of, position_of, price_of, quantity_of, refused
from infra.secrets import read_secret

if TYPE_CHECKING:
    from infra.db import Database
    from infra.settings import Settings

ITEMS_MAX: Final = 1_000
_LISTS: Final = {"executions.reported": "executions", "positions.opened": "positions"}
_KINDS: Final[Mapping[str, ExecutionKind]] = {
    "trade": "trade", "bust": "bust", "correction": "correction",
}  # fmt: skip
_SIDES: Final[Mapping[str, Literal["buy", "sell"]]] = {"buy": "buy", "sell": "sell"}


@dataclass(frozen=True, slots=True)
class OmsEndpoint:
    """Who may send: the order management's name, its secrets, and how it calls things."""

    source: str
    secrets: Sequence[WebhookSecret]
    naming: Naming


def oms_endpoint(settings: Settings) -> OmsEndpoint | None:
    """Return the endpoint of the connections file; None where order management sends no webhooks.

    Raises
    ------
    ParameterError
        If a secret that the file names is absent or none.
    """
    try:
        oms = read_connections(settings.connections_path).oms
    except MissingDataError:
        return None
    if oms is None or not oms.webhook:
        return None
    secrets = [WebhookSecret.parse(read_secret(name).get_secret_value()) for name in oms.webhook]
    return OmsEndpoint(oms.name, secrets, Naming(oms.accounts, oms.exchanges))


def handle(
    database: Database,
    endpoint: OmsEndpoint,
    headers: Mapping[str, str],
    raw: bytes,
    *,
    now: datetime,
) -> Taken:
    """Verify a message and record what it says, once.

    Parameters
    ----------
    headers : mapping of str to str
        As they came; names in any case.
    raw : bytes
        The body before anything has parsed it.
    now : datetime
        Instant of arrival, UTC.

    Returns
    -------
    Taken
        All zero for a message that was here before.

    Raises
    ------
    ContractViolation
        If signature, time or body are not as they have to be. A bad item in a good body is
        quarantined and the others are taken.
    """
    message = verified(headers, raw, endpoint.secrets, now)
    reported = _read(message.body, endpoint.naming)
    with database.writing() as connection:
        is_new = database.webhooks.receive_within(
            connection, f"oms {endpoint.source}", message.message_id, message.sent_at, message.body
        )
        if not is_new:
            return Taken()
        return database.executions.record_within(connection, endpoint.source, "webhook", reported)


def _read(body: bytes, naming: Naming) -> Reported:
    content = read_body(body)
    kind = text_of(content, "type", 60)
    if kind not in _LISTS:
        raise refused("webhook type", kind, f"one of {', '.join(_LISTS)}")
    data, name = content.get("data"), _LISTS[kind]
    items = data.get(name) if isinstance(data, dict) else None
    if not isinstance(items, list) or not 0 < len(items) <= ITEMS_MAX:
        n_items = len(items) if isinstance(items, list) else "none"
        raise refused(f"webhook data.{name}", n_items, f"a list of 1 to {ITEMS_MAX} items")
    executions: list[Execution] = []
    openings: list[OpeningLine] = []
    unreadable: list[Unreadable] = []
    for number, item in enumerate(items, start=1):
        try:
            if not isinstance(item, dict):
                raise refused(name, type(item).__name__, "an object")
            if name == "positions":
                openings.append(_opening(item, naming))
            else:
                executions.append(_execution(item, naming))
        except ContractViolation as error:
            unreadable.append(_bad(item, number, error))
    return Reported(executions=executions, openings=openings, unreadable=unreadable)


def _execution(item: Mapping[str, Any], naming: Naming) -> Execution:
    kind = _one_of(item, "kind", _KINDS)
    refers_to = "" if kind == "trade" else identifier("refers_to", text_of(item, "refers_to"))
    executed_at = instant_of("executed_utc", text_of(item, "executed_utc"))
    reported = item.get("reported_utc")
    return Execution(
        execution_id=identifier("execution_id", text_of(item, "execution_id")),
        account_id=naming.account(text_of(item, "account_id")),
        instrument_id=identifier("instrument_id", text_of(item, "instrument_id")),
        side=_one_of(item, "side", _SIDES),
        quantity=quantity_of("quantity", text_of(item, "quantity")),
        execution_price=price_of("execution_price", text_of(item, "execution_price")),
        executed_at=executed_at,
        kind=kind,
        refers_to=refers_to,
        reported_at=(
            instant_of("reported_utc", text_of(item, "reported_utc")) if reported else executed_at
        ),
    )


def _opening(item: Mapping[str, Any], naming: Naming) -> OpeningLine:
    return OpeningLine(
        account_id=naming.account(text_of(item, "account_id")),
        as_of=instant_of("as_of_utc", text_of(item, "as_of_utc")),
        instrument_id=identifier("instrument_id", text_of(item, "instrument_id")),
        quantity=position_of("quantity", text_of(item, "quantity")),
    )


def _one_of(item: Mapping[str, Any], name: str, words: Mapping[str, Any]) -> Any:
    found = text_of(item, name)
    if found not in words:
        raise refused(name, found, f"one of {', '.join(words)}")
    return words[found]


def _bad(item: object, number: int, error: ContractViolation) -> Unreadable:
    named = item.get("execution_id") or item.get("account_id") if isinstance(item, dict) else None
    name = named if isinstance(named, str) else f"item {number}"
    return Unreadable(
        identifier=name, reason=f"{name}: {error}", raw=canonical_json({"item": item})
    )
