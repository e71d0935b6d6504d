"""What the simulated order management says: facts about fills, as it believes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One fact to be told; ``exchange`` and ``symbol`` are the desk's own words."""

    execution_id: str
    kind: Literal["trade", "bust", "correction"]
    refers_to: str
    account: str
    exchange: str
    symbol: str
    side: Literal["buy", "sell"]
    quantity: Decimal
    price: Decimal
    executed_at: datetime
    reported_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What an account holds at an instant, all of it."""

    account: str
    as_of: datetime
    quantities: tuple[tuple[str, str, Decimal], ...]
    """Exchange, symbol, signed contracts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A fault that struck a fill: the oracle of tests."""

    fault: str
    execution_id: str
    place: str
    symbol: str
    change: Decimal
