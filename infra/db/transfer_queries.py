"""What the desk asks about many transfers at once, answered by the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import ColumnElement, Connection, and_, case, or_, select

from engine.money import MONEY_CONTEXT, from_minor_units
from engine.transfers.intent import TransferIntent
from engine.transfers.limits import PastTransfer
from engine.transfers.states import COUNTED
from infra.db.column_types import exact_sum
from infra.db.transfer_tables import TransferRow
from infra.db.transfers import TRANSFERS, TransferRecord

_WINDOW = timedelta(hours=24)


def counted_within(
    connection: Connection, intent: TransferIntent, now: datetime
) -> list[PastTransfer]:
    """Return what counts against the limits of an intent's asset at ``now``, itself left out."""
    return _counted(connection, intent.asset, now, TransferRow.transfer_key != intent.key)


def all_counted_within(connection: Connection, asset: str, now: datetime) -> list[PastTransfer]:
    """Return what counts against the limits of an asset at ``now``."""
    return _counted(connection, asset, now)


def _counted(
    connection: Connection, asset: str, now: datetime, *conditions: ColumnElement[bool]
) -> list[PastTransfer]:
    """Return sums by route (I-13).

    Of what was sent on this UTC day, of what was in the rest of the last 24 hours, and of what is
    unknown however old.
    """
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    is_open = or_(
        and_(TransferRow.state.in_(("unknown", "stuck")), TransferRow.accepted_at.is_(None)),
        and_(TransferRow.state == "new", TransferRow.is_exposed == 1),
    )
    period = case((is_open, 0), (TransferRow.sent_at >= midnight, 1), else_=2).label("period")
    counts = or_(is_open, and_(TransferRow.state.in_(COUNTED), TransferRow.sent_at > now - _WINDOW))
    total = exact_sum(TransferRow.amount).label("total")
    route = (TransferRow.source, TransferRow.destination)
    query = (
        select(*route, TransferRow.scale, period, total)
        .where(TransferRow.asset == asset, counts, *conditions)
        .group_by(*route, TransferRow.scale, period)
    )
    instants = {0: now, 1: now, 2: midnight - timedelta(microseconds=1)}
    return [
        PastTransfer(
            key="",
            source=row.source,
            destination=row.destination,
            asset=asset,
            quantity=from_minor_units(row.total, asset, row.scale).amount,
            sent_at=instants[row.period],
            is_unknown=row.period == 0,
        )
        for row in connection.execute(query)
    ]


def open_from_within(connection: Connection, intent: TransferIntent) -> list[TransferRecord]:
    """Return sent transfers of the intent's source and asset whose debit has not been seen."""
    return TRANSFERS.where(
        connection,
        TransferRow.source == intent.source,
        TransferRow.asset == intent.asset,
        TransferRow.transfer_key != intent.key,
        TransferRow.state.in_(("unknown", "done", "stuck")),
        TransferRow.debited_at.is_(None),
    )


def later_debits_within(connection: Connection, intent: TransferIntent, since: datetime) -> Decimal:
    """Return what left the intent's source by transfers first sent after ``since``. [asset]"""
    return _quantity(
        connection,
        TransferRow.source == intent.source,
        TransferRow.asset == intent.asset,
        TransferRow.first_sent_at > since,
        TransferRow.debited_at.is_not(None),
        TransferRow.state.in_(COUNTED),
    )


def possible_credits_within(
    connection: Connection, intent: TransferIntent, since: datetime
) -> Decimal:
    """Return what has, or may have, arrived at the intent's source after ``since``. [asset]"""
    return _quantity(
        connection,
        TransferRow.destination == intent.source,
        TransferRow.asset == intent.asset,
        TransferRow.state.in_(COUNTED),
        or_(TransferRow.credited_at.is_(None), TransferRow.credited_at >= since),
    )


def _quantity(connection: Connection, *conditions: ColumnElement[bool]) -> Decimal:
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
