"""How a margin call is paid: planned, pledged, transferred, settled; by hand or by the desk."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.paying.desk import DeskParts, PaymentDesk
    from infra.paying.planning import Payment, Wanted, payment_plan
    from infra.paying.pledging import Leg, pledge_and_propose
    from infra.paying.settling import Settled, settle_paid
    from infra.paying.valuation import HoldingValuation

# Resolved on first use: the solver stays out of the start of a command.
_HOMES = {
    "DeskParts": "desk",
    "HoldingValuation": "valuation",
    "Leg": "pledging",
    "Payment": "planning",
    "PaymentDesk": "desk",
    "Settled": "settling",
    "Wanted": "planning",
    "payment_plan": "planning",
    "pledge_and_propose": "pledging",
    "settle_paid": "settling",
}

__all__ = [
    "DeskParts",
    "HoldingValuation",
    "Leg",
    "Payment",
    "PaymentDesk",
    "Settled",
    "Wanted",
    "payment_plan",
    "pledge_and_propose",
    "settle_paid",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"infra.paying.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
