"""What may be done at a venue to reduce risk: orders, and what the venue says of them.

As in ``engine.ports``: exact decimals, the caller's key, one attempt per call.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Literal, Protocol

from engine.ports import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderGuarantees:
    """What a venue promises about orders; the engine derives its caution from this alone.

    Attributes
    ----------
    is_keyed : bool
        Whether the venue refuses a second order of the same key.
    request_expiry : timedelta
        After this a request that has left can no longer be accepted.
    settle_window : timedelta
        Longest time from acceptance until a lookup shows the order.
    """

    is_keyed: bool
    request_expiry: timedelta
    settle_window: timedelta

    @property
    def quiescence(self) -> timedelta:
        """Return how long "not found" proves nothing after the sending."""
        return self.request_expiry + self.settle_window


@dataclass(frozen=True, slots=True, kw_only=True)
class ReduceOrder:
    """An order that may only make a position smaller; with a limit, what is left is cancelled."""

    key: str
    account_id: str
    instrument_id: str
    side: Literal["buy", "sell"]
    quantity: Decimal
    limit_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeOrder:
    """An order that may open a position which takes risk off others; never without a limit.

    What does not fill at once is cancelled: a hedge that waits in the book is none.
    """

    key: str
    account_id: str
    instrument_id: str
    side: Literal["buy", "sell"]
    quantity: Decimal
    limit_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """What a venue says of an order."""

    key: str
    order_id: str
    status: Literal["open", "filled", "cancelled", "rejected"]
    filled_quantity: Decimal
    average_price: Decimal | None
    reading: Reading
    reason: str = ""


class RiskActions(Protocol):
    """What may be done to reduce risk. Each call is one attempt."""

    def order_guarantees(self) -> OrderGuarantees:
        """Return what the venue promises about orders."""

    async def reduce(self, order: ReduceOrder) -> OrderReport:
        """Send a reduce-only order."""

    async def hedge(self, order: HedgeOrder) -> OrderReport:
        """Send an order that may open a position; its limits are the caller's to keep."""

    async def find_order(
        self, account_id: str, key: str, instrument_id: str = ""
    ) -> OrderReport | None:
        """Return the order of a key; None is "not found", which does not mean "not executed".

        ``instrument_id`` says where to look, where the caller knows it.
        """

    async def cancel_order(self, account_id: str, order_id: str, instrument_id: str) -> None:
        """Ask once that an order be cancelled; what became of it is for a lookup to say."""

    async def cancel_all(self, account_id: str) -> int:
        """Cancel the account's open orders; return how many."""
