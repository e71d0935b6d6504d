"""Accounts of Binance as the platform calls them, and what each is at the venue."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from infra.secrets import Credential
from infra.venues.binance.client import VENUE, BinanceClient
from infra.venues.known_places import KnownPlaces

Wallet: TypeAlias = Literal["SPOT", "USDT_FUTURE"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class BinancePlaces(KnownPlaces[BinanceAccount, BinanceClient]):
    """The accounts that are known, each with the client of its credential."""

    venue: str = VENUE
    master: BinanceClient | None = None
    withdrawals: tuple[WithdrawalTerms, ...] = ()
