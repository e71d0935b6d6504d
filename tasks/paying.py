"""Calls as they are paid: planned over what is free and could be sent, pledged, and settled."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.errors import MissingDataError, StateError
from infra.clock import utc_now
from infra.connections.document import AccountConnection, read_connections
from infra.paying import Leg, Payment, Settled, Wanted, payment_plan, pledge_and_propose
from infra.paying import settle_paid as _settle_paid
from infra.paying.pledging import Payers
from infra.report.amounts import exact, short
from tasks.call_values import CallValuation
from tasks.gateways import gateways
from tasks.principals import principal
from tasks.transfers import desk_of
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from rich.console import RenderableType

HOUSE_CLIENT = "house"
"""Client under which the connections file lists the house's own places."""


@dataclass(frozen=True, slots=True)
class Paid:
    """What paying a call came to: the plan, and a leg with its transfer for each move."""

    payment: Payment
    legs: tuple[Leg, ...]


def plan_call(call_id: str, destination: str | None = None) -> Payment:
    """Return how a call is best paid; nothing is pledged and nothing moves.

    Raises
    ------
    MissingDataError
        If there is no such call, no place of the client or the house is connected, or nothing
        could be sent.
    StateError
        If nothing of it is open.
    """
    place = _place()
    return _planned(place, place.database.calls.record(call_id).call, destination)


def pay_call(call_id: str, reason: str, destination: str | None = None) -> Paid:
    """Pledge and propose what the plan says; transfers wait for their approvals as always."""
    place = _place()
    who = principal()
    return pay_as(place, call_id, Payers(pledger=who, proposer=who, reason=reason), destination)


def pay_as(place: Workplace, call_id: str, payers: Payers, destination: str | None = None) -> Paid:
    """Pay a call under given names."""
    call = place.database.calls.record(call_id).call
    payment = _planned(place, call, destination)
    legs = pledge_and_propose(
        payment,
        payers,
        database=place.database,
        desk=desk_of(place),
        valuation=CallValuation(place, call),
    )
    return Paid(payment, tuple(legs))


def settle_paid() -> tuple[Settled, ...]:
    """Settle what has arrived for calls, free what was refused."""
    return _settle_paid(_place().database)


def payment_as_json(payment: Payment) -> dict[str, Any]:
    """Return a plan as JSON values; amounts are exact texts."""
    plan = payment.optimum.plan
    return {
        "call_id": payment.wanted.call_id,
        "destination": payment.wanted.destination,
        "amount": str(payment.wanted.amount),
        "currency": payment.wanted.currency,
        "moves": [
            {
                "source": move.source, "asset": move.asset, "quantity": str(move.quantity),
                "fee_max": str(move.fee), "value": str(move.value), "cost": str(move.cost),
                "network": route.network,
            }
            for move, route in zip(plan.moves, payment.routes, strict=True)
        ],
        "cost": str(plan.cost),
        "cost_by_plain_rule": str(payment.optimum.greedy.cost),
        "saving": str(payment.optimum.saving),
        "shortfall": str(payment.shortfall),
    }  # fmt: skip


def payment_view(payment: Payment) -> RenderableType:
    """Return a plan for people."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    wanted, plan = payment.wanted, payment.optimum.plan
    title = (
        f"{exact(wanted.amount)} {wanted.currency} for {wanted.call_id}, to {wanted.destination}"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("From")
    table.add_column("Asset")
    for name in ("Quantity", "Fee at most", f"Value, {wanted.currency}", "Cost"):
        table.add_column(name, justify="right")
    table.add_column("By")
    for move, route in zip(plan.moves, payment.routes, strict=True):
        table.add_row(
            move.source, move.asset, exact(move.quantity), exact(move.fee), exact(move.value),
            short(move.cost), f"chain {route.network}" if route.network else "the venue's books",
        )  # fmt: skip
    return Group(table, Text(sentence(payment)))


def sentence(payment: Payment) -> str:
    """Return cost, saving and shortfall in one sentence."""
    wanted, found = payment.wanted, payment.optimum
    saved = (
        f"{short(found.saving)} {wanted.currency} less than by the plain rule"
        if found.saving > 0
        else "as the plain rule has it"
    )
    told = f"costs {short(found.plan.cost)} {wanted.currency}, {saved}"
    if payment.shortfall:
        told += f"; {exact(payment.shortfall)} {wanted.currency} stay unpaid: nothing more is free"
    return told


def _place() -> Workplace:
    place = workplace()
    place.database.prepare()
    return place


def _planned(place: Workplace, call: Mapping[str, Any], destination: str | None) -> Payment:
    call_id = str(call["call_id"])
    client = place.database.calls.client_of(call_id)
    accounts = read_connections(place.settings.connections_path).account
    sources = tuple(one.place for one in accounts if one.client_id == client)
    wanted = Wanted(
        call_id=call_id,
        owner=str(client),
        currency=str(call["currency"]),
        amount=_open_amount(place, call_id),
        sources=sources,
        destination=destination or _house_place(accounts, call_id),
        due_at=call["due_at"],
        now=utc_now(),
    )

    async def work() -> Payment:
        async with gateways(place) as opened:
            return await payment_plan(
                wanted,
                database=place.database,
                gateways=opened,
                policy=desk_of(place).policy,
                valuation=CallValuation(place, call),
            )

    return asyncio.run(work())


def _open_amount(place: Workplace, call_id: str) -> Decimal:
    standing = place.database.calls.record(call_id).standing
    if standing.direction != "call":
        raise StateError(
            f"call {call_id} is a return, which the house pays", identifier=call_id, limit="a call"
        )
    amount = standing.uncovered or max(standing.outstanding - standing.in_flight, Decimal(0))
    if not amount:
        raise StateError(
            f"call {call_id} is {standing.state}: nothing of it is left to pay",
            identifier=call_id,
            value=standing.state,
        )
    return amount


def _house_place(accounts: tuple[AccountConnection, ...], call_id: str) -> str:
    for one in accounts:
        if one.client_id == HOUSE_CLIENT:
            return one.place
    raise MissingDataError(
        f"call {call_id}: no place of client {HOUSE_CLIENT} is in the connections file; add one "
        "as an [[account]], or name where it is to go with --to",
        identifier=call_id,
    )
