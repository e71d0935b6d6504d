"""The ledger beside what the venues hold, now: read, booked, compared."""

from infra.reconciling.history import HistoryBooked, book_history, open_place
from infra.reconciling.looking import Look, PlaceLook, look_at
from infra.reconciling.scopes import SCOPES, Scope, ScopeLook
from infra.reconciling.sides import in_flight_of, ledger_side, venue_side

__all__ = [
    "SCOPES",
    "HistoryBooked",
    "Look",
    "PlaceLook",
    "Scope",
    "ScopeLook",
    "book_history",
    "in_flight_of",
    "ledger_side",
    "look_at",
    "open_place",
    "venue_side",
]
