"""A pledge and a transfer for each leg of a payment, bound to each other by the transfer's key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.money import Money, to_minor_units
from engine.transfers import TransferIntent
from infra.db import Act, PledgedCollateral
from infra.paying.planning import Payment, Valuation

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
    attempt_group: int = 1,
) -> Iterator[Leg]:
    """Pledge and propose each move of a payment's plan; a repetition finds what there is.

    Values pledged sum to no more than what was asked for. Raises as ``call_actions.pledge`` and
    ``desk.propose`` do.
    """
    wanted, left = payment.wanted, payment.wanted.amount
    moves = zip(payment.optimum.plan.moves, payment.routes, strict=True)
    for number, (move, route) in enumerate(moves, start=1):
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
            attempt_group=attempt_group,
        )
        arriving = move.quantity - move.fee
        value = min(valuation.value_in(move.asset, arriving, move.destination), left)
        left -= value
        pledged = PledgedCollateral(
            asset=move.asset,
            quantity=arriving,
            place=move.destination,
            value=value,
            transfer=intent.key,
        )
        act = Act(principal=payers.pledger, reason=payers.reason, key=f"pledge:{intent.key}")
        done = database.call_actions.pledge(wanted.call_id, pledged, act)
        record = desk.propose(intent, payers.proposer, f"covers {wanted.call_id}")
        yield Leg(number=number, pledge=done.number, value=value, transfer=record)
