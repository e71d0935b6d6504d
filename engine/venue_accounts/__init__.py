"""What each venue demands of each account, by the account's margin mode."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.venue_accounts.assembly import VenueMargins, margined_accounts, venue_margins
    from engine.venue_accounts.governing import MarginedAccounts
    from engine.venue_accounts.margins import BookMargins, BookRows, margin_books
    from engine.venue_accounts.market import VenueMarket, prepare_venues

# Resolved on first use: whoever only names columns does not load the models.
_HOMES = {
    "BookMargins": "margins",
    "BookRows": "margins",
    "MarginedAccounts": "governing",
    "VenueMargins": "assembly",
    "VenueMarket": "market",
    "margin_books": "margins",
    "margined_accounts": "assembly",
    "prepare_venues": "market",
    "venue_margins": "assembly",
}

__all__ = [
    "BookMargins",
    "BookRows",
    "MarginedAccounts",
    "VenueMargins",
    "VenueMarket",
    "margin_books",
    "margined_accounts",
    "prepare_venues",
    "venue_margins",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"engine.venue_accounts.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
