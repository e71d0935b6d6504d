"""What a simulated venue lists, in the words of our instruments contract."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One contract or pair; fields mean what they mean in the data contract ``instruments``.

    ``contract_multiplier`` is units of the underlying (linear), of quote currency (inverse futures
    and perpetuals) or coins (inverse options) per contract; quantities in the book are contracts.
    """

    symbol: str
    kind: Literal["spot", "future", "perpetual", "option"]
    payoff: Literal["linear", "inverse"]
    underlying: str
    quote_asset: str
    settlement_asset: str
    contract_multiplier: Decimal
    tick_size: Decimal
    lot_size: Decimal
    strike: Decimal | None = None
    option_type: Literal["call", "put"] | None = None
    expiry_utc: datetime | None = None
    initial_rate: Decimal = Decimal("0.02")
    maintenance_rate: Decimal = Decimal("0.01")
    is_active: bool = True
    brackets: tuple[tuple[Decimal, Decimal], ...] = ()
    """Maintenance rates by notional floor, marginal; instead of ``maintenance_rate`` if any."""
    rate_per_coin: Decimal = Decimal(0)
    """Added to both rates for each coin of a position."""

    @property
    def is_inverse_future(self) -> bool:
        """Return whether gains are paid in coin by the reciprocal of the price."""
        return self.payoff == "inverse" and self.kind != "option"
