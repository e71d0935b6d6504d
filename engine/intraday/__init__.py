"""The live book of the intraday loop: changes in, exact figures out, no clock and no I/O."""

from engine.intraday.changes import (
    AccountOwner,
    CollateralReport,
    Degradation,
    Fill,
    MarkChanges,
    OrderReport,
    PositionReport,
    TransferReport,
    VenueReport,
)
from engine.intraday.figures import Drift, LiveFigures
from engine.intraday.live_book import LiveBook

__all__ = [
    "AccountOwner",
    "CollateralReport",
    "Degradation",
    "Drift",
    "Fill",
    "LiveBook",
    "LiveFigures",
    "MarkChanges",
    "OrderReport",
    "PositionReport",
    "TransferReport",
    "VenueReport",
]
