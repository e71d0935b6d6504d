"""Account and order endpoints of the simulated OKX, and its margin of a changed book."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from infra.simulator.venues.core.accounts import TRADING, Account, Order, Position, Refused
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.core.margins import position_margin
from infra.simulator.venues.core.trading import OrderRequest, cancel_all, place
from infra.simulator.venues.okx.contracts import INST_TYPES, plain
from infra.simulator.venues.okx.errors import DUPLICATE_ORDER, NO_ORDER, ApiError, api_error
from infra.simulator.venues.okx.holdings import (
    balance_payload,
    bill_payload,
    order_payload,
    position_payload,
    positions,
    totals,
)
from infra.simulator.venues.okx.requests import Call, Endpoint, item_failure, number

_PAGE: Final = 100
_BATCH: Final = 20


class Trading:
    """What an account may ask and order; ``levels`` is the account mode by account."""

    def __init__(self, book: VenueBook, levels: dict[str, str]) -> None:
        self._book, self._levels = book, levels
        self.cancel_due: dict[str, float] = {}

    def endpoints(self) -> list[Endpoint]:
        """Return method, path, access, limit and answer of each endpoint."""
        account, trade = "/api/v5/account/", "/api/v5/trade/"
        return [
            Endpoint("GET", f"{account}balance", True, 10, self._balance),
            Endpoint("GET", f"{account}positions", True, 10, self._positions),
            Endpoint("GET", f"{account}config", True, 5, self._config),
            Endpoint("GET", f"{account}bills", True, 10, self._bills),
            Endpoint("GET", f"{account}bills-archive", True, 10, self._bills),
            Endpoint("POST", f"{account}position-builder", True, 2, self._what_if),
            Endpoint("POST", f"{trade}order", True, 60, self._place),
            Endpoint("POST", f"{trade}batch-orders", True, 300, self._place_batch),
            Endpoint("GET", f"{trade}order", True, 60, self._find),
            Endpoint("GET", f"{trade}orders-pending", True, 60, self._pending),
            Endpoint("GET", f"{trade}orders-history", True, 40, self._orders),
            Endpoint("POST", f"{trade}cancel-order", True, 60, self._cancel),
            Endpoint("POST", f"{trade}cancel-batch-orders", True, 300, self._cancel_batch),
            Endpoint("POST", f"{trade}cancel-all-after", True, 2, self._cancel_after),
        ]

    def advance(self) -> None:
        """Cancel the orders of accounts whose dead man's switch has run out."""
        now = self._book.clock.wall().timestamp()
        for account_id, due in list(self.cancel_due.items()):
            if now >= due:
                del self.cancel_due[account_id]
                cancel_all(self._book, self._book.accounts[account_id])

    def balance(self, account: Account) -> dict[str, object]:
        """Return the row of ``account/balance`` and of the channel ``account``."""
        held = positions(self._book, account)
        return balance_payload(self._book, account, held, self._levels[account.account_id])

    def positions(self, account: Account) -> list[dict[str, object]]:
        """Return the rows of ``account/positions`` and of the channel ``positions``."""
        now = self._book.clock.wall_ms()
        return [position_payload(one, now) for one in positions(self._book, account)]

    def _balance(self, call: Call) -> list[Any]:
        row, wanted = self.balance(call.asker), call.parameters.get("ccy")
        details = row["details"]
        assert isinstance(details, list)
        if wanted is not None:
            chosen = str(wanted).split(",")
            row["details"] = [one for one in details if one["ccy"] in chosen]
        return [row]

    def _positions(self, call: Call) -> list[Any]:
        account = call.asker
        rows, wanted = self.positions(account), call.parameters.get("instId")
        scope = Scope(venue=self._book.venue, account=account.account_id, endpoint=call.path)
        if rows and self._book.plan.draw(FaultKind.TORN_SNAPSHOT, scope):
            rows[0]["pos"] = plain(Decimal(str(rows[0]["pos"])) + 1)
        if rows and self._book.plan.draw(FaultKind.PARTIAL_PAGE, scope):
            rows.pop()
        return [row for row in rows if wanted is None or row["instId"] in wanted.split(",")]

    def _config(self, call: Call) -> list[Any]:
        account_id = call.asker.account_id
        return [
            {
                "uid": account_id, "mainUid": account_id, "acctLv": self._levels[account_id],
                "posMode": "net_mode", "autoLoan": False, "greeksType": "PA", "level": "Lv1",
                "levelTmp": "", "ctIsoMode": "automatic", "mgnIsoMode": "automatic", "perm":
                "read_only,trade,withdraw", "label": account_id,
            }
        ]  # fmt: skip

    def _bills(self, call: Call) -> list[Any]:
        account, wanted = call.asker, call.parameters.get("type")
        rows = [bill_payload(line) for line in account.lines if line.wallet == TRADING]
        rows.reverse()
        after, before = call.whole("after", 0), call.whole("before", 0)
        asset = call.parameters.get("ccy")
        rows = [
            row
            for row in rows
            if (not after or int(str(row["billId"])) < after)
            and int(str(row["billId"])) > before
            and wanted in (None, row["type"])
            and asset in (None, row["ccy"])
        ]
        return rows[: min(call.whole("limit", _PAGE), _PAGE)]

    def _what_if(self, call: Call) -> list[Any]:
        account = call.asker
        changed = Account(account.account_id, balances=dict(account.balances))
        if call.parameters.get("inclRealPosAndEq", True):
            changed.positions = {
                symbol: Position(symbol, held.quantity, held.entry_price)
                for symbol, held in account.positions.items()
            }
        for row in call.parameters.get("simPos", []):
            self._add(changed, row)
        sums = totals(self._book, changed, positions(self._book, changed))
        ratio = sums.equity / sums.maintenance_margin if sums.maintenance_margin else Decimal(0)
        return [
            {
                "eq": plain(sums.equity), "totalImr": plain(sums.initial_margin),
                "totalMmr": plain(sums.maintenance_margin), "borrowMmr": "0",
                "derivMmr": plain(sums.maintenance_margin), "marginRatio": f"{ratio:.6f}",
                "upl": "0", "acctLever": "1", "ts": str(self._book.clock.wall_ms()),
                "assets": [], "riskUnitData": [], "positions": [],
            }
        ]  # fmt: skip

    def _add(self, account: Account, row: Mapping[str, Any]) -> None:
        listing = self._book.listing(str(row.get("instId", "")))
        held = account.positions.setdefault(listing.symbol, Position(listing.symbol))
        quantity = number(str(row.get("pos", "")), "pos")
        if not held.quantity:
            held.entry_price = number(str(row.get("avgPx", "")), "avgPx")
        held.quantity += quantity

    def _place(self, call: Call) -> list[Any]:
        return [self._placed(call.asker, call.parameters)]

    def _place_batch(self, call: Call) -> list[Any]:
        if not isinstance(call.body, list) or len(call.body) > _BATCH:
            raise ApiError("51000", "Parameter orders error")
        return [self._placed(call.asker, row) for row in call.body]

    def _placed(self, account: Account, row: Mapping[str, Any]) -> dict[str, str]:
        key = str(row.get("clOrdId", ""))
        try:
            order = self._order(account, row, key)
        except Refused as refused:
            return item_failure(api_error(refused, "/trade/"), ordId="", clOrdId=key, tag="")
        except ApiError as error:
            return item_failure(error, ordId="", clOrdId=key, tag="")
        return {
            "ordId": order.order_id, "clOrdId": key, "tag": "", "sCode": "0",
            "sMsg": "Order placed", "ts": str(self._book.clock.wall_ms()),
        }  # fmt: skip

    def _order(self, account: Account, row: Mapping[str, Any], key: str) -> Order:
        if key and any(order.key == key for order in account.orders.values()):
            raise ApiError(*DUPLICATE_ORDER)
        kind, price = str(row.get("ordType", "")), str(row.get("px", ""))
        request = OrderRequest(
            symbol=str(row.get("instId", "")),
            side="buy" if row.get("side") == "buy" else "sell",
            quantity=number(str(row.get("sz", "")), "sz"),
            limit_price=number(price, "px") if kind != "market" else None,
            is_reduce_only=str(row.get("reduceOnly", "")).lower() == "true",
            is_immediate=kind in ("ioc", "fok"),
            key=key,
        )
        if not request.is_reduce_only:
            self._require_margin(account, request)
        return place(self._book, account, request)

    def _require_margin(self, account: Account, request: OrderRequest) -> None:
        listing = self._book.listing(request.symbol)
        needed, _ = position_margin(self._book, request.symbol, request.quantity)
        if needed > self._book.available(account, listing.settlement_asset):
            raise Refused("funds", "insufficient margin")

    def _find(self, call: Call) -> list[Any]:
        return [order_payload(self._book, self._own_order(call.asker, call.parameters))]

    def _own_order(self, account: Account, row: Mapping[str, Any]) -> Order:
        symbol, key, order_id = row.get("instId"), row.get("clOrdId"), row.get("ordId")
        for order in account.orders.values():
            is_it = (key and order.key == key) or (order_id and order.order_id == order_id)
            if order.symbol == symbol and is_it:
                return order
        raise ApiError(*NO_ORDER)

    def _pending(self, call: Call) -> list[Any]:
        return self._page(call, call.asker.open_orders())

    def _orders(self, call: Call) -> list[Any]:
        done = [order for order in call.asker.orders.values() if order.state != "open"]
        return self._page(call, done)

    def _page(self, call: Call, orders: list[Order]) -> list[Any]:
        kind, after = call.parameters.get("instType"), call.whole("after", 0)
        newest = sorted(orders, key=lambda order: -int(order.order_id))
        rows = [
            order_payload(self._book, order)
            for order in newest
            if kind in (None, INST_TYPES[self._book.listing(order.symbol).kind])
            and (not after or int(order.order_id) < after)
        ]
        return rows[: min(call.whole("limit", _PAGE), _PAGE)]

    def _cancel(self, call: Call) -> list[Any]:
        return [self._cancelled(call.asker, call.parameters)]

    def _cancel_batch(self, call: Call) -> list[Any]:
        if not isinstance(call.body, list) or len(call.body) > _BATCH:
            raise ApiError("51000", "Parameter orders error")
        return [self._cancelled(call.asker, row) for row in call.body]

    def _cancelled(self, account: Account, row: Mapping[str, Any]) -> dict[str, str]:
        named = {name: str(row.get(name, "")) for name in ("ordId", "clOrdId")}
        try:
            order = self._own_order(account, row)
            if order.state != "open":
                raise ApiError("51402", "Cancellation failed as the order is already completed.")
        except ApiError as error:
            return item_failure(error, **named)
        order.state = "cancelled"
        self._book.order_changed(account)
        return {"ordId": order.order_id, "clOrdId": order.key, "sCode": "0", "sMsg": ""}

    def _cancel_after(self, call: Call) -> list[Any]:
        seconds, now = call.whole("timeOut", 0), self._book.clock.wall().timestamp()
        account_id = call.asker.account_id
        self.cancel_due.pop(account_id, None)
        if seconds:
            self.cancel_due[account_id] = now + seconds
        trigger = str(int((now + seconds) * 1000)) if seconds else "0"
        return [{"triggerTime": trigger, "tag": "", "ts": str(int(now * 1000))}]
