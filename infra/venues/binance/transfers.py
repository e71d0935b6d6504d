"""Transfers of Binance: between its accounts with a key, within one without, and withdrawals.

developers.binance.com, "Sub-account Universal Transfer", "User Universal Transfer", "Withdraw".

| route | key | a repeated key | found by it |
|---|---|---|---|
| universal transfer of the master | clientTranId | refused, -4115 | yes, for 30 days |
| wallet to wallet without the master's key | none | executed again | no |
| withdrawal | withdrawOrderId | not documented: may be executed again | yes, for 90 days |
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

import msgspec

from engine.errors import NotSent, Unsupported
from engine.ports import (
    HeldBalance,
    RouteGuarantees,
    TransferOrder,
    TransferReport,
    TransferStatus,
)
from infra.venues.binance import wire
from infra.venues.binance.account import spot_balances
from infra.venues.binance.client import VENUE, WINDOW, Answered, Call
from infra.venues.binance.places import BinanceAccount, BinancePlaces, WithdrawalTerms
from infra.venues.payloads import plain, to_milliseconds
from infra.venues.transfer_reports import Seen, of_another, report_of

LOOKUP_KEPT: Final = timedelta(days=30)
WITHDRAWAL_LOOKUP_KEPT: Final = timedelta(days=90)
SETTLE_WINDOW: Final = timedelta(seconds=30)
WITHDRAWAL_SETTLE_WINDOW: Final = timedelta(minutes=10)
# The venue's clock is known to half a round trip at best.
_CLOCK_MARGIN: Final = timedelta(seconds=1)
_MADE: Final = msgspec.json.Decoder(wire.TransferMade)
_LISTED: Final = msgspec.json.Decoder(wire.UniversalTransfers)
_INCOME: Final = msgspec.json.Decoder(list[wire.Income])
_WITHDRAWN: Final = msgspec.json.Decoder(wire.WithdrawalMade)
_WITHDRAWALS: Final = msgspec.json.Decoder(list[wire.Withdrawal])
_BALANCES: Final = msgspec.json.Decoder(list[wire.FuturesBalance])
_WALLET_MOVES: Final = {
    ("SPOT", "USDT_FUTURE"): "MAIN_UMFUTURE",
    ("USDT_FUTURE", "SPOT"): "UMFUTURE_MAIN",
}
_UNIVERSAL: Final[dict[str, TransferStatus]] = {
    "SUCCESS": "done",
    "PROCESS": "pending",
    "FAILURE": "rejected",
}
_WITHDRAWAL: Final[dict[int, TransferStatus]] = {
    0: "pending",  # email sent
    1: "cancelled",
    2: "pending",  # awaiting approval
    3: "rejected",
    4: "pending",  # processing
    5: "rejected",  # failure
    6: "done",
}


class BinanceTransfers:
    """The rails that start at Binance."""

    def __init__(self, places: BinancePlaces) -> None:
        self._places = places

    def guarantees(self, order: TransferOrder) -> RouteGuarantees:
        """Return what the route of an order promises; raises Unsupported if there is none."""
        if not self._is_internal(order):
            return _withdrawal_guarantees(self._terms(order))
        if self._places.master is not None:
            return RouteGuarantees(
                is_keyed=True,
                duplicate_answer="rejected",
                has_lookup=True,
                key_lifetime=LOOKUP_KEPT,
                request_expiry=WINDOW + _CLOCK_MARGIN,
                settle_window=SETTLE_WINDOW,
            )
        self._wallet_move(order)
        return RouteGuarantees(
            is_keyed=False,
            duplicate_answer="none",
            has_lookup=False,
            request_expiry=WINDOW + _CLOCK_MARGIN,
            settle_window=SETTLE_WINDOW,
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
        if not self._is_internal(order):
            return await self._withdraw(order)
        if self._places.master is None:
            return await self._move_unkeyed(order)
        source = self._places.account(order.source)
        destination = self._places.account(order.destination)
        parameters = {
            "fromAccountType": source.wallet,
            "toAccountType": destination.wallet,
            "asset": order.asset,
            "amount": plain(order.quantity),
            "clientTranId": order.key,
        }
        if source.email:
            parameters["fromEmail"] = source.email
        if destination.email:
            parameters["toEmail"] = destination.email
        call = Call(
            method="POST",
            path="/sapi/v1/sub-account/universalTransfer",
            parameters=parameters,
            weight=360,
        )
        made = await self._places.master.write(call, _MADE)
        # An answer that names another transfer says nothing of this one.
        if made.content.client_tran_id not in ("", order.key):
            raise of_another(VENUE, order, made.content.client_tran_id)
        return report_of(VENUE, order, str(made.content.tran_id), "done", _paid(made))

    async def find(self, order: TransferOrder) -> TransferReport | None:
        """Return the transfer of a key; None is "not found", which proves nothing alone.

        The credit of a universal transfer is taken from the destination's own ledger where that is
        a futures wallet, and from the venue's SUCCESS where it is a spot wallet, which has none.
        """
        if not self._is_internal(order):
            return await self._find_withdrawal(order)
        if self._places.master is None:
            raise Unsupported(
                f"{VENUE} keeps no key of a transfer between wallets: there is no lookup",
                identifier=order.key,
            )
        call = Call(
            method="GET",
            path="/sapi/v1/sub-account/universalTransfer",
            parameters={"clientTranId": order.key, "limit": "500"},
            weight=15,
        )
        listed = await self._places.master.read(call, _LISTED)
        # A venue that ignored the filter would list other transfers.
        found = [row for row in listed.content.result if row.client_tran_id == order.key]
        if not found:
            return None
        row = found[0]
        status = _UNIVERSAL.get(row.status, "pending")
        is_credited = None
        if status == "done":
            is_credited = await self._is_credited(order, row)
            status = "credited" if is_credited else "done"
        seen = Seen(
            received_at=listed.received_at,
            quantity=row.amount,
            is_debited=status in ("done", "credited"),
            is_credited=is_credited,
        )
        return report_of(VENUE, order, str(row.tran_id), status, seen)

    async def balance(self, place: str, asset: str) -> HeldBalance:
        """Return what a wallet holds of an asset, and what of it may leave."""
        account, client = self._places.account(place), self._places.client(place)
        if account.wallet == "SPOT":
            spot, _ = await spot_balances(client)
            held = {one.asset: one for one in spot}
        else:
            call = Call(method="GET", path="/fapi/v3/balance", weight=5)
            futures = await client.read(call, _BALANCES)
            held = {
                one.asset: HeldBalance(
                    asset=one.asset, quantity=one.balance, available=one.max_withdraw_amount
                )
                for one in futures.content
            }
        return held.get(asset) or HeldBalance(
            asset=asset, quantity=Decimal(0), available=Decimal(0)
        )

    async def _is_credited(self, order: TransferOrder, row: wire.UniversalTransfer) -> bool | None:
        destination = self._places.account(order.destination)
        if destination.wallet == "SPOT":
            return True
        call = Call(
            method="GET",
            path="/fapi/v1/income",
            parameters={
                "incomeType": "TRANSFER",
                # Both stamps are the venue's; a minute covers the order in which it writes them.
                "startTime": str(row.create_time_stamp - 60_000),
                "limit": "1000",
            },
            weight=30,
        )
        lines = await self._places.client(order.destination).read(call, _INCOME)
        arrived = any(
            line.tran_id == row.tran_id and line.asset == order.asset and line.income > 0
            for line in lines.content
        )
        return True if arrived else None

    async def _move_unkeyed(self, order: TransferOrder) -> TransferReport:
        client, kind = self._places.client(order.source), self._wallet_move(order)
        parameters = {"type": kind, "asset": order.asset, "amount": plain(order.quantity)}
        call = Call(
            method="POST", path="/sapi/v1/asset/transfer", parameters=parameters, weight=900
        )
        made = await client.write(call, _MADE)
        return report_of(VENUE, order, str(made.content.tran_id), "done", _paid(made))

    async def _withdraw(self, order: TransferOrder) -> TransferReport:
        self._terms(order)
        if not order.address:
            raise NotSent(
                f"{VENUE}: withdrawal {order.key} not sent, it has no address",
                identifier=order.key,
            )
        parameters = {
            "coin": order.asset,
            "network": order.network,
            "address": order.address,
            "amount": plain(order.quantity),
            "withdrawOrderId": order.key,
            "walletType": "0",
        }
        if order.memo:
            parameters["addressTag"] = order.memo
        call = Call(
            method="POST",
            path="/sapi/v1/capital/withdraw/apply",
            parameters=parameters,
            weight=900,
        )
        made = await self._places.client(order.source).write(call, _WITHDRAWN)
        seen = Seen(received_at=made.received_at)
        return report_of(VENUE, order, made.content.id, "pending", seen)

    async def _find_withdrawal(self, order: TransferOrder) -> TransferReport | None:
        client = self._places.client(order.source)
        parameters = {"coin": order.asset, "withdrawOrderId": order.key}
        parameters["startTime"] = str(
            to_milliseconds(await client.clock.now() - WITHDRAWAL_LOOKUP_KEPT)
        )
        call = Call(
            method="GET",
            path="/sapi/v1/capital/withdraw/history",
            parameters=parameters,
            weight=300,
        )
        listed = await client.read(call, _WITHDRAWALS)
        found = [row for row in listed.content if row.withdraw_order_id == order.key]
        if not found:
            return None
        row = found[0]
        status = _WITHDRAWAL.get(row.status, "pending")
        seen = Seen(
            received_at=listed.received_at,
            # The venue lists what arrives; the source has paid the fee on top.
            quantity=row.amount + row.transaction_fee,
            fee=row.transaction_fee,
            is_debited=status not in ("rejected", "cancelled"),
            reason=row.info,
        )
        return report_of(VENUE, order, row.id, status, seen)

    def _is_internal(self, order: TransferOrder) -> bool:
        if not self._places.holds(order.source):
            raise Unsupported(f"{order.source} is no account of {VENUE}", identifier=order.source)
        return self._places.holds(order.destination)

    def _wallet_move(self, order: TransferOrder) -> str:
        source = self._places.account(order.source)
        destination = self._places.account(order.destination)
        kind = _WALLET_MOVES.get((source.wallet, destination.wallet))
        if kind is None or not _is_same_owner(source, destination):
            raise Unsupported(
                f"{VENUE} moves from {order.source} to {order.destination} only with the key of "
                "the master account",
                identifier=order.source,
            )
        return kind

    def _terms(self, order: TransferOrder) -> WithdrawalTerms:
        source = self._places.account(order.source)
        if source.wallet != "SPOT" or source.email:
            raise Unsupported(
                f"{VENUE} withdraws from the master's spot wallet only, not {order.source}",
                identifier=order.source,
            )
        for terms in self._places.withdrawals:
            if (terms.asset, terms.network) == (order.asset, order.network):
                return terms
        raise Unsupported(
            f"{VENUE} has no withdrawal terms of {order.asset} over {order.network!r}",
            identifier=order.key,
            value=order.network,
        )


def _is_same_owner(source: BinanceAccount, destination: BinanceAccount) -> bool:
    return source.email == destination.email


def _paid(made: Answered[wire.TransferMade]) -> Seen:
    return Seen(received_at=made.received_at, is_debited=True)


def _withdrawal_guarantees(terms: WithdrawalTerms) -> RouteGuarantees:
    return RouteGuarantees(
        # The venue keeps the key but nowhere says that it refuses a second one.
        is_keyed=False,
        duplicate_answer="none",
        has_lookup=True,
        key_lifetime=WITHDRAWAL_LOOKUP_KEPT,
        request_expiry=WINDOW + _CLOCK_MARGIN,
        settle_window=WITHDRAWAL_SETTLE_WINDOW,
        fee_max=terms.fee_max,
        amount_min=terms.amount_min,
        needs_whitelist=True,
    )
