"""Accounts of OKX as the platform calls them, and what each is at the venue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from engine.errors import Unsupported
from infra.secrets import Credential
from infra.venues.okx.client import VENUE, OkxClient

Wallet: TypeAlias = Literal["trading", "funding"]
_PREFIX: Final = f"{VENUE}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class OkxAccount:
    """A wallet of the master account or of a sub-account.

    Attributes
    ----------
    name : str
        Ours: the place is ``okx/<name>``.
    sub_account : str
        The venue's name of the sub-account; empty is the master account.
    wallet : {"trading", "funding"}
        Margin is in trading; withdrawals leave from, and deposits reach, funding.
    """

    name: str
    credential: Credential
    sub_account: str = ""
    wallet: Wallet = "trading"


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalTerms:
    """What a withdrawal of an asset over a chain costs at most, and its least amount.

    ``chain`` is the venue's name of it, such as ``BTC-Bitcoin``.
    """

    asset: str
    chain: str
    fee_max: Decimal
    amount_min: Decimal


@dataclass(frozen=True, slots=True)
class OkxPlaces:
    """The accounts that are known, each with the client of its credential.

    ``is_client_id_once``: see ``OkxConfiguration``.
    """

    accounts: Mapping[str, OkxAccount]
    clients: Mapping[str, OkxClient]
    withdrawals: tuple[WithdrawalTerms, ...] = field(default=())
    is_client_id_once: bool = False

    def account(self, place: str) -> OkxAccount:
        """Return the account of a place or name; raises Unsupported if there is none."""
        found = self.accounts.get(place.removeprefix(_PREFIX))
        if found is None:
            known = ", ".join(sorted(self.accounts)) or "none"
            raise Unsupported(
                f"{VENUE} has no account {place}; known: {known}", identifier=place, limit=known
            )
        return found

    def client(self, place: str) -> OkxClient:
        """Return the client of an account's credential."""
        return self.clients[self.account(place).credential.name]

    def client_of_master(self) -> OkxClient | None:
        """Return the client of the master account, None if it is not known."""
        for account in self.accounts.values():
            if not account.sub_account:
                return self.clients[account.credential.name]
        return None

    def holds(self, place: str) -> bool:
        """Return whether a place is one of these accounts."""
        return place.startswith(_PREFIX) and place.removeprefix(_PREFIX) in self.accounts
