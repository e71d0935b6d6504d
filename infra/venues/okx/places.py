"""Accounts of OKX as the platform calls them, and what each is at the venue."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from infra.secrets import Credential
from infra.venues.known_places import KnownPlaces
from infra.venues.okx.client import VENUE, OkxClient

Wallet: TypeAlias = Literal["trading", "funding"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class OkxPlaces(KnownPlaces[OkxAccount, OkxClient]):
    """The accounts that are known, each with the client of its credential.

    ``is_client_id_once``: see ``OkxConfiguration``.
    """

    venue: str = VENUE
    withdrawals: tuple[WithdrawalTerms, ...] = ()
    is_client_id_once: bool = False

    def client_of_master(self) -> OkxClient | None:
        """Return the client of the master account, None if it is not known."""
        for account in self.accounts.values():
            if not account.sub_account:
                return self.clients[account.credential.name]
        return None
