"""What a plan of reduction may do, and one order of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from annotated_types import Gt, Le

from engine.limits import STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class ReductionTerms:
    """Limits of a plan.

    Attributes
    ----------
    ratio_target : float
        What is owed over collateral value that the plan restores. [-]
    notional_max : float
        Largest exposure of all orders together. [USD]
    volume_share_max : float
        Largest exposure of the orders of one underlying, over its average daily volume. [-]
    orders_max : int
        Most orders.
    hedges : tuple of str
        Instruments in which a hedge may be opened; none where orders may only reduce.
    hedge_accounts : tuple of str, optional
        Accounts in which it may be opened; all at the instrument's venue where None.
    """

    __pydantic_config__ = STRICT

    ratio_target: Annotated[float, Gt(0.0), Le(1.0)] = 0.95
    notional_max: Annotated[float, Gt(0.0)] = 50_000_000.0
    volume_share_max: Annotated[float, Gt(0.0), Le(1.0)] = 0.05
    orders_max: Annotated[int, Gt(0)] = 50
    hedges: tuple[str, ...] = ()
    hedge_accounts: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedOrder:
    """One order; ``quantity`` in contracts, > 0, ``notional`` its exposure. [USD]"""

    account_id: str
    instrument_id: str
    side: Literal["buy", "sell"]
    quantity: Decimal
    is_reduce_only: bool
    notional: float
