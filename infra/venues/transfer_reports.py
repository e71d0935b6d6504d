"""What an adapter has seen of a transfer, as the report that the port asks for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from engine.errors import OutcomeUnknown
from engine.ports import Reading, TransferOrder, TransferReport, TransferStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What an answer states beside identity and status; None is not stated."""

    received_at: datetime
    quantity: Decimal | None = None
    fee: Decimal = Decimal(0)
    is_debited: bool | None = None
    is_credited: bool | None = None
    reason: str = ""


def report_of(
    venue: str, order: TransferOrder, venue_transfer_id: str, status: TransferStatus, seen: Seen
) -> TransferReport:
    """Return the report; an answer that states no quantity is of the order's."""
    return TransferReport(
        key=order.key,
        venue_transfer_id=venue_transfer_id,
        status=status,
        quantity=order.quantity if seen.quantity is None else seen.quantity,
        reading=Reading(source=venue, received_at=seen.received_at),
        fee=seen.fee,
        is_debited=seen.is_debited,
        is_credited=seen.is_credited,
        reason=seen.reason,
    )


def of_another(venue: str, order: TransferOrder, answered: str) -> OutcomeUnknown:
    """Return the error of an answer that names ``answered``: it says nothing of this order."""
    return OutcomeUnknown(
        f"{venue} transfer {order.key}: the answer is of {answered}; look it up by its key, do not "
        "send it anew",
        identifier=order.key,
        value=answered,
    )
