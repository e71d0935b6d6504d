"""Accounts of a simulated venue: exact balances by wallet, positions, orders, and a history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

ZERO: Final = Decimal(0)
TRADING: Final = "trading"

RefusalReason = Literal[
    "funds", "reduce_only", "limit", "instrument", "address", "policy", "duplicate_key",
    "account", "frozen", "maintenance", "settlement", "cancel_only", "other",
]  # fmt: skip


class Refused(Exception):
    """The venue says no; a protocol turns ``reason`` into its own code."""

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True)
class Position:
    """Signed contracts, long > 0, and the average price at which they are held."""

    symbol: str
    quantity: Decimal = ZERO
    entry_price: Decimal = ZERO
    realised: Decimal = ZERO


@dataclass(slots=True, kw_only=True)
class Order:
    """An order; ``key`` is the client's own identifier, ``due`` when matching gets to it."""

    order_id: str
    key: str
    account_id: str
    symbol: str
    side: Literal["buy", "sell"]
    quantity: Decimal
    limit_price: Decimal | None
    is_reduce_only: bool
    placed_at: datetime
    is_immediate: bool = False
    due: float = 0.0
    filled: Decimal = ZERO
    average_price: Decimal | None = None
    state: Literal["open", "filled", "cancelled", "rejected"] = "open"

    @property
    def remaining(self) -> Decimal:
        """Return contracts not yet filled."""
        return self.quantity - self.filled

    @property
    def sign(self) -> int:
        """Return +1 for a buy, -1 for a sell."""
        return 1 if self.side == "buy" else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLine:
    """One line of the venue's history; ``line_id`` rises through the whole venue."""

    line_id: int
    account_id: str
    wallet: str
    asset: str
    change: Decimal
    balance_after: Decimal
    kind: str
    at: datetime
    reference: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """Proof for tests that something was carried out under a key."""

    key: str
    kind: str
    account_id: str
    details: Mapping[str, object]


@dataclass(slots=True)
class Account:
    """One account or sub-account; balances by wallet and asset may be negative (a debt)."""

    account_id: str
    parent: str = ""
    name: str = ""
    balances: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    lines: list[LedgerLine] = field(default_factory=list)
    sequence: int = 0

    def balance(self, asset: str, wallet: str = TRADING) -> Decimal:
        """Return units of an asset in a wallet."""
        return self.balances.get((wallet, asset), ZERO)

    def assets(self, wallet: str = TRADING) -> tuple[str, ...]:
        """Return assets that the wallet has ever held, sorted."""
        return tuple(sorted(asset for held, asset in self.balances if held == wallet))

    def open_positions(self) -> list[Position]:
        """Return positions that are not flat, by symbol."""
        held = (self.positions[symbol] for symbol in sorted(self.positions))
        return [position for position in held if position.quantity]

    def open_orders(self) -> list[Order]:
        """Return open orders, oldest first."""
        return [order for order in self.orders.values() if order.state == "open"]
