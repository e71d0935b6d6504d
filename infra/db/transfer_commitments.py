"""What has been promised of a source or of a limit, and has not left yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from sqlalchemy import ColumnElement, Connection, func, select

from engine.money import MONEY_CONTEXT, from_minor_units
from engine.transfers.limits import PastTransfer
from infra.db.column_types import exact_sum
from infra.db.tables import CallRow
from infra.db.transfer_tables import TransferRow

_PROMISED: Final = ("proposed", "approved")
_LEAVING: Final = ("new", "unknown", "done", "stuck")
_QUEUED: Final = (*_PROMISED, "new")


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitments:
    """What transfers still take from a place. [asset]

    ``promised`` is held by nobody yet, ``leaving`` is held in the ledger and not seen debited.
    """

    promised: Decimal
    leaving: Decimal


def commitments_within(connection: Connection, source: str, asset: str) -> Commitments:
    """Return what is promised, and what leaves, of an asset at a source."""
    own = (TransferRow.source == source, TransferRow.asset == asset)
    return Commitments(
        promised=_total(connection, *own, TransferRow.state.in_(_PROMISED)),
        leaving=_total(
            connection, *own, TransferRow.state.in_(_LEAVING), TransferRow.debited_at.is_(None)
        ),
    )


def queued_within(connection: Connection, asset: str, now: datetime) -> list[PastTransfer]:
    """Return what will count against the limits of an asset when it is sent, by route."""
    route = (TransferRow.source, TransferRow.destination, TransferRow.scale)
    query = (
        select(*route, exact_sum(TransferRow.amount).label("total"))
        .where(
            TransferRow.asset == asset, TransferRow.state.in_(_QUEUED), TransferRow.is_exposed == 0
        )
        .group_by(*route)
    )
    return [
        PastTransfer(
            key="",
            source=row.source,
            destination=row.destination,
            asset=asset,
            quantity=from_minor_units(row.total, asset, row.scale).amount,
            sent_at=now,
            is_unknown=False,
        )
        for row in connection.execute(query)
    ]


def last_leg_within(connection: Connection, purpose: str) -> int:
    """Return the highest number of a leg of a purpose, whatever became of it; 0 for none."""
    query = select(func.max(TransferRow.leg)).where(TransferRow.purpose == purpose)
    return connection.execute(query).scalar_one() or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """What was refused of a purpose: how often by venues, and by a person the last one."""

    n_by_venue: int
    by_person: str


def refusals_within(connection: Connection, purpose: str, proposer: str) -> Refusals:
    """Return what was refused of a proposer's transfers for a purpose."""
    query = (
        select(TransferRow.transfer_key, TransferRow.attempts)
        .where(
            TransferRow.purpose == purpose, TransferRow.proposer == proposer,
            TransferRow.state.in_(("rejected", "cancelled")),
        )
        .order_by(TransferRow.recorded_at, TransferRow.transfer_key)
    )  # fmt: skip
    rows = connection.execute(query).all()
    # What was never sent has no venue to refuse it.
    by_person = [row.transfer_key for row in rows if not row.attempts]
    return Refusals(
        n_by_venue=len(rows) - len(by_person), by_person=by_person[-1] if by_person else ""
    )


def last_arrival_within(connection: Connection, netting_set_id: str) -> datetime | None:
    """Return when something arrived last that a call of a netting set has brought, or None."""
    query = (
        select(func.max(TransferRow.credited_at))
        .join(CallRow, CallRow.call_id == TransferRow.purpose)
        .where(CallRow.netting_set_id == netting_set_id)
    )
    return connection.execute(query).scalar_one_or_none()


def counts_of_proposer(connection: Connection, proposer: str) -> dict[str, int]:
    """Return how many transfers of a proposer are in each state."""
    query = (
        select(TransferRow.state, func.count())
        .where(TransferRow.proposer == proposer)
        .group_by(TransferRow.state)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _total(connection: Connection, *conditions: ColumnElement[bool]) -> Decimal:
    query = (
        select(TransferRow.asset, TransferRow.scale, exact_sum(TransferRow.amount).label("total"))
        .where(*conditions)
        .group_by(TransferRow.asset, TransferRow.scale)
    )
    total = Decimal(0)
    for row in connection.execute(query):
        part = from_minor_units(row.total, row.asset, row.scale).amount
        total = MONEY_CONTEXT.add(total, part)
    return total
