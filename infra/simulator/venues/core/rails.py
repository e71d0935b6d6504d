"""Withdrawals from a venue to the chain, and deposits from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from infra.simulator.venues.core.accounts import TRADING, Account, Refused
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.chain import Chain, ChainTransfer, Registration
from infra.simulator.venues.core.faults import FaultKind, Scope


@dataclass(slots=True, kw_only=True)
class Withdrawal:
    """A withdrawal; the address receives ``quantity`` less ``fee``."""

    withdrawal_id: str
    key: str
    account_id: str
    asset: str
    network: str
    address: str
    memo: str
    quantity: Decimal
    fee: Decimal
    wallet: str
    created_at: datetime
    state: Literal["awaiting", "pending", "sent", "completed", "rejected", "cancelled"] = "pending"
    tx_hash: str = ""


class Rails:
    """Withdrawals and deposits of one venue; addresses must be on the account's list if it has one.

    ``allowed[account_id]`` is the address book of an account; an absent entry allows all.
    """

    def __init__(self, book: VenueBook, chain: Chain, fees: dict[str, Decimal]) -> None:
        self.book = book
        self.chain = chain
        self.fees = fees
        self.allowed: dict[str, set[str]] = {}
        self.withdrawals: dict[str, Withdrawal] = {}
        self.deposits: list[tuple[str, ChainTransfer]] = []

    def deposit_address(
        self, account: Account, network: str, *, wallet: str = TRADING, memo: str = ""
    ) -> Registration:
        """Return the address under which an account receives on a network."""
        place = f"{self.book.venue}/{account.account_id}"

        def credit(transfer: ChainTransfer) -> None:
            self.deposits.append((account.account_id, transfer))
            self.book.adjust(account, transfer.asset, transfer.quantity, "deposit", wallet=wallet,
                             reference=transfer.tx_hash,
                             details={"address": transfer.address})  # fmt: skip

        def reverse(transfer: ChainTransfer) -> None:
            self.book.adjust(account, transfer.asset, -transfer.quantity, "deposit_reversed",
                             wallet=wallet, reference=transfer.tx_hash)  # fmt: skip

        return self.chain.register(place, network, credit, memo=memo, on_reversal=reverse)

    def withdraw(
        self, account: Account, asset: str, quantity: Decimal, address: str,
        *, key: str, network: str, memo: str = "", wallet: str = TRADING,
    ) -> Withdrawal:  # fmt: skip
        """Debit an account and send to an address.

        Raises
        ------
        Refused
            ``frozen``, ``address``, ``funds``, ``policy`` or ``other`` (not above the fee).
        """
        scope = Scope(venue=self.book.venue, account=account.account_id, endpoint="withdraw")
        self.check_open(scope)
        allowed = self.allowed.get(account.account_id)
        locked = self.book.plan.draw(FaultKind.ADDRESS_LOCKED, scope)
        if locked or (allowed is not None and address not in allowed):
            raise Refused("address", f"{address} is not on the list of {account.account_id}")
        fee = self._fee(asset, scope)
        if quantity <= fee:
            raise Refused("other", f"{quantity} {asset} does not exceed the fee {fee}")
        available = self.book.available(account, asset, wallet)
        if quantity > available:
            raise Refused("funds", f"{account.account_id} has {available} {asset} available")
        if self.book.plan.draw(FaultKind.APPROVAL_DENIED, scope):
            raise Refused("policy", "withdrawal denied by approver")
        waits = self.book.plan.draw(FaultKind.APPROVAL_PENDING, scope)
        withdrawal = Withdrawal(
            withdrawal_id=str(self.book.next_id()), key=key, account_id=account.account_id,
            asset=asset, network=network, address=address, memo=memo, quantity=quantity, fee=fee,
            wallet=wallet, created_at=self.book.clock.wall(),
            state="awaiting" if waits else "pending",
        )  # fmt: skip
        self.withdrawals[withdrawal.withdrawal_id] = withdrawal
        self.book.adjust(account, asset, -quantity, "withdrawal", wallet=wallet, reference=key,
                         details={"address": address, "id": withdrawal.withdrawal_id,
                                  "fee": fee})  # fmt: skip
        self.book.record(key, "withdrawal", account.account_id, asset=asset, quantity=quantity,
                         address=address)  # fmt: skip
        self.advance()
        return withdrawal

    def check_open(self, scope: Scope) -> None:
        """Raise Refused ``frozen`` while transfers and withdrawals are stopped."""
        if self.book.plan.draw(FaultKind.TRANSFERS_FROZEN, scope):
            raise Refused("frozen", f"{self.book.venue} has stopped transfers and withdrawals")

    def advance(self) -> None:
        """Send what is approved, complete what the chain confirmed, refund what it dropped."""
        for withdrawal in self.withdrawals.values():
            scope = Scope(venue=self.book.venue, account=withdrawal.account_id,
                          endpoint="withdraw")  # fmt: skip
            if withdrawal.state == "pending":
                if self.book.plan.draw(FaultKind.WITHDRAWALS_PENDING, scope) is None:
                    self._send(withdrawal)
            elif withdrawal.state in ("sent", "completed"):
                state = self.chain.transfers[withdrawal.tx_hash].state
                if state == "reversed":
                    self.refund(withdrawal, "rejected")
                else:
                    withdrawal.state = "sent" if state == "pending" else "completed"

    def approve(self, withdrawal_id: str) -> None:
        """Let a withdrawal that awaits approval go on."""
        self.withdrawals[withdrawal_id].state = "pending"

    def refund(
        self, withdrawal: Withdrawal, state: Literal["rejected", "cancelled"] = "rejected"
    ) -> None:
        """Give back what was debited for a withdrawal that will not be sent."""
        withdrawal.state = state
        account = self.book.accounts[withdrawal.account_id]
        self.book.adjust(account, withdrawal.asset, withdrawal.quantity, "withdrawal_returned",
                         wallet=withdrawal.wallet, reference=withdrawal.key)  # fmt: skip

    def _fee(self, asset: str, scope: Scope) -> Decimal:
        fault = self.book.plan.draw(FaultKind.FEE_TAKEN, scope)
        usual = self.fees.get(asset, Decimal(0))
        return usual if fault is None else usual + fault.number("fee", "0.001")

    def _send(self, withdrawal: Withdrawal) -> None:
        sent = self.chain.send(
            f"{self.book.venue}/{withdrawal.account_id}", withdrawal.asset,
            withdrawal.quantity - withdrawal.fee, withdrawal.address,
            network=withdrawal.network, key=withdrawal.key, memo=withdrawal.memo,
        )  # fmt: skip
        withdrawal.state, withdrawal.tx_hash = "sent", sent.tx_hash
