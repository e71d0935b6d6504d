"""What a message does to a call: one state machine for every language that messages are in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.calls.standing import Standing
from engine.errors import ContractViolation, MissingDataError, StateError
from infra.messages.contents import (
    CallAmount,
    CallMessage,
    CallRequest,
    CallResponse,
    CollateralProposal,
    DisputeNotice,
    Header,
    ProposalResponse,
    ProposedAsset,
    short_id,
)
from infra.messages.iso_amounts import is_exact

if TYPE_CHECKING:
    from datetime import datetime

    from infra.db import Act, CallRecord, Database, Done
    from infra.messages.webhook_inbound import Valuer


@dataclass(frozen=True, slots=True, kw_only=True)
class Correspondence:
    """Between whom messages go, and what a token of the call's currency is worth.

    Attributes
    ----------
    house, client : str
        Names in messages.
    usd_rate : Decimal, optional
        USD per unit of the call's currency at its close; needed where that is no fiat currency.
    """

    house: str
    client: str
    usd_rate: Decimal | None = None


def request_of(found: CallRecord, valued_at: datetime, between: Correspondence) -> CallRequest:
    """Return the message that asks for a call as it stands.

    Raises
    ------
    StateError
        If nothing of it is open.
    """
    call, standing = found.call, found.standing
    if not standing.outstanding or standing.state in ("superseded", "withdrawn", "computed"):
        raise StateError(
            f"call {call['call_id']} is {standing.state}: there is nothing to ask for",
            identifier=str(call["call_id"]),
            value=standing.state,
        )
    return CallRequest(
        header=Header(
            message_id=short_id(call["call_id"]),
            call_id=call["call_id"],
            house=between.house,
            client=between.client,
            valued_at=valued_at,
        ),
        direction=standing.direction,
        asked=_worth(CallAmount(currency=call["currency"], amount=standing.outstanding), between),
        due_at=call["due_at"],
    )


def apply(
    database: Database, client_id: str, message: CallMessage, value: Valuer
) -> tuple[Done, ...]:
    """Do what a client's message says, once however often it comes, and return what came of it.

    The channel has to have shown who sends; ``client_id`` is who that is. A proposal pledges each
    of its assets, at the house's own value.

    Raises
    ------
    ContractViolation
        If the message is the house's own, names somebody else, or an amount of another currency.
    MissingDataError
        If there is no such call of this client.
    StateError, ModelInputError
        If the call is not in a state for it, or an amount is out of range.
    """
    if isinstance(message, CallRequest | ProposalResponse):
        raise ContractViolation(
            f"{type(message).__name__} is sent by the house and not taken from a client"
        )
    header = message.header
    if header.client != client_id:
        raise ContractViolation(
            f"message {header.message_id} is of {header.client}, sent by {client_id}",
            identifier=header.message_id,
            value=header.client,
            limit=client_id,
        )
    found = database.calls.record(header.call_id)
    if database.calls.client_of(header.call_id) != client_id:
        raise MissingDataError(f"there is no call {header.call_id}", identifier=header.call_id)
    if isinstance(message, CollateralProposal):
        return _pledge(database, found, message, value)
    if isinstance(message, DisputeNotice):
        return (_dispute(database, found, message),)
    return (_respond(database, found, message),)


def _respond(database: Database, found: CallRecord, message: CallResponse) -> Done:
    call, act = found.call, _act(message.header, message.note)
    agreed = _in_currency(call["currency"], message.agreed)
    # What was paid since the request was sent is agreed as well.
    if agreed < found.standing.outstanding:
        raise ContractViolation(
            f"response {message.header.message_id} agrees to {agreed} of "
            f"{found.standing.outstanding}: name the contested figure in a dispute (colr.009)",
            identifier=message.header.message_id,
            value=agreed,
            limit=str(found.standing.outstanding),
        )
    return database.call_actions.agree(str(call["call_id"]), act)


def _dispute(database: Database, found: CallRecord, message: DisputeNotice) -> Done:
    call, standing = found.call, found.standing
    disputed = _in_currency(call["currency"], message.disputed)
    undisputed = _undisputed(standing, disputed)
    return database.call_actions.dispute(
        str(call["call_id"]), undisputed, message.contested, _act(message.header, "")
    )


def _pledge(
    database: Database, found: CallRecord, message: CollateralProposal, value: Valuer
) -> tuple[Done, ...]:
    from infra.db import PledgedCollateral

    call_id = str(found.call["call_id"])
    act = _act(message.header, "")
    return tuple(
        database.call_actions.pledge(
            call_id,
            PledgedCollateral(
                asset=one.asset,
                quantity=one.quantity,
                place=one.place,
                value=_own_value(found, one, value),
            ),
            replace(act, key=f"{act.key}:{number}"),
        )
        for number, one in enumerate(message.assets, start=1)
    )


def _own_value(found: CallRecord, one: ProposedAsset, value: Valuer) -> Decimal:
    return value(found.call, one.asset, one.quantity, one.place)


def _undisputed(standing: Standing, disputed: Decimal) -> Decimal:
    if not 0 < disputed <= standing.called:
        raise ContractViolation(
            f"call {standing.call_id}: {disputed} is disputed, limit above 0 and at most "
            f"{standing.called}",
            identifier=standing.call_id,
            value=disputed,
            limit=str(standing.called),
        )
    return standing.called - disputed


def _in_currency(currency: str, amount: CallAmount) -> Decimal:
    if amount.currency != currency:
        raise ContractViolation(
            f"amount is in {amount.currency}, limit {currency}, the currency of the call",
            identifier=amount.currency,
            value=amount.currency,
            limit=currency,
        )
    return amount.amount


def _worth(amount: CallAmount, between: Correspondence) -> CallAmount:
    if is_exact(amount) or between.usd_rate is None:
        return amount
    return replace(amount, usd_value=amount.amount * between.usd_rate)


def _act(header: Header, note: str) -> Act:
    from infra.db import Act

    return Act(
        principal=f"client {header.client}",
        reason=note.strip() or f"message {header.message_id}",
        key=f"message:{header.client}:{header.message_id}",
    )
