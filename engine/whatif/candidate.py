"""What is asked: orders and transfers that might be, one or a basket at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Side: TypeAlias = Literal["buy", "sell"]

OUTSIDE: Final = "outside"
"""Where collateral comes from that the client brings, and goes to that is given back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order, taken as filled in full.

    Attributes
    ----------
    side : {"buy", "sell"}
    quantity : float
        Contracts, > 0.
    instrument_id : str
    price : float, optional
        Price of the fill; the mark where there is none. It moves cash, not the requirement.
        [quote unit of the instrument]
    account_id : str, optional
        Venue account that trades; else one that holds the instrument, or is at its venue.
    """

    side: Side
    quantity: float
    instrument_id: str
    price: float | None = None
    account_id: str | None = None

    @property
    def change(self) -> float:
        """Return the signed quantity. [contracts]"""
        return self.quantity if self.side == "buy" else -self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Collateral that moves, taken as settled.

    Attributes
    ----------
    asset : str
    quantity : float
        Units, > 0. [asset]
    source, destination : str, optional
        Location, or ``OUTSIDE``. Where there is none, a location that holds the asset.
    """

    asset: str
    quantity: float
    source: str | None = OUTSIDE
    destination: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Orders and transfers that happen together, in their order.

    ``fault`` says why the candidate could not be read; such a one is refused in its row.
    """

    candidate_id: str
    orders: tuple[Order, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    fault: str = ""
