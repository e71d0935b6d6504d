"""Accounts of Deribit as the platform calls them: the venue's own numbers."""

from __future__ import annotations

from engine.errors import Unsupported
from infra.venues.deribit.client import VENUE

_PREFIX = f"{VENUE}/"


def account_of(place: str) -> str:
    """Return the account of ``deribit/<number>`` or of the number alone.

    Raises
    ------
    Unsupported
        If it is no account of Deribit.
    """
    account = place.removeprefix(_PREFIX)
    if not account.isdecimal():
        raise Unsupported(f"{place} is no account of {VENUE}: {_PREFIX}<number>", identifier=place)
    return account


def is_here(place: str) -> bool:
    """Return whether a place is an account of Deribit."""
    return place.startswith(_PREFIX)
