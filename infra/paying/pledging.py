"""A pledge and a transfer for each leg of a payment, bound to each other by the transfer's key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.money import Money, to_minor_units
from engine.transfers import TransferIntent
from infra.db import Act, PledgedCollateral
from infra.db.transfers import known_transfer
from infra.paying.planning import Payment, Valuation
from infra.paying.settling import ARRIVED, NOT_EXECUTED

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.transfers import TransferRecord
    from infra.transfers import TransferDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What one leg came to: the pledge's number and value, and the transfer that brings it."""

    number: int
    pledge: int
    value: Decimal
    transfer: TransferRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Payers:
    """Who pledges and who proposes the transfers, and why."""

    pledger: str
    proposer: str
    reason: str


def pledge_and_propose(
    payment: Payment,
    payers: Payers,
    *,
    database: Database,
    desk: TransferDesk,
    valuation: Valuation,
) -> Iterator[Leg]:
    """Propose and pledge each move of a payment's plan; a repetition finds what there is.

    What was refused before is started anew under the next attempt group, what has arrived keeps
    its number of leg. Values pledged sum to no more than what was asked for. Raises as
    ``desk.propose`` and ``call_actions.pledge`` do.
    """
    wanted, left = payment.wanted, payment.wanted.amount
    arrived = database.transfers.list(ARRIVED)
    first = 1 + sum(one.intent.purpose == wanted.call_id for one in arrived)
    moves = zip(payment.optimum.plan.moves, payment.routes, strict=True)
    for number, (move, route) in enumerate(moves, start=first):
        scale = desk.policy.asset_rule(move.asset).scale
        intent = TransferIntent(
            purpose=wanted.call_id,
            leg=number,
            source=move.source,
            destination=move.destination,
            asset=move.asset,
            amount=to_minor_units(Money(move.quantity, move.asset), scale),
            scale=scale,
            network=route.network,
            address=route.address,
            memo=route.memo,
        )
        # Proposed first: a pledge without a transfer would wait for ever.
        record = desk.propose(
            _next_attempt(database, intent), payers.proposer, f"covers {wanted.call_id}"
        )
        arriving = move.quantity - move.fee
        value = min(valuation.value_in(move.asset, arriving, move.destination), left)
        left -= value
        pledged = PledgedCollateral(
            asset=move.asset,
            quantity=arriving,
            place=move.destination,
            value=value,
            transfer=record.transfer_key,
        )
        key = f"pledge:{record.transfer_key}"
        act = Act(principal=payers.pledger, reason=payers.reason, key=key)
        done = database.call_actions.pledge(wanted.call_id, pledged, act)
        yield Leg(number=number, pledge=done.number, value=value, transfer=record)


def _next_attempt(database: Database, intent: TransferIntent) -> TransferIntent:
    """Return the intent under its first attempt group that has not ended without effect."""
    with database.reading() as connection:
        while (known := known_transfer(connection, intent.key)) is not None:
            if known.state not in NOT_EXECUTED:
                break
            intent = replace(intent, attempt_group=intent.attempt_group + 1)
    return intent
