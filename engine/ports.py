"""What the engine's callers need filled by the outside: venues, custodians, order management.

Amounts and quantities are exact decimals, never floats. Every reading says when the venue made it,
when it came in and whether it is complete; what is absent is None, never zero. Every write takes
the caller's key and is tried once: an adapter never retries a write, and raises the errors of
``engine.errors`` below ``VenueError``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Protocol, TypeAlias

import pandas as pd

ExecutionKind: TypeAlias = Literal["trade", "bust", "correction"]
TransferStatus: TypeAlias = Literal["pending", "done", "credited", "rejected", "cancelled"]
FeedHealth: TypeAlias = Literal["connecting", "live", "uncertain", "stale", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """When and from where something was read.

    Attributes
    ----------
    venue_time : datetime, optional
        The venue's own stamp; None where it gives none.
    received_at : datetime
        Our clock when the answer was complete.
    is_complete : bool
        False if a page or a part was missing: what is absent then proves nothing.
    watermark : str
        Position in the venue's history that the reading includes; empty where it gives none.
    """

    source: str
    received_at: datetime
    venue_time: datetime | None = None
    is_complete: bool = True
    watermark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Prices of an instrument at one instant; prices in its quote currency, rates as fractions."""

    instrument_id: str
    reading: Reading
    mark_price: Decimal
    index_price: Decimal | None = None
    funding_rate: Decimal | None = None
    mark_iv: Decimal | None = None
    forward_price: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPosition:
    """Signed ``quantity`` in contracts, long > 0."""

    instrument_id: str
    quantity: Decimal
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBalance:
    """Units of an asset in a wallet, and what of them may leave; < 0 is owed to the venue.

    ``equity`` is what the venue would owe us of the asset if all positions were closed now: the
    wallet and the open profit; None where it does not say so by asset.
    """

    asset: str
    quantity: Decimal
    available: Decimal | None = None
    equity: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingOrder:
    """An open order; ``client_order_id`` is ours where the venue kept it.

    In a stream a ``remaining_quantity`` of 0 says that it works no more.
    """

    order_id: str
    instrument_id: str
    side: Literal["buy", "sell"]
    remaining_quantity: Decimal
    limit_price: Decimal | None
    is_reduce_only: bool
    client_order_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedMargin:
    """Margin as the venue reports it, by its own bucket (a coin, or the whole account)."""

    bucket: str
    currency: str
    initial_margin: Decimal
    maintenance_margin: Decimal
    equity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSnapshot:
    """Everything of one venue account, read together."""

    account_id: str
    reading: Reading
    positions: tuple[HeldPosition, ...]
    balances: tuple[HeldBalance, ...]
    orders: tuple[WorkingOrder, ...]
    margins: tuple[ReportedMargin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueLedgerLine:
    """One line of a venue's own history; ``reference`` is our key where the venue kept it.

    ``instrument_id`` is filled where the line is about one instrument and the venue says which.
    """

    line_id: str
    asset: str
    change: Decimal
    kind: str
    booked_at: datetime
    reference: str = ""
    balance_after: Decimal | None = None
    instrument_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueLedgerPage:
    """Lines after a cursor, oldest first; ``next_cursor`` is empty at the present end."""

    reading: Reading
    lines: tuple[VenueLedgerLine, ...]
    next_cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """What a stream says: data, or a change of its health.

    ``health`` other than ``live`` means that nothing since is to be trusted until a snapshot.
    ``raw`` is a frame that could not be read, kept as it came.
    """

    source: str
    received_at: datetime
    health: FeedHealth = "live"
    marks: tuple[Mark, ...] = ()
    positions: tuple[HeldPosition, ...] = ()
    balances: tuple[HeldBalance, ...] = ()
    margins: tuple[ReportedMargin, ...] = ()
    orders: tuple[WorkingOrder, ...] = ()
    reason: str = ""
    raw: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteGuarantees:
    """What a transfer route promises; the engine derives its caution from this alone.

    Attributes
    ----------
    is_keyed : bool
        Whether the venue keeps our key and executes it at most once.
    duplicate_answer : {"original", "rejected", "none"}
        What a repeated key gets.
    key_lifetime : timedelta, optional
        How long the venue remembers a key; None is for ever.
    has_lookup : bool
        Whether a transfer is found by our key.
    request_expiry : timedelta
        After this a request that has left can no longer be accepted.
    settle_window : timedelta
        Longest time from acceptance until a lookup shows the transfer.
    fee_max : Decimal
        Largest fee. [asset of the transfer]
    amount_min : Decimal
        Smallest amount. [asset of the transfer]
    needs_whitelist, is_cancellable : bool
        Whether the venue must know the destination; whether a pending one can be called back.
    """

    is_keyed: bool
    duplicate_answer: Literal["original", "rejected", "none"]
    has_lookup: bool
    request_expiry: timedelta
    settle_window: timedelta
    key_lifetime: timedelta | None = None
    fee_max: Decimal = Decimal(0)
    amount_min: Decimal = Decimal(0)
    needs_whitelist: bool = False
    is_cancellable: bool = False

    @property
    def quiescence(self) -> timedelta:
        """Return how long "not found" proves nothing after the last sending."""
        return self.request_expiry + self.settle_window


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOrder:
    """A transfer as it is handed to a gateway; ``key`` is a function of the intent, for ever.

    ``source`` and ``destination`` are places: ``<venue>/<account>`` or ``<custodian>/<vault>``.
    ``address`` is filled where the rail needs one.
    """

    key: str
    source: str
    destination: str
    asset: str
    quantity: Decimal
    address: str = ""
    network: str = ""
    memo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferReport:
    """What a venue says of a transfer: debit and credit are separate facts.

    ``is_debited`` once the source has paid, ``is_credited`` once the destination is known to have
    received ``quantity`` less ``fee``; None is not known from this side.
    """

    key: str
    venue_transfer_id: str
    status: TransferStatus
    quantity: Decimal
    reading: Reading
    fee: Decimal = Decimal(0)
    is_debited: bool | None = None
    is_credited: bool | None = None
    reason: str = ""


class VenueCatalog(Protocol):
    """Instruments of a venue."""

    async def instruments(self) -> pd.DataFrame:
        """Return rows of the data contract ``instruments``."""


class MarketFeed(Protocol):
    """Prices of a venue."""

    async def marks(self, instrument_ids: Sequence[str]) -> tuple[Mark, ...]:
        """Return present marks; an instrument that the venue does not know is absent."""

    def stream(self, instrument_ids: Sequence[str]) -> AsyncIterator[FeedEvent]:
        """Yield marks as they come, and every change of health; ends only when closed."""


class AccountFeed(Protocol):
    """Holdings and margin of one credential's accounts."""

    async def snapshot(self, account_id: str) -> AccountSnapshot:
        """Return everything of an account, read together."""

    def stream(self, account_id: str) -> AsyncIterator[FeedEvent]:
        """Yield changes, and every change of health; after a gap the account is uncertain."""

    async def history(self, account_id: str, cursor: str = "") -> VenueLedgerPage:
        """Return the venue's ledger after ``cursor``, from the beginning where it is empty."""


class WhatIf(Protocol):
    """The venue's own answer to a changed book."""

    async def simulate(
        self, account_id: str, changes: Mapping[str, Decimal]
    ) -> tuple[ReportedMargin, ...]:
        """Return margin if ``changes`` (contracts by instrument) were added to the positions."""


class TransferGateway(Protocol):
    """A rail that moves assets. Each call is one attempt."""

    def guarantees(self, order: TransferOrder) -> RouteGuarantees:
        """Return what the route of ``order`` promises; raises Unsupported if there is none."""

    async def submit(self, order: TransferOrder) -> TransferReport:
        """Send; raises VenueRejected if refused for good, NotSent if it never left, else
        OutcomeUnknown."""

    async def find(self, order: TransferOrder) -> TransferReport | None:
        """Return the transfer of ``order.key``; None is "not found", which proves nothing alone."""

    async def balance(self, place: str, asset: str) -> HeldBalance:
        """Return what is held at a place: the second proof beside ``find``."""


class DepositHistory(Protocol):
    """What has arrived at a place, by the destination's own word."""

    async def received(self, place: str, asset: str, tx_hash: str) -> Decimal | None:
        """Return what was booked for a transaction of the chain; None is "not there" so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A fact as order management reports it: a trade, or what became of one.

    Attributes
    ----------
    side, quantity, execution_price
        Of the trade; of a bust those of what is undone, of a correction those that hold instead.
    executed_at : datetime
        When it happened, by order management.
    is_repeat : bool
        Marked as a possible duplicate.
    kind : {"trade", "bust", "correction"}
        A bust undoes the execution ``refers_to``, a correction stands in its place.
    reported_at : datetime, optional
        When order management first reported it; None where it does not say.
    """

    execution_id: str
    account_id: str
    instrument_id: str
    side: Literal["buy", "sell"]
    quantity: Decimal
    execution_price: Decimal
    executed_at: datetime
    is_repeat: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    kind: ExecutionKind = "trade"
    refers_to: str = ""
    reported_at: datetime | None = None

    @property
    def change(self) -> Decimal:
        """Return signed contracts, bought > 0."""
        return self.quantity if self.side == "buy" else -self.quantity

    @property
    def known_since(self) -> datetime:
        """Return when order management had it, by its own stamp."""
        return self.reported_at or self.executed_at


class OmsGateway(Protocol):
    """Order management: what it believes was traded and is held."""

    def drop_copy(self) -> AsyncIterator[Execution]:
        """Yield executions in order of arrival; consumers drop repeats by ``execution_id``."""

    async def positions(self, account_id: str) -> tuple[HeldPosition, ...]:
        """Return the positions that order management holds for an account."""
