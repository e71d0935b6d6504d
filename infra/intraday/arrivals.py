"""Collateral that calls have brought to places of the house: it counts for who has paid it.

What arrives at a client's own account is told by the venue. A house's place is nobody's account, so
that the record of transfers says what lies there for whom: what the close had, and what came since,
less what has gone back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeAlias

from engine.intraday import CollateralReport
from infra.intraday.base import Base

_SENT: Final = "unknown"
_CREDITED: Final = "credited"
_BACK: Final = ("rejected", "cancelled")
_Held: TypeAlias = tuple[str, str, str]
"""Netting set, place, asset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidStep:
    """A step of a transfer whose purpose is a call. [asset]"""

    transfer_key: str
    state: str
    netting_set_id: str
    direction: str
    source: str
    destination: str
    asset: str
    quantity: Decimal
    fee: Decimal


@dataclass(slots=True)
class Arrivals:
    """What lies at places of the house for netting sets, since a close.

    Attributes
    ----------
    own_places : collection of str
        Places of clients: what lies there is told by their venues.
    """

    base: Base
    own_places: Collection[str]
    _held: dict[_Held, Decimal] = field(default_factory=dict)
    _came: set[str] = field(default_factory=set)
    _gone: set[str] = field(default_factory=set)
    _at_close: Mapping[_Held, Decimal] | None = None

    def take(self, step: PaidStep) -> CollateralReport | None:
        """Take a step and return what lies at the place now; None where nothing changed there.

        Steps are taken in the order in which they were recorded, all since the close.
        """
        place, change = self._change(step)
        if not change or place in self.own_places:
            return None
        key = (step.netting_set_id, place, step.asset)
        self._held[key] = self._held.get(key, Decimal(0)) + change
        held = max(self._before().get(key, Decimal(0)) + self._held[key], Decimal(0))
        return CollateralReport(step.netting_set_id, place, step.asset, float(held))

    def _change(self, step: PaidStep) -> tuple[str, Decimal]:
        if step.direction == "call":
            # Asked about after its credit, a transfer is credited once more and has come once.
            if step.state != _CREDITED or step.transfer_key in self._came:
                return step.destination, Decimal(0)
            self._came.add(step.transfer_key)
            return step.destination, step.quantity - step.fee
        # What the house returns has left when it may have left.
        if step.state == _SENT and step.transfer_key not in self._gone:
            self._gone.add(step.transfer_key)
            return step.source, -step.quantity
        if step.state in _BACK and step.transfer_key in self._gone:
            self._gone.remove(step.transfer_key)
            return step.source, step.quantity
        return step.source, Decimal(0)

    def _before(self) -> Mapping[_Held, Decimal]:
        if self._at_close is None:
            self._at_close = _settled_at_close(self.base)
        return self._at_close


def _settled_at_close(base: Base) -> dict[_Held, Decimal]:
    """Return what the close had, the smallest where its sources differ."""
    rows = base.collateral.holdings
    rows = rows[rows["state"].astype(str) == "settled"]
    names = ("netting_set_id", "location", "asset")
    found: dict[_Held, Decimal] = {}
    columns: list[list[Any]] = [rows[name].astype(str).tolist() for name in names]
    for name, place, asset, quantity in zip(*columns, rows["quantity"].tolist(), strict=True):
        key, held = (name, place, asset), Decimal(repr(float(quantity)))
        found[key] = min(found.get(key, held), held)
    return found
