"""What a client may say about its calls by webhook, and what becomes of it.

The act carries the message's id as its key and is recorded before the receipt: a message that comes
again, because the answer to it was lost or somebody replays it, finds the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from engine.calls.disputes import dispute_reason
from engine.errors import ContractViolation, MissingDataError
from infra.messages.webhook_body import amount_of, read_body, text_of
from infra.messages.webhook_signing import SignedMessage, WebhookSecret, verified

if TYPE_CHECKING:
    from datetime import datetime

    from infra.db import Database, Done
    from infra.db.call_actions import Act, CallActions

Valuer: TypeAlias = Callable[[Mapping[str, Any], str, Decimal, str], Decimal]
"""Value after haircut of (call, asset, quantity, place): the house values, never the client."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who signs with which secrets; two of them while a key is being changed."""

    client_id: str
    secrets: Sequence[WebhookSecret]


@dataclass(frozen=True, slots=True)
class Handled:
    """What a message came to; ``is_replay`` if its id had been here before."""

    message_id: str
    is_replay: bool
    done: Done


@dataclass(frozen=True, slots=True)
class _Said:
    data: Mapping[str, Any]
    act: Act
    value: Valuer
    call: Mapping[str, Any]


def handle(
    database: Database,
    sender: Sender,
    headers: Mapping[str, str],
    raw: bytes,
    *,
    now: datetime,
    value: Valuer,
) -> Handled:
    """Verify a message, do what it says once, and record that it came.

    Raises
    ------
    ContractViolation
        If signature, time or body are not as they have to be.
    MissingDataError
        If there is no such call of this client.
    StateError
        If the call is not in a state for it.
    """
    message = verified(headers, raw, sender.secrets, now)
    content = read_body(message.body)
    data = content.get("data")
    if not isinstance(data, dict):
        raise ContractViolation("webhook data needs to be an object", identifier="data")
    kind = text_of(content, "type", 60)
    if kind not in _ACTS:
        listed = ", ".join(sorted(_ACTS))
        raise ContractViolation(
            f"webhook type is {kind!r}, limit one of {listed}", identifier="type", limit=listed
        )
    call = _own_call(database, sender.client_id, text_of(data, "call_id"))
    act = _act(sender.client_id, message, data)
    done = _ACTS[kind](database.call_actions, _Said(data, act, value, call))
    source = f"client {sender.client_id}"
    with database.writing() as connection:
        is_new = database.webhooks.receive_within(
            connection, source, message.message_id, message.sent_at, message.body
        )
    return Handled(message.message_id, not is_new, done)


def _agree(actions: CallActions, said: _Said) -> Done:
    return actions.agree(str(said.call["call_id"]), said.act)


def _dispute(actions: CallActions, said: _Said) -> Done:
    contested = dispute_reason(text_of(said.data, "contested"))
    undisputed = amount_of(said.data, "agreed")
    return actions.dispute(str(said.call["call_id"]), undisputed, contested, said.act)


def _withdraw(actions: CallActions, said: _Said) -> Done:
    return actions.withdraw_dispute(str(said.call["call_id"]), said.act)


def _request(actions: CallActions, said: _Said) -> Done:
    return actions.request_return(str(said.call["call_id"]), said.act)


def _pledge(actions: CallActions, said: _Said) -> Done:
    from infra.db import PledgedCollateral

    asset, place = text_of(said.data, "asset", 40), text_of(said.data, "place")
    quantity = amount_of(said.data, "quantity")
    pledged = PledgedCollateral(
        asset=asset,
        quantity=quantity,
        place=place,
        value=said.value(said.call, asset, quantity, place),
    )
    return actions.pledge(str(said.call["call_id"]), pledged, said.act)


# What has settled is seen by the house itself and never taken from a message.
_ACTS: Final[Mapping[str, Callable[[CallActions, _Said], Done]]] = {
    "call.agree": _agree,
    "call.dispute": _dispute,
    "call.withdraw_dispute": _withdraw,
    "call.pledge": _pledge,
    "call.request_return": _request,
}


def _own_call(database: Database, client_id: str, call_id: str) -> Mapping[str, Any]:
    call = database.calls.record(call_id).call
    if database.calls.client_of(call_id) != client_id:
        # The same sentence as for a call that is not there: others' calls are nobody's business.
        raise MissingDataError(f"there is no call {call_id}", identifier=call_id)
    return call


def _act(client_id: str, message: SignedMessage, data: Mapping[str, Any]) -> Act:
    from infra.db import Act

    reason = data.get("reason")
    given = reason.strip()[:500] if isinstance(reason, str) else ""
    return Act(
        principal=f"client {client_id}",
        reason=given or f"message {message.message_id}",
        key=f"webhook:{client_id}:{message.message_id}",
    )
