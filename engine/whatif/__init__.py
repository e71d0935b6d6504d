"""What one more order or transfer would do to a held book, without revaluing the book."""

from engine.whatif.answer import ANSWERED, REFUSED, WHATIF_COLUMNS, WhatIf, what_if
from engine.whatif.candidate import OUTSIDE, Candidate, Order, Transfer
from engine.whatif.held_book import PreparedBook, prepare_book
from engine.whatif.stress_day import (
    STRESS_DAY_COLUMNS,
    day_of_history,
    own_day,
    stress_day,
)
from engine.whatif.venue_detail import VenueDetail, venue_detail

__all__ = [
    "ANSWERED",
    "OUTSIDE",
    "REFUSED",
    "STRESS_DAY_COLUMNS",
    "WHATIF_COLUMNS",
    "Candidate",
    "Order",
    "PreparedBook",
    "Transfer",
    "VenueDetail",
    "WhatIf",
    "day_of_history",
    "own_day",
    "prepare_book",
    "stress_day",
    "venue_detail",
    "what_if",
]
