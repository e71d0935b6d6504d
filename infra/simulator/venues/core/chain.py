"""The chain that carries assets between venues and custody: debited first, credited once, later."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from infra.simulator.venues.core.clock import TownClock
from infra.simulator.venues.core.faults import FaultKind, FaultPlan, Scope


@dataclass(slots=True, kw_only=True)
class ChainTransfer:
    """One transfer on the chain. ``quantity`` is what arrives; ``due`` is in town seconds.

    ``lost`` is what went to an address or memo that nobody has registered: it is gone.
    """

    tx_hash: str
    source: str
    destination: str
    address: str
    memo: str
    network: str
    asset: str
    quantity: Decimal
    key: str
    sent: float
    due: float
    state: Literal["pending", "confirmed", "lost", "reversed"] = "pending"


Credit = Callable[[ChainTransfer], None]


@dataclass(frozen=True, slots=True)
class Registration:
    """Whose an address is, and what to call when something arrives or is taken back."""

    place: str
    network: str
    address: str
    memo: str
    on_credit: Credit
    on_reversal: Credit | None


@dataclass(slots=True)
class Chain:
    """Addresses and transfers of a town.

    A transfer confirms ``confirmation_seconds`` (town time) after it was sent and is then credited
    exactly once. ``STUCK_FEE`` keeps it pending, ``SLOW_DEPOSITS`` stretches the wait,
    ``CREDIT_MISSING`` confirms without a credit.
    """

    clock: TownClock
    plan: FaultPlan
    seed: int
    confirmation_seconds: float = 30.0
    transfers: dict[str, ChainTransfer] = field(default_factory=dict)
    _registrations: dict[tuple[str, str], Registration] = field(default_factory=dict)

    def register(
        self,
        place: str,
        network: str,
        on_credit: Credit,
        *,
        memo: str = "",
        on_reversal: Credit | None = None,
    ) -> Registration:
        """Return the address of a place on a network; the same place gets the same address."""
        digest = hashlib.sha256(f"{self.seed}/{network}/{place}".encode()).hexdigest()
        address = f"sim1{digest[:38]}"
        registration = Registration(place, network, address, memo, on_credit, on_reversal)
        self._registrations[(network, address)] = registration
        return registration

    def owner(self, network: str, address: str) -> Registration | None:
        """Return whose an address is; None if nobody's."""
        return self._registrations.get((network, address))

    def send(
        self, source: str, asset: str, quantity: Decimal, address: str,
        *, network: str, key: str, memo: str = "",
    ) -> ChainTransfer:  # fmt: skip
        """Broadcast a transfer that the source has paid already."""
        number = len(self.transfers) + 1
        digest = hashlib.sha256(f"{self.seed}/{number}/{source}/{key}".encode()).hexdigest()
        owner = self.owner(network, address)
        place = owner.place if owner is not None else ""
        wait = self.confirmation_seconds
        slow = self.plan.draw(FaultKind.SLOW_DEPOSITS, Scope(venue=place.split("/")[0]))
        if slow is not None:
            wait *= float(slow.number("factor", "3"))
        now = self.clock.elapsed()
        transfer = ChainTransfer(
            tx_hash=digest, source=source, destination=place, address=address, memo=memo,
            network=network, asset=asset, quantity=quantity, key=key, sent=now, due=now + wait,
        )  # fmt: skip
        self.transfers[digest] = transfer
        return transfer

    def settle(self) -> None:
        """Confirm and credit what is due."""
        now = self.clock.elapsed()
        for transfer in self.transfers.values():
            if transfer.state != "pending" or transfer.due > now:
                continue
            scope = Scope(venue=transfer.source.split("/")[0], endpoint="chain")
            if self.plan.draw(FaultKind.STUCK_FEE, scope) is None:
                self._confirm(transfer)

    def reorganise(self, tx_hash: str, *, is_dropped: bool = False) -> ChainTransfer:
        """Undo a transfer: a credit is taken back; it confirms again later unless dropped."""
        transfer = self.transfers[tx_hash]
        owner = self.owner(transfer.network, transfer.address)
        if transfer.state == "confirmed" and owner is not None and owner.on_reversal is not None:
            owner.on_reversal(transfer)
        transfer.state = "reversed" if is_dropped else "pending"
        transfer.due = self.clock.elapsed() + self.confirmation_seconds
        return transfer

    def _confirm(self, transfer: ChainTransfer) -> None:
        owner = self.owner(transfer.network, transfer.address)
        if owner is None or owner.memo != transfer.memo:
            transfer.state = "lost"
            return
        # The state moves before the call, so that an error in it cannot credit a second time.
        transfer.state = "confirmed"
        venue, _, account = owner.place.partition("/")
        scope = Scope(venue=venue, account=account, endpoint="chain")
        if self.plan.draw(FaultKind.CREDIT_MISSING, scope) is None:
            owner.on_credit(transfer)
