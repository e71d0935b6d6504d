"""Accounts are ``<kind>:<owner>``; the kind says what may be done with an account.

The balance of an account is its credits less its debits. ``location:<place>`` and
``transit:<transfer>`` hold what is really there, so they never overdraw. ``collateral:<netting
set>`` and ``margin:<netting set>`` say whose it is, ``settlement:<venue account>`` faces the day's
gains and losses, ``fees:<rail>`` what moving cost, ``outside:<name>`` is the world.
"""

from __future__ import annotations

from typing import Final

from engine.errors import ModelInputError

LOCATION: Final = "location"
TRANSIT: Final = "transit"
COLLATERAL: Final = "collateral"
MARGIN: Final = "margin"
SETTLEMENT: Final = "settlement"
FEES: Final = "fees"
OUTSIDE: Final = "outside"

# Nobody can send what is not there.
FLOORED_KINDS: Final = frozenset({LOCATION, TRANSIT})
# What is credited here is owed to clients.
CLIENT_KINDS: Final = frozenset({COLLATERAL, MARGIN})


def kind_of(account: str) -> str:
    """Return the kind of an account, or raise ModelInputError if it is not ``<kind>:<owner>``."""
    kind, separator, owner = account.partition(":")
    if not (kind and separator and owner):
        raise ModelInputError(f"account {account!r} is not <kind>:<owner>", identifier=account)
    return kind


def may_overdraw(account: str) -> bool:
    """Return whether the balance of an account may be below what is held of it."""
    return kind_of(account) not in FLOORED_KINDS


def location_account(place: str) -> str:
    """Return the account of what is held at a place, ``<venue>/<account>`` or custodian's vault."""
    return f"{LOCATION}:{place}"


def transit_account(transfer_key: str) -> str:
    """Return the account of what a transfer has taken from its source and not yet delivered."""
    return f"{TRANSIT}:{transfer_key}"


def fees_account(rail: str) -> str:
    """Return the account of what moving over a rail has cost."""
    return f"{FEES}:{rail}"


def outside_account(name: str) -> str:
    """Return an account of the world; it may be negative, because what is here came from there."""
    return f"{OUTSIDE}:{name}"
