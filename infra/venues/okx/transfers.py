"""Transfers of OKX: within and between its accounts, and withdrawals, all under clientId.

www.okx.com/docs-v5, "Funds transfer", "Get funds transfer state", "Withdrawal". The venue keeps
``clientId`` and finds by it, but nowhere says that it refuses a second request with the same one.
So routes count as unkeyed unless the installation has proven otherwise
(``OkxConfiguration.is_client_id_once``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

import msgspec

from engine.errors import NotSent, Unsupported, VenueAccessDenied, VenueError
from engine.ports import (
    HeldBalance,
    RouteGuarantees,
    TransferOrder,
    TransferReport,
    TransferStatus,
)
from infra.venues.okx import wire
from infra.venues.okx.account import funding_balances
from infra.venues.okx.client import VENUE, WINDOW, Call, OkxClient
from infra.venues.okx.holdings import balances_of
from infra.venues.okx.places import OkxAccount, OkxPlaces, WithdrawalTerms
from infra.venues.payloads import exact_decimal, optional_decimal, plain
from infra.venues.transfer_reports import Seen, of_another, report_of

SETTLE_WINDOW: Final = timedelta(seconds=30)
WITHDRAWAL_SETTLE_WINDOW: Final = timedelta(minutes=10)
KEY_LIFETIME: Final = timedelta(days=14)
_CLOCK_MARGIN: Final = timedelta(seconds=1)
_KEY_CHARACTERS_MAX: Final = 32
_WALLETS: Final = {"funding": "6", "trading": "18"}
_ON_CHAIN: Final = "4"
_TRANSFER_BILL: Final = "1"
_MADE: Final = msgspec.json.Decoder(list[wire.TransferMade])
_STATE: Final = msgspec.json.Decoder(list[wire.TransferState])
_WITHDRAWN: Final = msgspec.json.Decoder(list[wire.WithdrawalMade])
_WITHDRAWALS: Final = msgspec.json.Decoder(list[wire.Withdrawal])
_CURRENCIES: Final = msgspec.json.Decoder(list[wire.Currency])
_BALANCE: Final = msgspec.json.Decoder(list[wire.AccountBalance])
_BILLS: Final = msgspec.json.Decoder(list[wire.Bill])
_FUNDING_BILLS: Final = msgspec.json.Decoder(list[wire.FundingBill])
_TRANSFER: Final[Mapping[str, TransferStatus]] = {
    "success": "done",
    "pending": "pending",
    "failed": "rejected",
}
_WITHDRAWAL: Final[Mapping[str, TransferStatus]] = {
    "2": "done",
    "-1": "rejected",
    "-2": "cancelled",
}


class OkxTransfers:
    """The rails that start at OKX."""

    def __init__(self, places: OkxPlaces) -> None:
        self._places = places

    def guarantees(self, order: TransferOrder) -> RouteGuarantees:
        """Return what the route of an order promises; raises Unsupported if there is none."""
        is_once = self._places.is_client_id_once
        expiry = WINDOW + _CLOCK_MARGIN
        if self._is_internal(order):
            self._kind(order)
            return RouteGuarantees(
                is_keyed=is_once,
                duplicate_answer="rejected" if is_once else "none",
                has_lookup=True,
                key_lifetime=KEY_LIFETIME,
                request_expiry=expiry,
                settle_window=SETTLE_WINDOW,
            )
        terms = self._terms(order)
        return RouteGuarantees(
            is_keyed=is_once,
            duplicate_answer="rejected" if is_once else "none",
            has_lookup=True,
            key_lifetime=KEY_LIFETIME,
            request_expiry=expiry,
            settle_window=WITHDRAWAL_SETTLE_WINDOW,
            fee_max=terms.fee_max,
            amount_min=terms.amount_min,
            needs_whitelist=True,
        )

    async def submit(self, order: TransferOrder) -> TransferReport:
        """Send once.

        Raises
        ------
        Unsupported
            If there is no such route; nothing was sent.
        VenueError
            With ``was_sent`` "no" if it had no effect; else ``OutcomeUnknown``.
        """
        if not order.key.isalnum() or len(order.key) > _KEY_CHARACTERS_MAX:
            raise NotSent(
                f"{VENUE} transfer {order.key}: not sent, a clientId has up to "
                f"{_KEY_CHARACTERS_MAX} letters and digits",
                identifier=order.key,
            )
        if not self._is_internal(order):
            return await self._withdraw(order)
        kind, client, sub_account = self._kind(order)
        body = {
            "ccy": order.asset, "amt": plain(order.quantity), "type": kind,
            "from": _WALLETS[self._places.account(order.source).wallet],
            "to": _WALLETS[self._places.account(order.destination).wallet],
            "clientId": order.key,
        } | ({"subAcct": sub_account} if sub_account else {})  # fmt: skip
        call = Call(path="/api/v5/asset/transfer", body=body, weight=15)
        made = await client.write(call, _MADE)
        # An answer that names another transfer says nothing of this one.
        if len(made.rows) != 1 or made.rows[0].client_id not in ("", order.key):
            raise of_another(VENUE, order, "another transfer")
        seen = Seen(received_at=made.received_at)
        return report_of(VENUE, order, made.rows[0].trans_id, "pending", seen)

    async def find(self, order: TransferOrder) -> TransferReport | None:
        """Return the transfer of a key; None is "not found", which proves nothing alone.

        The credit comes from the destination's own bills. Those of a funding wallet name the key;
        those of a trading wallet do not, so it must show as many receipts of the amount as the
        source shows payments of it.
        """
        if not self._is_internal(order):
            return await self._find_withdrawal(order)
        kind, client, _ = self._kind(order)
        parameters = {"clientId": order.key, "type": kind}
        call = Call(path="/api/v5/asset/transfer-state", parameters=parameters, weight=3)
        answered = await client.read(call, _STATE)
        found = [row for row in answered.rows if row.client_id == order.key]
        if not found:
            return None
        row = found[0]
        status = _TRANSFER.get(row.state, "pending")
        is_credited = None
        if status == "done":
            is_credited = await self._is_credited(order)
            status = "credited" if is_credited else "done"
        seen = Seen(
            received_at=answered.received_at,
            quantity=exact_decimal(row.amt, f"{VENUE} transfer {row.trans_id}"),
            is_debited=status in ("done", "credited"),
            is_credited=is_credited,
        )
        return report_of(VENUE, order, row.trans_id, status, seen)

    async def balance(self, place: str, asset: str) -> HeldBalance:
        """Return what a wallet holds of an asset, and what of it may leave."""
        account, client = self._places.account(place), self._places.client(place)
        if account.wallet == "funding":
            held, _ = await funding_balances(client)
        else:
            call = Call(path="/api/v5/account/balance", parameters={"ccy": asset})
            rows = (await client.read(call, _BALANCE)).rows
            held = balances_of(rows[0]) if rows else ()
        for one in held:
            if one.asset == asset:
                return one
        return HeldBalance(asset=asset, quantity=Decimal(0), available=Decimal(0))

    async def _is_credited(self, order: TransferOrder) -> bool | None:
        destination = self._places.account(order.destination)
        client = self._places.client(order.destination)
        if destination.wallet == "funding":
            call = Call(path="/api/v5/asset/bills", parameters={"clientId": order.key}, weight=5)
            bills = await client.read(call, _FUNDING_BILLS)
            arrived = [
                row
                for row in bills.rows
                if row.client_id == order.key
                and exact_decimal(row.bal_chg, f"{VENUE} bill") == order.quantity
            ]
            return True if arrived else None
        n_received = await self._count(order.destination, order.asset, order.quantity)
        n_paid = await self._count(order.source, order.asset, -order.quantity)
        return True if n_received and n_received >= n_paid else None

    async def _count(self, place: str, asset: str, change: Decimal) -> int:
        account, client = self._places.account(place), self._places.client(place)
        name = f"{VENUE} bills of {place}"
        if account.wallet == "funding":
            call = Call(path="/api/v5/asset/bills", parameters={"ccy": asset}, weight=5)
            rows = (await client.read(call, _FUNDING_BILLS)).rows
            return sum(exact_decimal(row.bal_chg, name) == change for row in rows)
        parameters = {"ccy": asset, "type": _TRANSFER_BILL}
        call = Call(path="/api/v5/account/bills", parameters=parameters, weight=6)
        bills = (await client.read(call, _BILLS)).rows
        return sum(exact_decimal(row.bal_chg, name) == change for row in bills)

    async def _withdraw(self, order: TransferOrder) -> TransferReport:
        terms, client = self._terms(order), self._places.client(order.source)
        if not order.address:
            raise NotSent(
                f"{VENUE}: withdrawal {order.key} not sent, it has no address",
                identifier=order.key,
            )
        # OKX takes the fee on top of the amount; what leaves the source must be the quantity.
        fee = await self._fee(client, terms, order)
        body = {
            "ccy": order.asset, "amt": plain(order.quantity - fee), "dest": _ON_CHAIN,
            "toAddr": f"{order.address}:{order.memo}" if order.memo else order.address,
            "chain": order.network, "clientId": order.key,
        }  # fmt: skip
        call = Call(path="/api/v5/asset/withdrawal", body=body, weight=5)
        made = await client.write(call, _WITHDRAWN)
        if len(made.rows) != 1 or made.rows[0].client_id not in ("", order.key):
            raise of_another(VENUE, order, "another transfer")
        seen = Seen(received_at=made.received_at, fee=fee)
        return report_of(VENUE, order, made.rows[0].wd_id, "pending", seen)

    async def _fee(
        self, client: OkxClient, terms: WithdrawalTerms, order: TransferOrder
    ) -> Decimal:
        call = Call(path="/api/v5/asset/currencies", parameters={"ccy": order.asset}, weight=5)
        try:
            listed = await client.read(call, _CURRENCIES)
        except VenueAccessDenied:
            raise
        except VenueError as error:
            raise NotSent(
                f"{VENUE}: withdrawal {order.key} not sent, its fee is not known: {error}",
                identifier=order.key,
            ) from error
        for row in listed.rows:
            if row.chain == order.network:
                fee = optional_decimal(row.fee or row.min_fee, f"{VENUE} fee of {row.chain}")
                if fee is not None and fee <= terms.fee_max and fee < order.quantity:
                    return fee
                raise NotSent(
                    f"{VENUE}: withdrawal {order.key} not sent, the fee {fee} is above "
                    f"{terms.fee_max} {order.asset} or the quantity",
                    identifier=order.key,
                    value=fee,
                    limit=str(terms.fee_max),
                )
        raise NotSent(
            f"{VENUE}: withdrawal {order.key} not sent, no chain {order.network}",
            identifier=order.key,
        )

    async def _find_withdrawal(self, order: TransferOrder) -> TransferReport | None:
        self._terms(order)
        parameters = {"ccy": order.asset, "clientId": order.key}
        call = Call(path="/api/v5/asset/withdrawal-history", parameters=parameters, weight=5)
        answered = await self._places.client(order.source).read(call, _WITHDRAWALS)
        found = [row for row in answered.rows if row.client_id == order.key]
        if not found:
            return None
        row, name = found[0], f"{VENUE} withdrawal {found[0].wd_id}"
        status = _WITHDRAWAL.get(row.state, "pending")
        fee = optional_decimal(row.fee, name) or Decimal(0)
        seen = Seen(
            received_at=answered.received_at,
            quantity=exact_decimal(row.amt, name) + fee,
            fee=fee,
            is_debited=status not in ("rejected", "cancelled"),
            reason="" if row.state in ("2", "0", "1") else f"state {row.state}",
        )
        return report_of(VENUE, order, row.wd_id, status, seen)

    def _is_internal(self, order: TransferOrder) -> bool:
        if not self._places.holds(order.source):
            raise Unsupported(f"{order.source} is no account of {VENUE}", identifier=order.source)
        return self._places.holds(order.destination)

    def _kind(self, order: TransferOrder) -> tuple[str, OkxClient, str]:
        # Type of the transfer, whose key makes it, and the sub-account that it names.
        source = self._places.account(order.source)
        destination = self._places.account(order.destination)
        if source.sub_account == destination.sub_account:
            if source.wallet == destination.wallet:
                raise Unsupported(f"{order.source} and {order.destination} are the same wallet")
            return "0", self._places.client(order.source), ""
        if source.sub_account and destination.sub_account:
            # Only the paying sub-account's own key may do this, where the master allows it.
            return "4", self._places.client(order.source), destination.sub_account
        master = self._places.client_of_master()
        if master is None:
            raise Unsupported(
                f"{VENUE} moves between master and sub-accounts with the master's key only",
                identifier=order.source,
            )
        if source.sub_account:
            return "2", master, source.sub_account
        return "1", master, destination.sub_account

    def _terms(self, order: TransferOrder) -> WithdrawalTerms:
        source: OkxAccount = self._places.account(order.source)
        if source.wallet != "funding" or source.sub_account:
            raise Unsupported(
                f"{VENUE} withdraws from the master's funding wallet only, not {order.source}",
                identifier=order.source,
            )
        for terms in self._places.withdrawals:
            if (terms.asset, terms.chain) == (order.asset, order.network):
                return terms
        raise Unsupported(
            f"{VENUE} has no withdrawal terms of {order.asset} over {order.network!r}",
            identifier=order.key,
            value=order.network,
        )
