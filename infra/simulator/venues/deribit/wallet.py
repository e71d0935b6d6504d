"""Transfers, withdrawals and deposits of the simulated Deribit; a nonce is carried out once."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from infra.simulator.venues.core.accounts import Account, Refused
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.core.rails import Rails, Withdrawal
from infra.simulator.venues.deribit import contracts
from infra.simulator.venues.deribit.errors import RpcError, invalid
from infra.simulator.venues.deribit.rpc import Call, Method

_NONCE_CHARACTERS = (8, 128)
_STATES = {
    "awaiting": "unconfirmed", "pending": "unconfirmed", "sent": "unconfirmed",
    "completed": "completed", "rejected": "rejected", "cancelled": "cancelled",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """A transfer between two accounts of one main account."""

    transfer_id: int
    nonce: str
    asset: str
    quantity: Decimal
    source: str
    destination: str
    at_ms: int
    at: float


class WalletMethods:
    """Moving money. A nonce that came before gets the transfer of then, whatever else is asked."""

    def __init__(self, book: VenueBook, rails: Rails) -> None:
        self._book = book
        self._rails = rails
        self.transfers: list[Transfer] = []

    def methods(self) -> dict[str, Method]:
        """Return methods by name."""
        return {
            "private/submit_transfer_between_subaccounts": self.between,
            "private/submit_transfer_to_subaccount": self.to_subaccount,
            "private/get_transfers": self.list_transfers,
            "private/withdraw": self.withdraw,
            "private/get_withdrawals": self.list_withdrawals,
            "private/get_deposits": self.list_deposits,
            "private/get_current_deposit_address": self.deposit_address,
        }

    def between(self, call: Call) -> object:
        """Transfer between two accounts; only the main account may name another source."""
        nonce = self._nonce(call)
        source = self._source(call)
        known = next((one for one in self.transfers if nonce and one.nonce == nonce), None)
        if known is not None:
            self._check_duplicate(call)
            return self._told(known, call.asker)
        return self._transfer(call, source, nonce)

    def to_subaccount(self, call: Call) -> object:
        """Transfer from the asking account; this method knows no nonce."""
        return self._transfer(call, call.asker, "")

    def list_transfers(self, call: Call) -> object:
        """Return transfers of a currency that the account is part of, newest first."""
        account = call.asker
        mine = [
            one
            for one in reversed(self.transfers)
            if one.asset == call.text("currency")
            and self._is_party(account, one)
            and not self._is_hidden(account, call.method, one.at)
        ]
        return self._page(call, [self._told(one, account) for one in mine])

    def withdraw(self, call: Call) -> object:
        """Withdraw to an address of the address book."""
        nonce = self._nonce(call)
        account, asset = call.asker, call.text("currency")
        for known in self._rails.withdrawals.values():
            if nonce and known.key == nonce and known.account_id == account.account_id:
                self._check_duplicate(call)
                return self._withdrawal(known)
        made = self._rails.withdraw(
            account, asset, self._amount(call, asset), call.text("address"),
            key=nonce, network=contracts.NETWORKS[asset],
        )  # fmt: skip
        return self._withdrawal(made)

    def list_withdrawals(self, call: Call) -> object:
        """Return withdrawals of a currency, newest first."""
        account = call.asker
        mine = [
            self._withdrawal(one)
            for one in reversed(self._rails.withdrawals.values())
            if one.account_id == account.account_id and one.asset == call.text("currency")
            and not self._is_hidden(account, call.method, one.created_at.timestamp())
        ]  # fmt: skip
        return self._page(call, mine)

    def list_deposits(self, call: Call) -> object:
        """Return deposits of a currency, newest first."""
        mine = [
            {
                "address": sent.address, "amount": sent.quantity, "currency": sent.asset,
                "state": "completed", "transaction_id": sent.tx_hash,
                "received_timestamp": self._book.clock.wall_ms(),
                "updated_timestamp": self._book.clock.wall_ms(),
            }
            for account_id, sent in reversed(self._rails.deposits)
            if account_id == call.asker.account_id and sent.asset == call.text("currency")
        ]  # fmt: skip
        return self._page(call, mine)

    def deposit_address(self, call: Call) -> object:
        """Return the address under which the account receives a currency."""
        asset = call.text("currency")
        if asset not in contracts.NETWORKS:
            raise invalid("currency", f"no currency {asset}")
        registration = self._rails.deposit_address(call.asker, contracts.NETWORKS[asset])
        return {
            "address": registration.address, "currency": asset, "type": "deposit",
            "creation_timestamp": self._book.clock.wall_ms(),
        }  # fmt: skip

    def _transfer(self, call: Call, source: Account, nonce: str) -> object:
        asset = call.text("currency")
        quantity = self._amount(call, asset)
        destination = self._book.account(call.text("destination"))
        scope = Scope(venue=self._book.venue, account=source.account_id, endpoint=call.method)
        self._rails.check_open(scope)
        mains = {account.parent or account.account_id for account in (source, destination)}
        if len(mains) > 1 or source is destination:
            raise RpcError((12100, "transfer_not_allowed"))
        transfer_id = self._book.next_id()
        reference = nonce or str(transfer_id)
        self._book.move(source, destination, asset, quantity, reference=reference)
        made = Transfer(
            transfer_id=transfer_id, nonce=nonce, asset=asset, quantity=quantity,
            source=source.account_id, destination=destination.account_id,
            at_ms=self._book.clock.wall_ms(), at=self._book.clock.wall().timestamp(),
        )  # fmt: skip
        self.transfers.append(made)
        return self._told(made, source)

    def _source(self, call: Call) -> Account:
        wanted = call.text("source", call.asker.account_id)
        if wanted == call.asker.account_id:
            return call.asker
        source = self._book.account(wanted)
        if source.parent != call.asker.account_id:
            raise RpcError((13021, "forbidden"), status=403)
        return source

    def _nonce(self, call: Call) -> str:
        nonce = call.text("nonce", "")
        low, high = _NONCE_CHARACTERS
        if nonce and not low <= len(nonce) <= high:
            raise invalid("nonce", f"needs {low} to {high} characters")
        return nonce

    def _amount(self, call: Call, asset: str) -> Decimal:
        if asset not in contracts.CURRENCIES:
            raise invalid("currency", f"no currency {asset}")
        amount = call.number("amount")
        if amount <= 0:
            raise invalid("amount", "must be positive")
        if amount % Decimal(1).scaleb(-contracts.DECIMALS[asset]):
            raise invalid("amount", f"more than {contracts.DECIMALS[asset]} decimals")
        return amount

    def _check_duplicate(self, call: Call) -> None:
        scope = Scope(venue=self._book.venue, account=call.asker.account_id, endpoint=call.method)
        if self._book.plan.draw(FaultKind.DUPLICATE_KEY_REJECTED, scope):
            raise Refused("duplicate_key", "nonce was used before")

    def _is_party(self, account: Account, transfer: Transfer) -> bool:
        parties = (transfer.source, transfer.destination)
        return account.account_id in parties or any(
            self._book.accounts[party].parent == account.account_id for party in parties
        )

    def _is_hidden(self, account: Account, endpoint: str, at: float) -> bool:
        scope = Scope(venue=self._book.venue, account=account.account_id, endpoint=endpoint)
        stale = self._book.plan.draw(FaultKind.LISTING_STALE, scope)
        if stale is None:
            return False
        return self._book.clock.wall().timestamp() - at < stale.seconds("seconds", 5.0)

    def _page(self, call: Call, told: list[dict[str, object]]) -> object:
        count, offset = call.whole("count", 10), call.whole("offset", 0)
        scope = Scope(venue=self._book.venue, account=call.asker.account_id, endpoint=call.method)
        page = told[offset : offset + count]
        if self._book.plan.draw(FaultKind.PARTIAL_PAGE, scope):
            page = page[1:]
        return {"count": len(told), "data": page}

    def _told(self, transfer: Transfer, account: Account) -> dict[str, object]:
        is_income = account.account_id == transfer.destination
        other = transfer.source if is_income else transfer.destination
        told: dict[str, object] = {
            "id": transfer.transfer_id, "created_timestamp": transfer.at_ms,
            "updated_timestamp": transfer.at_ms, "type": "subaccount",
            "currency": transfer.asset, "amount": transfer.quantity, "state": "confirmed",
            "direction": "income" if is_income else "payment",
            "other_side": self._book.accounts[other].name,
        }  # fmt: skip
        return {**told, "nonce": transfer.nonce} if transfer.nonce else told

    def _withdrawal(self, made: Withdrawal) -> dict[str, object]:
        stamp = int(made.created_at.timestamp() * 1000)
        is_done = made.state == "completed"
        told: dict[str, object] = {
            "id": int(made.withdrawal_id), "address": made.address, "amount": made.quantity,
            "currency": made.asset, "fee": made.fee, "priority": Decimal("1.0"),
            "state": _STATES[made.state], "created_timestamp": stamp, "updated_timestamp": stamp,
            "confirmed_timestamp": stamp if is_done else None,
            "transaction_id": made.tx_hash or None,
        }  # fmt: skip
        return {**told, "nonce": made.key} if made.key else told
