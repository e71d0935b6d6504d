"""A call that its agreement lets be collected: agreed, pledged and proposed in one transaction.

Either all of it is on record or nothing, under the epoch of the loop that leads: whoever is killed
in between has done nothing, and whoever comes next sees in the call itself what is on its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from engine.errors import StateError
from engine.money import Money, to_minor_units
from engine.transfers import TransferIntent
from engine.transfers.approvals import COLLECTOR
from infra.crashpoints import crashpoint
from infra.db import Act, PledgedCollateral
from infra.db.call_events import call_row
from infra.db.transfer_commitments import last_leg_within
from infra.paying.planning import Payment, Valuation
from infra.paying.pledging import Leg

if TYPE_CHECKING:
    from engine.allocation import Move
    from engine.calls.standing import Standing
    from infra.db import Database
    from infra.db.loop_lease import Lead
    from infra.paying.routes import Route
    from infra.transfers import TransferDesk

MANDATE: Final = "standing instruction"
"""Principal of what an agreement has said once and for all in the client's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A call as the plan saw it: whatever has happened to it since, the plan is made anew."""

    standing: Standing
    n_events: int


def collectable(standing: Standing) -> Decimal:
    """Return what a standing instruction may collect: not what is contested, paid or on its way."""
    if standing.direction != "call" or not standing.outstanding:
        return Decimal(0)
    if standing.disputed:
        return standing.uncovered
    return max(standing.outstanding - standing.in_flight, Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """Puts payments on record, as the payment desk of the loop that leads."""

    database: Database
    lead: Lead
    desk: TransferDesk

    def collect(self, payment: Payment, seen: Seen, valuation: Valuation) -> tuple[Leg, ...]:
        """Record that a call is paid as planned; its transfers are sent by the transfer desk.

        Values pledged sum to no more than what was asked for.

        Raises
        ------
        Fenced
            If another loop leads. Nothing is recorded.
        StateError
            If something has happened to the call since it was seen. Nothing is recorded.
        ParameterError, ModelInputError
            If the transfer desk takes no such transfer. Nothing is recorded.
        """
        moves = _valued(payment, valuation)
        for move, _, _ in moves:
            self.desk.register(move.asset)
        call_id = payment.wanted.call_id
        crashpoint("paying:collect:start")
        with self.database.writing() as connection:
            self.database.loop_leases.require_within(connection, self.lead)
            _require_unmoved(connection, call_id, seen)
            self._agree(connection, call_id, seen)
            first = 1 + last_leg_within(connection, call_id)
            legs = tuple(
                self._leg(connection, _intent(call_id, number, move, route, self.desk), value)
                for number, (move, route, value) in enumerate(moves, start=first)
            )
            crashpoint("paying:collect:before-commit")
        crashpoint("paying:collect:after-commit")
        return legs

    def _agree(self, connection: Connection, call_id: str, seen: Seen) -> None:
        if not seen.standing.unanswered or seen.standing.disputed:
            return
        words = "its agreement lets calls be collected without a person (collection = automatic)"
        act = Act(principal=MANDATE, reason=words, key=f"mandate:{call_id}:{seen.n_events}")
        self.database.call_actions.agree_within(connection, call_id, act)

    def _leg(self, connection: Connection, planned: _Planned, value: Decimal) -> Leg:
        intent = planned.intent
        reason = f"covers {intent.purpose}"
        record = self.desk.propose_within(connection, intent, COLLECTOR, reason)
        pledged = PledgedCollateral(
            asset=intent.asset,
            quantity=planned.arriving,
            place=intent.destination,
            value=value,
            transfer=record.transfer_key,
        )
        act = Act(
            principal=MANDATE,
            reason=f"brought by transfer {record.transfer_key[:12]}",
            key=f"pledge:{record.transfer_key}",
        )
        actions = self.database.call_actions
        done = actions.pledge_within(connection, intent.purpose, pledged, act)
        return Leg(number=intent.leg, pledge=done.number, value=value, transfer=record)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    intent: TransferIntent
    arriving: Decimal


def _valued(payment: Payment, valuation: Valuation) -> list[tuple[Move, Route, Decimal]]:
    """Return what moves, with the value that each move is pledged for."""
    left, found = payment.wanted.amount, []
    for move, route in zip(payment.optimum.plan.moves, payment.routes, strict=True):
        worth = valuation.value_in(move.asset, move.quantity - move.fee, move.destination)
        value = min(worth, left)
        # A plan aims a little higher than asked: what adds nothing to that stays.
        if value > 0:
            found.append((move, route, value))
            left -= value
    return found


def _require_unmoved(connection: Connection, call_id: str, seen: Seen) -> None:
    n_events = call_row(connection, call_id)["n_events"]
    if n_events != seen.n_events:
        raise StateError(
            f"call {call_id} has moved on since it was planned: event {n_events}, planned upon "
            f"{seen.n_events}",
            identifier=call_id,
            value=n_events,
            limit=str(seen.n_events),
        )


def _intent(call_id: str, number: int, move: Move, route: Route, desk: TransferDesk) -> _Planned:
    scale = desk.policy.asset_rule(move.asset).scale
    intent = TransferIntent(
        purpose=call_id,
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
    return _Planned(intent=intent, arriving=move.quantity - move.fee)
