"""Reductions at Deribit, and its own answer to a changed book."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal

import msgspec

from engine.errors import BadPayload, NotSent, OutcomeUnknown, VenueError
from engine.order_ports import HedgeOrder, OrderGuarantees, OrderReport, ReduceOrder
from engine.ports import Reading, ReportedMargin
from infra.venues.deribit import wire
from infra.venues.deribit.account import margins_of
from infra.venues.deribit.client import (
    MATCHING_WEIGHT,
    VENUE,
    Answered,
    Call,
    DeribitClient,
    exact,
)
from infra.venues.deribit.instruments import DeribitCatalog, settlement_of, size_of, symbol_of
from infra.venues.deribit.places import account_of
from infra.venues.deribit.transfers import REQUEST_EXPIRY

_PLACED: Final = msgspec.json.Decoder(wire.Placed)
_ORDERS: Final = msgspec.json.Decoder(list[wire.Order])
_COUNT: Final = msgspec.json.Decoder(int)
_SUMMARY: Final = msgspec.json.Decoder(wire.Summary)
_SUMMARIES: Final = msgspec.json.Decoder(wire.Summaries)
_CANCELLED: Final = msgspec.json.Decoder(wire.Order)
ORDER_SETTLE_WINDOW: Final = timedelta(seconds=5)
_Status = Literal["open", "filled", "cancelled", "rejected"]
_STATES: Final[Mapping[str, _Status]] = {
    "open": "open",
    "untriggered": "open",
    "filled": "filled",
    "cancelled": "cancelled",
    "rejected": "rejected",
}


class DeribitActions:
    """What may be done to reduce risk.

    The key travels as the order's label, by which it is found. Deribit does not refuse a second
    order of a label: an order is sent once, and then only looked up.
    """

    def __init__(
        self,
        client: DeribitClient,
        catalog: DeribitCatalog,
        *,
        request_expiry: timedelta = REQUEST_EXPIRY,
    ) -> None:
        self._client, self._catalog, self._request_expiry = client, catalog, request_expiry

    def order_guarantees(self) -> OrderGuarantees:
        """Return what Deribit promises about orders: a label is kept, and nothing more."""
        return OrderGuarantees(
            is_keyed=False, request_expiry=self._request_expiry, settle_window=ORDER_SETTLE_WINDOW
        )

    async def reduce(self, order: ReduceOrder) -> OrderReport:
        """Send a reduce-only order, at market where it has no limit.

        Raises
        ------
        VenueError
            With ``was_sent`` "no" if it had no effect; else ``OutcomeUnknown``.
        """
        return await self._place(order, order.limit_price, is_reduce_only=True)

    async def hedge(self, order: HedgeOrder) -> OrderReport:
        """Send an order that may open a position; raises as ``reduce`` does."""
        return await self._place(order, order.limit_price, is_reduce_only=False)

    async def _place(
        self, order: ReduceOrder | HedgeOrder, limit_price: Decimal | None, *, is_reduce_only: bool
    ) -> OrderReport:
        symbol, account = symbol_of(order.instrument_id), account_of(order.account_id)
        try:
            size = size_of(await self._catalog.listed(symbol))
        except VenueError as error:
            raise NotSent(
                f"{VENUE} order {order.key}: not sent, {error}", identifier=order.key
            ) from error
        parameters: dict[str, object] = {
            "instrument_name": symbol,
            "amount": exact(order.quantity * size),
            "type": "market" if limit_price is None else "limit",
            "label": order.key,
            "reduce_only": is_reduce_only,
        }
        if limit_price is not None:
            # What waits in the book takes no risk off.
            parameters |= {"price": exact(limit_price), "time_in_force": "immediate_or_cancel"}
        call = Call(f"private/{order.side}", parameters, account, MATCHING_WEIGHT)
        answered = await self._client.write(call, _PLACED)
        try:
            return _report(order.key, answered.content.order, size, answered.received_at)
        except BadPayload as error:
            raise OutcomeUnknown(
                f"{error}; look it up by its key, do not send it anew", identifier=order.key
            ) from error

    async def find_order(
        self, account_id: str, key: str, instrument_id: str = ""
    ) -> OrderReport | None:
        """Return the order of a key; None is "not found", which does not mean "not executed".

        Labels are found by currency: in that of ``instrument_id``, else in all of them.
        """
        account = account_of(account_id)
        if instrument_id:
            currencies = [settlement_of(await self._catalog.listed(symbol_of(instrument_id)))]
        else:
            currencies = await self._currencies(account)
        for currency in currencies:
            parameters = {"currency": currency, "label": key}
            call = Call("private/get_order_state_by_label", parameters, account)
            answered = await self._client.read(call, _ORDERS)
            if len(answered.content) > 1:
                raise BadPayload(
                    f"{VENUE} order {key}: {len(answered.content)} orders of one key; "
                    "cancel and compare positions",
                    identifier=key,
                    value=len(answered.content),
                )
            for found in answered.content:
                size = size_of(await self._catalog.listed(found.instrument_name))
                return _report(key, found, size, answered.received_at)
        return None

    async def cancel_order(self, account_id: str, order_id: str, instrument_id: str) -> None:
        """Ask once that an order be cancelled; what became of it is for a lookup to say."""
        call = Call(
            "private/cancel", {"order_id": order_id}, account_of(account_id), MATCHING_WEIGHT
        )
        await self._client.write(call, _CANCELLED)

    async def cancel_all(self, account_id: str) -> int:
        """Cancel the account's open orders; return how many."""
        call = Call("private/cancel_all", {}, account_of(account_id), MATCHING_WEIGHT)
        return (await self._client.write(call, _COUNT)).content

    async def simulate(
        self, account_id: str, changes: Mapping[str, Decimal]
    ) -> tuple[ReportedMargin, ...]:
        """Return margin if ``changes`` (contracts by instrument) were added to the positions.

        Currencies that no change touches are as they are.
        """
        account = account_of(account_id)
        by_currency: dict[str, dict[str, Decimal]] = defaultdict(dict)
        for instrument, quantity in sorted(changes.items()):
            listed = await self._catalog.listed(symbol_of(instrument))
            size = exact(quantity * size_of(listed))
            by_currency[settlement_of(listed)][listed.instrument_name] = size
        answered = await self._summaries(account)
        summaries = {one.currency: one for one in answered.content.summaries}
        for currency, sizes in sorted(by_currency.items()):
            parameters: dict[str, object] = {
                "currency": currency, "add_positions": True, "simulated_positions": sizes,
            }  # fmt: skip
            call = Call("private/simulate_portfolio", parameters, account, MATCHING_WEIGHT)
            summaries[currency] = (await self._client.read(call, _SUMMARY)).content
        return margins_of(list(summaries.values()))

    async def _currencies(self, account: str) -> list[str]:
        return [one.currency for one in (await self._summaries(account)).content.summaries]

    async def _summaries(self, account: str) -> Answered[wire.Summaries]:
        call = Call("private/get_account_summaries", {}, account)
        return await self._client.read(call, _SUMMARIES)


def _report(key: str, order: wire.Order, size: Decimal, received_at: datetime) -> OrderReport:
    status = _STATES.get(order.order_state)
    if status is None:
        raise BadPayload(
            f"{VENUE} order {order.order_id}: state {order.order_state!r} is none we know",
            identifier=key,
            value=order.order_state,
        )
    return OrderReport(
        key=key,
        order_id=order.order_id,
        status=status,
        filled_quantity=order.filled_amount / size,
        # 0 stands for "nothing filled yet".
        average_price=order.average_price or None,
        reading=Reading(source=VENUE, received_at=received_at),
        reason=order.order_state,
    )
