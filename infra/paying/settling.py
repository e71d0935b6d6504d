"""What transfers did to the calls that they pay: an arrival comes off, a refusal frees the pledge.

Run after every round of the desk, and as often as anybody likes: each arrival has a key of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Final, Literal

from engine.money import MONEY_CONTEXT, Rounding, round_to_increment
from infra.db import Act, Arrival
from infra.db.transfers import known_transfer

if TYPE_CHECKING:
    from infra.db import Database
    from infra.db.calls import AwaitedPledge
    from infra.db.transfers import TransferRecord

ARRIVED: Final = ("credited", "reconciled")
NOT_EXECUTED: Final = ("rejected", "cancelled")
DESK: Final = "desk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """One pledge that has come to its end: by how much its call went down, and why."""

    call_id: str
    transfer_key: str
    outcome: Literal["settled", "freed"]
    value: Decimal
    state: str
    """State of the call afterwards."""


def settle_paid(
    database: Database, transfers: Collection[str] | None = None
) -> tuple[Settled, ...]:
    """Settle what has arrived for calls and free what was not executed; return what was done.

    ``transfers`` are the keys that are looked at, all without it.

    A transfer that arrived less a fee settles in proportion, rounded down. What was carried to a
    later call settles there, and what outlived its call settles where it was pledged.
    """
    found = []
    for awaited in database.calls.awaited_pledges(transfers):
        record = _transfer(database, awaited.transfer_key)
        if record is None:
            # Pledged by hand under a name that no transfer has.
            continue
        if record.state in ARRIVED:
            found.append(_settled(database, awaited, record))
        elif record.state in NOT_EXECUTED:
            found.append(_freed(database, awaited, record))
    return tuple(found)


def _transfer(database: Database, key: str) -> TransferRecord | None:
    with database.reading() as connection:
        return known_transfer(connection, key)


def _settled(database: Database, awaited: AwaitedPledge, record: TransferRecord) -> Settled:
    key, value = record.transfer_key, value_arrived(awaited, record)
    arrival = Arrival(value=value, pledge=awaited.pledge.number, is_last=True, reference=key)
    act = Act(
        principal=DESK,
        reason=f"transfer {key[:12]} was credited",
        key=f"arrival:{awaited.call_id}:{key}",
    )
    done = database.call_actions.settle(awaited.call_id, arrival, act)
    return Settled(
        call_id=awaited.call_id, transfer_key=key, outcome="settled", value=value,
        state=done.standing.state,
    )  # fmt: skip


def _freed(database: Database, awaited: AwaitedPledge, record: TransferRecord) -> Settled:
    key = record.transfer_key
    act = Act(
        principal=DESK,
        reason=f"transfer {key[:12]} is {record.state}: {record.note or 'not executed'}",
        key=f"refused:{awaited.call_id}:{key}",
    )
    done = database.call_actions.reject_pledge(awaited.call_id, awaited.pledge.number, act)
    return Settled(
        call_id=awaited.call_id, transfer_key=key, outcome="freed", value=Decimal(0),
        state=done.standing.state,
    )  # fmt: skip


def value_arrived(awaited: AwaitedPledge, record: TransferRecord) -> Decimal:
    """Return what of a pledge has arrived, at most all of it. [currency of the call]"""
    remaining = awaited.pledge.remaining
    with localcontext(MONEY_CONTEXT):
        arrived = record.intent.quantity - (record.fee or Decimal(0))
        if arrived >= awaited.quantity:
            return remaining
        smallest = Decimal(1).scaleb(min(int(remaining.as_tuple().exponent), 0))
        share = remaining * arrived / awaited.quantity
    return round_to_increment(share, smallest, Rounding.COLLATERAL_VALUE)
