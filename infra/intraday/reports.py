"""Reports that change holdings, as they are kept in the inbox and handed to the live book."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

import msgspec

from engine.intraday import (
    CollateralReport,
    Fill,
    LiveBook,
    OrderReport,
    PositionReport,
    TransferReport,
    VenueReport,
)
from infra.db.intraday_commits import InboxMessage

Report: TypeAlias = (
    PositionReport | Fill | CollateralReport | OrderReport | TransferReport | VenueReport
)
KINDS: Final[Mapping[str, type]] = {
    "position": PositionReport,
    "fill": Fill,
    "collateral": CollateralReport,
    "order": OrderReport,
    "transfer": TransferReport,
    "venue_margin": VenueReport,
}
_NAMES: Final = {kind: name for name, kind in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Incoming:
    """A report on its way: never dropped, and counted once under ``(source, message_id)``."""

    source: str
    message_id: str
    report: Report
    received_at: datetime

    @property
    def message(self) -> InboxMessage:
        """Return it as the inbox keeps it."""
        return InboxMessage(
            source=self.source,
            message_id=self.message_id,
            kind=_NAMES[type(self.report)],
            body=msgspec.to_builtins(self.report),
            received_at=self.received_at,
        )


def report_of(kind: str, body: Mapping[str, Any]) -> Report:
    """Return the report that the inbox keeps under a kind."""
    found: Report = msgspec.convert(dict(body), KINDS[kind])
    return found


def apply(book: LiveBook, report: Report) -> int:
    """Hand a report to the book and return the row of its netting set."""
    handlers: Mapping[type, Callable[[Any], int]] = {
        PositionReport: book.apply_position,
        Fill: book.apply_fill,
        CollateralReport: book.apply_collateral,
        OrderReport: book.apply_order,
        TransferReport: book.apply_transfer,
        VenueReport: book.apply_venue_report,
    }
    return handlers[type(report)](report)
