"""What one more order or transfer would do to a held book, without revaluing the book."""

from engine.whatif.answer import ANSWERED, REFUSED, WHATIF_COLUMNS, WhatIf, what_if
from engine.whatif.candidate import OUTSIDE, Candidate, Order, Transfer
from engine.whatif.held_book import PreparedBook, prepare_book
from engine.whatif.venue_detail import VenueDetail, venue_detail

__all__ = [
    "ANSWERED",
    "OUTSIDE",
    "REFUSED",
    "WHATIF_COLUMNS",
    "Candidate",
    "Order",
    "PreparedBook",
    "Transfer",
    "VenueDetail",
    "WhatIf",
    "prepare_book",
    "venue_detail",
    "what_if",
]
