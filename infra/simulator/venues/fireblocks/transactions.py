"""Transactions of the simulated Fireblocks: from submitted to completed, one step per tick."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from infra.simulator.venues.core.accounts import ZERO, Account
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.chain import Chain, ChainTransfer
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.fireblocks import errors
from infra.simulator.venues.fireblocks.assets import Asset
from infra.simulator.venues.fireblocks.errors import ApiError

ENDS: Final = frozenset(("COMPLETED", "FAILED", "REJECTED", "CANCELLED", "BLOCKED"))
CANCELLABLE: Final = ("SUBMITTED", "PENDING_AUTHORIZATION", "QUEUED", "PENDING_SIGNATURE")
_UNSENT: Final = (*CANCELLABLE, "BROADCASTING")
Listener = Callable[["Transaction", str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A transaction that was asked for, checked; ``peer`` is the destination as it was named."""

    external_id: str
    asset: Asset
    quantity: Decimal
    is_gross: bool
    vault_id: str
    peer: tuple[str, str, str]
    address: str
    tag: str
    note: str = ""


@dataclass(slots=True, kw_only=True)
class Transaction:
    """A transaction. Times are wall milliseconds, ``asked_at`` town seconds."""

    tx_id: str
    wanted: Wanted
    fee: Decimal
    created_ms: int
    asked_at: float
    updated_ms: int = 0
    status: str = "SUBMITTED"
    sub_status: str = ""
    tx_hash: str = ""
    is_approved: bool = False
    is_incoming: bool = False
    history: list[str] = field(default_factory=list)

    @property
    def net(self) -> Decimal:
        """Return what the destination receives: less the fee where that comes out of it."""
        return self.wanted.quantity - (self.fee if self.takes_fee else Decimal(0))

    @property
    def takes_fee(self) -> bool:
        """Return whether the fee is taken out of the amount."""
        return self.wanted.is_gross and self.wanted.asset.is_base

    def needs(self, asset: str) -> Decimal:
        """Return what it takes of an asset out of the vault."""
        amount = self.wanted.quantity if asset == self.wanted.asset.asset else Decimal(0)
        pays_fee = asset == self.wanted.asset.native and not self.takes_fee
        return amount + (self.fee if pays_fee else Decimal(0))


class Transactions:
    """All transactions. ``approval_above`` are amounts, by asset, that wait for an approver."""

    def __init__(self, book: VenueBook, chain: Chain) -> None:
        self._book, self._chain = book, chain
        self.by_id: dict[str, Transaction] = {}
        self.by_external_id: dict[str, Transaction] = {}
        self.approval_above: dict[str, Decimal] = {}
        self.approval_seconds = 86_400.0
        self.on_change: list[Listener] = []

    def create(self, wanted: Wanted) -> Transaction:
        """Take a transaction over; raises ApiError if its external id has one already."""
        if wanted.external_id and wanted.external_id in self.by_external_id:
            raise ApiError(errors.KNOWN_EXTERNAL_ID)
        scope = self._scope(wanted.vault_id)
        fault = self._book.plan.draw(FaultKind.FEE_TAKEN, scope)
        extra = Decimal(0) if fault is None else fault.number("fee", "0.001")
        now = self._book.clock.wall_ms()
        made = Transaction(
            tx_id=self._new_id(), wanted=wanted, fee=wanted.asset.fee + extra, created_ms=now,
            updated_ms=now, asked_at=self._book.clock.elapsed(),
        )  # fmt: skip
        if made.net <= 0:
            raise ApiError(errors.BAD_REQUEST, "amount does not exceed the network fee")
        self.by_id[made.tx_id] = made
        if wanted.external_id:
            self.by_external_id[wanted.external_id] = made
        self._book.record(wanted.external_id, "transaction", wanted.vault_id,
                          asset=wanted.asset.asset, quantity=wanted.quantity,
                          address=wanted.address)  # fmt: skip
        self._tell(made, "transaction.created")
        return made

    def received(self, account: Account, asset: Asset, transfer: ChainTransfer) -> None:
        """Note a deposit as an incoming transaction."""
        now = self._book.clock.wall_ms()
        wanted = Wanted(
            external_id="", asset=asset, quantity=transfer.quantity, is_gross=False,
            vault_id=account.account_id, peer=("VAULT_ACCOUNT", account.account_id, account.name),
            address=transfer.address, tag=transfer.memo,
        )  # fmt: skip
        made = Transaction(
            tx_id=self._new_id(), wanted=wanted, fee=Decimal(0), created_ms=now, updated_ms=now,
            asked_at=self._book.clock.elapsed(), status="COMPLETED", sub_status="CONFIRMED",
            tx_hash=transfer.tx_hash, is_incoming=True,
        )  # fmt: skip
        self.by_id[made.tx_id] = made
        self._tell(made, "transaction.created")

    def locked(self, account: Account, asset: str) -> Decimal:
        """Return what outgoing transactions take that are not on the chain yet."""
        return sum((one.needs(asset) for one in self._waiting(account)), ZERO)

    def cancel(self, tx_id: str) -> None:
        """Call a transaction back that is not on its way; raises ApiError if it is too late."""
        found = self.find(tx_id)
        if found.status not in CANCELLABLE:
            raise ApiError(errors.NOT_CANCELLABLE, found.status)
        self._set(found, "CANCELLED", "CANCELLED_BY_USER_REQUEST")

    def find(self, tx_id: str) -> Transaction:
        """Return a transaction; raises ApiError if there is none."""
        found = self.by_id.get(tx_id)
        if found is None:
            raise ApiError(errors.NO_TRANSACTION, tx_id)
        return found

    def approve(self, tx_id: str) -> None:
        """Let a transaction that waits for an approver go on."""
        self.find(tx_id).is_approved = True

    def deny(self, tx_id: str) -> None:
        """Refuse a transaction that waits for an approver."""
        self._set(self.find(tx_id), "REJECTED", "REJECTED_BY_USER")

    def advance(self) -> None:
        """Take every open transaction one step on, and watch the chain for the sent ones."""
        for one in list(self.by_id.values()):
            if one.is_incoming:
                continue
            if one.status in ("CONFIRMING", "COMPLETED"):
                self._watch(one)
            elif one.status not in ENDS:
                self._step(one)

    def _step(self, one: Transaction) -> None:
        draw, scope = self._book.plan.draw, self._scope(one.wanted.vault_id)
        if one.status == "SUBMITTED":
            if self._is_short(one):
                self._set(one, "FAILED", "INSUFFICIENT_FUNDS")
            elif draw(FaultKind.APPROVAL_DENIED, scope):
                self._set(one, "BLOCKED", "BLOCKED_BY_POLICY")
            else:
                self._set(one, "PENDING_AUTHORIZATION")
        elif one.status == "PENDING_AUTHORIZATION":
            is_late = self._book.clock.elapsed() - one.asked_at > self.approval_seconds
            if is_late:
                self._set(one, "CANCELLED", "AUTO_CANCELLED_BY_EXPIRY")
            elif one.is_approved or not self._waits(one, scope):
                self._set(one, "PENDING_SIGNATURE")
        elif one.status in ("PENDING_SIGNATURE", "QUEUED"):
            is_frozen = draw(FaultKind.TRANSFERS_FROZEN, scope) is not None
            self._set(one, "QUEUED" if is_frozen else "BROADCASTING")
        elif draw(FaultKind.WITHDRAWALS_PENDING, scope) is None:
            self._broadcast(one)

    def _waits(self, one: Transaction, scope: Scope) -> bool:
        above = self.approval_above.get(one.wanted.asset.asset)
        if above is not None and one.wanted.quantity > above:
            return True
        return self._book.plan.draw(FaultKind.APPROVAL_PENDING, scope) is not None

    def _waiting(self, account: Account) -> list[Transaction]:
        return [
            one
            for one in self.by_id.values()
            if one.wanted.vault_id == account.account_id
            and one.status in _UNSENT
            and not one.is_incoming
        ]

    def _is_short(self, one: Transaction) -> bool:
        """Return whether what is taken already leaves too little; later requests do not count."""
        account = self._book.accounts[one.wanted.vault_id]
        taken = [other for other in self._waiting(account) if other.status != "SUBMITTED"]
        return any(
            account.balance(asset) < sum((other.needs(asset) for other in (*taken, one)), ZERO)
            for asset in (one.wanted.asset.asset, one.wanted.asset.native)
            if one.needs(asset)
        )

    def _broadcast(self, one: Transaction) -> None:
        wanted, account = one.wanted, self._book.accounts[one.wanted.vault_id]
        networks = wanted.asset.networks
        network = next(
            (each for each in networks if self._chain.owner(each, wanted.address)), networks[0]
        )
        self._pay(one, account, Decimal(-1), "withdrawal")
        sent = self._chain.send(
            f"{self._book.venue}/{wanted.vault_id}", wanted.asset.asset, one.net, wanted.address,
            network=network, key=wanted.external_id, memo=wanted.tag,
        )  # fmt: skip
        one.tx_hash = sent.tx_hash
        self._set(one, "CONFIRMING", "PENDING_BLOCKCHAIN_CONFIRMATIONS")

    def _watch(self, one: Transaction) -> None:
        state = self._chain.transfers[one.tx_hash].state
        if state == "reversed":
            account = self._book.accounts[one.wanted.vault_id]
            self._pay(one, account, Decimal(1), "withdrawal_returned")
            self._set(one, "FAILED", "DROPPED_BY_BLOCKCHAIN")
        elif state == "pending" and one.status == "COMPLETED":
            self._set(one, "CONFIRMING", "PENDING_BLOCKCHAIN_CONFIRMATIONS")
        elif state in ("confirmed", "lost") and one.status == "CONFIRMING":
            self._set(one, "COMPLETED", "CONFIRMED")

    def _pay(self, one: Transaction, account: Account, sign: Decimal, kind: str) -> None:
        for asset in dict.fromkeys((one.wanted.asset.asset, one.wanted.asset.native)):
            if one.needs(asset):
                self._book.adjust(account, asset, sign * one.needs(asset), kind,
                                  reference=one.wanted.external_id,
                                  details={"id": one.tx_id})  # fmt: skip

    def _set(self, one: Transaction, status: str, sub_status: str = "") -> None:
        if (one.status, one.sub_status) == (status, sub_status):
            return
        one.status, one.sub_status = status, sub_status
        one.updated_ms = max(self._book.clock.wall_ms(), one.updated_ms + 1)
        self._tell(one, "transaction.status.updated")

    def _tell(self, one: Transaction, event_type: str) -> None:
        one.history.append(one.status)
        for listener in self.on_change:
            listener(one, event_type)

    def _scope(self, vault_id: str) -> Scope:
        return Scope(venue=self._book.venue, account=vault_id, endpoint="transactions")

    def _new_id(self) -> str:
        name = f"{self._book.venue}/{self._book.next_id()}/{self._book.clock.started_at}"
        return str(uuid.uuid5(uuid.NAMESPACE_URL, name))
