"""Accounts of Binance as the platform calls them, and what each is at the venue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from engine.errors import Unsupported
from infra.secrets import Credential
from infra.venues.binance.client import VENUE, BinanceClient

Wallet: TypeAlias = Literal["SPOT", "USDT_FUTURE"]
_PREFIX: Final = f"{VENUE}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceAccount:
    """A wallet of the master account or of a sub-account.

    Attributes
    ----------
    name : str
        Ours: the place is ``binance/<name>``.
    email : str
        Of the sub-account; empty is the master account.
    wallet : {"SPOT", "USDT_FUTURE"}
        Margin is in USDT_FUTURE; withdrawals leave from, and deposits reach, SPOT.
    """

    name: str
    credential: Credential
    email: str = ""
    wallet: Wallet = "USDT_FUTURE"


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalTerms:
    """What a withdrawal of an asset over a network costs at most, and its least amount."""

    asset: str
    network: str
    fee_max: Decimal
    amount_min: Decimal


@dataclass(frozen=True, slots=True)
class BinancePlaces:
    """The accounts that are known, each with the client of its credential."""

    accounts: Mapping[str, BinanceAccount]
    clients: Mapping[str, BinanceClient]
    master: BinanceClient | None = None
    withdrawals: tuple[WithdrawalTerms, ...] = field(default=())

    def account(self, place: str) -> BinanceAccount:
        """Return the account of a place or name; raises Unsupported if there is none."""
        found = self.accounts.get(place.removeprefix(_PREFIX))
        if found is None:
            known = ", ".join(sorted(self.accounts)) or "none"
            raise Unsupported(
                f"{VENUE} has no account {place}; known: {known}", identifier=place, limit=known
            )
        return found

    def client(self, place: str) -> BinanceClient:
        """Return the client of an account's credential."""
        return self.clients[self.account(place).credential.name]

    def holds(self, place: str) -> bool:
        """Return whether a place is one of these accounts."""
        return place.startswith(_PREFIX) and place.removeprefix(_PREFIX) in self.accounts
