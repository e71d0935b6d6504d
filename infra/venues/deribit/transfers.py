"""Transfers of Deribit: between accounts of one main account, and withdrawals, both by nonce.

docs.deribit.com, "Managing transfers", "submit_transfer_between_subaccounts", "withdraw": a nonce
of 8 to 128 characters; a repeated one gets the transfer that was made, and is shown with it.
The method that ccxt's ``transfer`` calls, ``submit_transfer_to_subaccount``, knows no nonce and is
not used.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar

import msgspec

from engine.errors import BadPayload, NotSent, OutcomeUnknown, Unsupported, VenueUnavailable
from engine.ports import (
    HeldBalance,
    Reading,
    RouteGuarantees,
    TransferOrder,
    TransferReport,
    TransferStatus,
)
from infra.venues.deribit import wire
from infra.venues.deribit.client import VENUE, Answered, Call, DeribitClient, exact
from infra.venues.deribit.places import account_of, is_here
from infra.venues.payloads import instant

# A call carries no time of its own; what is on its way after the answer is overdue is cut off by
# the venue's own limit of a request.
REQUEST_EXPIRY: Final = timedelta(seconds=60)
SETTLE_WINDOW: Final = timedelta(seconds=10)
WITHDRAWAL_SETTLE_WINDOW: Final = timedelta(minutes=2)
_PAGE: Final = 100
_PAGES_MAX: Final = 20
_NONCE: Final = (8, 128)
# Where the fees were not read yet: above what the venue has asked for these coins.
_FEE_MAX: Final = {
    "BTC": Decimal("0.001"), "ETH": Decimal("0.01"), "SOL": Decimal("0.1"), "USDC": Decimal(50),
    "USDT": Decimal(50),
}  # fmt: skip
# Fees follow the chains; a withdrawal may cost this many times what the list says now.
_FEE_FACTOR: Final = 3
# The list and the log stamp one transfer within this.
_SAME_MS: Final = 1000
_LATEST_MS: Final = 32_503_708_800_000
_LOG: Final = msgspec.json.Decoder(wire.Log)
_MADE: Final = msgspec.json.Decoder(wire.Transfer)
_LISTED: Final = msgspec.json.Decoder(wire.Transfers)
_WITHDRAWN: Final = msgspec.json.Decoder(wire.Withdrawal)
_WITHDRAWALS: Final = msgspec.json.Decoder(wire.Withdrawals)
_CURRENCIES: Final = msgspec.json.Decoder(list[wire.Currency])
_SUMMARY: Final = msgspec.json.Decoder(wire.Summary)
_TRANSFER: Final[Mapping[str, TransferStatus]] = {
    "prepared": "pending",
    "waiting_for_admin": "pending",
    "confirmed": "done",
    "cancelled": "cancelled",
    "insufficient_funds": "rejected",
    "withdrawal_limit": "rejected",
    "rejected": "rejected",
}
_WITHDRAWAL: Final[Mapping[str, TransferStatus]] = {
    "unconfirmed": "pending",
    "interrupted": "pending",
    "confirmed": "done",
    "completed": "done",
    "cancelled": "cancelled",
    "rejected": "rejected",
}
Page = TypeVar("Page", wire.Transfers, wire.Withdrawals)


class DeribitTransfers:
    """The rails that start at Deribit; internal ones act under the main account's token."""

    def __init__(
        self, client: DeribitClient, *, request_expiry: timedelta = REQUEST_EXPIRY
    ) -> None:
        self._client, self._request_expiry = client, request_expiry
        self._currencies: dict[str, wire.Currency] = {}

    async def load_fees(self) -> None:
        """Read the present fees of withdrawals, which ``guarantees`` then goes by."""
        answered = await self._client.read(Call("public/get_currencies", {}), _CURRENCIES)
        self._currencies = {one.currency: one for one in answered.content}

    def guarantees(self, order: TransferOrder) -> RouteGuarantees:
        """Return what the route of an order promises; raises Unsupported if there is none."""
        account_of(order.source)
        if not is_here(order.source):
            raise Unsupported(f"{order.source} is not at {VENUE}", identifier=order.source)
        if is_here(order.destination):
            return RouteGuarantees(
                is_keyed=True, duplicate_answer="original", has_lookup=True,
                request_expiry=self._request_expiry, settle_window=SETTLE_WINDOW,
                amount_min=self._step(order.asset),
            )  # fmt: skip
        if not order.address:
            raise Unsupported(
                f"{VENUE} to {order.destination} needs an address", identifier=order.key
            )
        if order.memo:
            raise Unsupported(f"{VENUE} sends no memo or tag", identifier=order.key)
        fee = self._fee_max(order.asset)
        return RouteGuarantees(
            is_keyed=True, duplicate_answer="original", has_lookup=True,
            request_expiry=self._request_expiry, settle_window=WITHDRAWAL_SETTLE_WINDOW,
            fee_max=fee, amount_min=fee + self._step(order.asset), needs_whitelist=True,
        )  # fmt: skip

    async def submit(self, order: TransferOrder) -> TransferReport:
        """Send once, with the key as nonce.

        Raises
        ------
        NotSent, VenueRejected, Throttled, Maintenance, VenueAccessDenied
            It had no effect.
        OutcomeUnknown
            It may have been carried out.
        """
        self.guarantees(order)
        try:
            return await self._submitted(order)
        except BadPayload as error:
            raise OutcomeUnknown(
                f"{error}; look it up by its key, do not send it anew", identifier=order.key
            ) from error

    async def _submitted(self, order: TransferOrder) -> TransferReport:
        low, high = _NONCE
        if not low <= len(order.key) <= high:
            raise NotSent(
                f"{VENUE} transfer {order.key}: not sent, a nonce has {low} to {high} characters",
                identifier=order.key,
            )
        if is_here(order.destination):
            made = await self._client.write(self._transfer_call(order), _MADE)
            self._require_same(order, made.content.currency, made.content.nonce)
            return _transfer_report(order, made.content, made.received_at)
        sent = await self._client.write(self._withdrawal_call(order), _WITHDRAWN)
        self._require_same(order, sent.content.currency, sent.content.nonce)
        return _withdrawal_report(order, sent.content, sent.received_at)

    async def find(self, order: TransferOrder) -> TransferReport | None:
        """Return the transfer of ``order.key``; None is "not found", which proves nothing alone.

        Raises
        ------
        VenueUnavailable
            If the list could not be read to its end: that is not "not found".
        """
        account = account_of(order.source)
        if is_here(order.destination):
            # The account that asked lists it, and so does the one that paid.
            for lister in dict.fromkeys((self._main(account), account)):
                found = await self._find_transfer(order, lister)
                if found is not None:
                    return found
            return None
        call = Call("private/get_withdrawals", {"currency": order.asset}, account)
        async for page in self._pages(call, _WITHDRAWALS):
            for sent in page.content.data:
                if sent.nonce == order.key:
                    return _withdrawal_report(order, sent, page.received_at)
        return None

    async def balance(self, place: str, asset: str) -> HeldBalance:
        """Return what is held at a place, and what of it may leave."""
        call = Call("private/get_account_summary", {"currency": asset}, account_of(place))
        summary = (await self._client.read(call, _SUMMARY)).content
        if summary.currency != asset:
            raise BadPayload(f"{VENUE} {place}: asked for {asset}, got {summary.currency}")
        return HeldBalance(
            asset=asset, quantity=summary.balance, available=summary.available_withdrawal_funds
        )

    async def _find_transfer(self, order: TransferOrder, lister: str) -> TransferReport | None:
        call = Call("private/get_transfers", {"currency": order.asset}, lister)
        listed: list[wire.Transfer] = []
        report: TransferReport | None = None
        made: wire.Transfer | None = None
        async for page in self._pages(call, _LISTED):
            listed.extend(page.content.data)
            for one in page.content.data:
                if one.nonce == order.key:
                    made, report = one, _transfer_report(order, one, page.received_at)
            # Newest first: twins of the same second may come after it.
            if (
                made is not None
                and listed[-1].created_timestamp < made.created_timestamp - _SAME_MS
            ):
                break
        if made is None or report is None:
            return None
        return replace(report, is_credited=await self._is_credited(order, made, listed))

    async def _is_credited(
        self, order: TransferOrder, made: wire.Transfer, listed: Sequence[wire.Transfer]
    ) -> bool | None:
        # The log names no nonce, so the destination must show as many receipts of the amount as
        # there are transfers of it since then.
        if _TRANSFER[made.state] != "done":
            return None
        since = made.created_timestamp - _SAME_MS
        parameters: dict[str, object] = {
            "currency": order.asset, "start_timestamp": since, "end_timestamp": _LATEST_MS,
            "count": _PAGE,
        }  # fmt: skip
        destination = account_of(order.destination)
        call = Call("private/get_transaction_log", parameters, destination)
        log = (await self._client.read(call, _LOG)).content
        n_received = sum(
            line.type == "transfer" and line.change == made.amount for line in log.logs
        )
        n_made = sum(
            one.amount == made.amount
            and one.created_timestamp >= since
            and (one.other_side, one.direction) == (made.other_side, made.direction)
            for one in listed
        )
        return True if n_received >= n_made else None

    async def _pages(
        self, call: Call, decoder: msgspec.json.Decoder[Page]
    ) -> AsyncIterator[Answered[Page]]:
        seen: set[int] = set()
        n_read = n_there = 0
        for _ in range(_PAGES_MAX):
            parameters = {**call.parameters, "count": _PAGE, "offset": n_read}
            answered = await self._client.read(Call(call.method, parameters, call.account), decoder)
            data, n_there = answered.content.data, answered.content.count
            if data:
                yield answered
            n_read += len(data)
            # Counted by their numbers: one left out is not made up for by one repeated.
            seen.update(one.id for one in data)
            if len(seen) >= n_there:
                return
            if not data or n_read >= n_there:
                break
        raise VenueUnavailable(
            f"{VENUE} {call.method}: {len(seen)} of {n_there} entries could be read",
            identifier=call.method,
        )

    def _transfer_call(self, order: TransferOrder) -> Call:
        source, destination = account_of(order.source), account_of(order.destination)
        parameters: dict[str, object] = {
            "currency": order.asset, "amount": exact(order.quantity),
            "destination": int(destination), "nonce": order.key,
        }  # fmt: skip
        main = self._main(source)
        if source != main:
            parameters["source"] = int(source)
        return Call("private/submit_transfer_between_subaccounts", parameters, main)

    def _withdrawal_call(self, order: TransferOrder) -> Call:
        parameters: dict[str, object] = {
            "currency": order.asset, "address": order.address, "amount": exact(order.quantity),
            "nonce": order.key,
        }  # fmt: skip
        return Call("private/withdraw", parameters, account_of(order.source))

    def _main(self, account: str) -> str:
        return self._client.main_account or account

    def _require_same(self, order: TransferOrder, currency: str, nonce: str) -> None:
        # An answer that names another transfer says nothing of this one.
        if nonce != order.key or currency != order.asset:
            raise OutcomeUnknown(
                f"{VENUE} transfer {order.key}: the answer is of {nonce or 'no nonce'} in "
                f"{currency}; look it up by its key, do not send it anew",
                identifier=order.key,
                value=nonce,
            )

    def _step(self, asset: str) -> Decimal:
        found = self._currencies.get(asset)
        decimals = found.decimals if found is not None and found.decimals is not None else 6
        return Decimal(1).scaleb(-decimals)

    def _fee_max(self, asset: str) -> Decimal:
        found = self._currencies.get(asset)
        if found is not None and found.withdrawal_fee is not None:
            return found.withdrawal_fee * _FEE_FACTOR
        known = _FEE_MAX.get(asset)
        if known is None:
            raise Unsupported(f"{VENUE}: the fee of {asset} was not read", identifier=asset)
        return known


def _transfer_report(
    order: TransferOrder, made: wire.Transfer, received_at: datetime
) -> TransferReport:
    status = _TRANSFER.get(made.state)
    if status is None:
        raise BadPayload(f"{VENUE} transfer {made.id}: state {made.state!r} is none we know")
    return TransferReport(
        key=order.key,
        venue_transfer_id=str(made.id),
        status=status,
        quantity=made.amount,
        reading=Reading(
            source=VENUE, received_at=received_at, venue_time=instant(made.updated_timestamp)
        ),
        is_debited=_is_debited(status),
        # The list says that the source paid; that the destination received, its own log says.
        is_credited=False if status in ("rejected", "cancelled") else None,
        reason=made.state,
    )


def _withdrawal_report(
    order: TransferOrder, sent: wire.Withdrawal, received_at: datetime
) -> TransferReport:
    status = _WITHDRAWAL.get(sent.state)
    if status is None:
        raise BadPayload(f"{VENUE} withdrawal {sent.id}: state {sent.state!r} is none we know")
    return TransferReport(
        key=order.key,
        venue_transfer_id=str(sent.id),
        status=status,
        quantity=sent.amount,
        fee=sent.fee or Decimal(0),
        reading=Reading(
            source=VENUE, received_at=received_at, venue_time=instant(sent.updated_timestamp)
        ),
        is_debited=_is_debited(status),
        is_credited=False if status in ("rejected", "cancelled") else None,
        reason=" ".join(filter(None, (sent.state, sent.transaction_id))),
    )


def _is_debited(status: TransferStatus) -> bool | None:
    if status == "done":
        return True
    return False if status in ("rejected", "cancelled") else None
