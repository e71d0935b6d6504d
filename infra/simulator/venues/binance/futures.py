"""Endpoints under ``/fapi``: market, account, orders, listen keys."""

from __future__ import annotations

from typing import Final

from infra.simulator.venues.binance.contracts import (
    brackets,
    exchange_info,
    figure,
)
from infra.simulator.venues.binance.errors import (
    DUPLICATE_ORDER,
    MARGIN_INSUFFICIENT,
    NO_LISTEN_KEY,
    NO_ORDER,
    ApiError,
)
from infra.simulator.venues.binance.holdings import (
    account_payload,
    income_payload,
    income_type,
    margin_assets,
    order_payload,
    position_risk,
    positions,
)
from infra.simulator.venues.binance.identity import WEIGHT_MINUTE, Identity
from infra.simulator.venues.binance.requests import Call, Endpoint
from infra.simulator.venues.core.accounts import TRADING, ZERO, Account, Order
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.core.listings import Listing
from infra.simulator.venues.core.margins import position_margin
from infra.simulator.venues.core.market import Quote
from infra.simulator.venues.core.paid import full_intervals
from infra.simulator.venues.core.trading import OrderRequest, cancel_all, place

_FUNDING_MS: Final = 8 * 3_600_000
_LINES_MAX: Final = 1000


class Futures:
    """What ``/fapi`` answers."""

    def __init__(self, book: VenueBook, identity: Identity) -> None:
        self._book, self._identity = book, identity

    def endpoints(self) -> list[Endpoint]:
        """Return method, path, access, weight and answer of each endpoint."""
        return [
            Endpoint("GET", "/fapi/v1/ping", "public", 1, lambda _: {}),
            Endpoint("GET", "/fapi/v1/time", "public", 1, self._time),
            Endpoint("GET", "/fapi/v1/exchangeInfo", "public", 1, self._exchange_info),
            Endpoint("GET", "/fapi/v1/premiumIndex", "public", 10, self._premium_index),
            Endpoint("GET", "/fapi/v1/fundingRate", "public", 1, self._funding_rate),
            Endpoint("GET", "/fapi/v1/fundingInfo", "public", 1, lambda _: []),
            Endpoint("GET", "/fapi/v1/assetIndex", "public", 10, self._asset_index),
            Endpoint("GET", "/futures/data/delivery-price", "public", 1, self._delivery_price),
            Endpoint("GET", "/fapi/v1/ticker/24hr", "public", 40, self._ticker),
            Endpoint("GET", "/fapi/v1/leverageBracket", "signed", 1, self._brackets),
            Endpoint("GET", "/fapi/v2/account", "signed", 5, self._account),
            Endpoint("GET", "/fapi/v3/account", "signed", 5, self._account),
            Endpoint("GET", "/fapi/v2/balance", "signed", 5, self._balance),
            Endpoint("GET", "/fapi/v3/balance", "signed", 5, self._balance),
            Endpoint("GET", "/fapi/v2/positionRisk", "signed", 5, self._position_risk),
            Endpoint("GET", "/fapi/v3/positionRisk", "signed", 5, self._position_risk),
            Endpoint("GET", "/fapi/v1/income", "signed", 30, self._income),
            Endpoint("GET", "/fapi/v1/openOrders", "signed", 40, self._open_orders),
            Endpoint("POST", "/fapi/v1/order", "signed", 1, self._place),
            Endpoint("GET", "/fapi/v1/order", "signed", 1, self._find),
            Endpoint("DELETE", "/fapi/v1/order", "signed", 1, self._cancel),
            Endpoint("DELETE", "/fapi/v1/allOpenOrders", "signed", 1, self._cancel_all),
            Endpoint("POST", "/fapi/v1/listenKey", "key", 1, self._listen_key),
            Endpoint("PUT", "/fapi/v1/listenKey", "key", 1, self._renew_key),
            Endpoint("DELETE", "/fapi/v1/listenKey", "key", 1, self._drop_key),
            Endpoint(
                "GET", "/fapi/v1/positionSide/dual", "signed", 30,
                lambda _: {"dualSidePosition": False},
            ),
            Endpoint(
                "GET", "/fapi/v1/multiAssetsMargin", "signed", 30,
                lambda _: {"multiAssetsMargin": False},
            ),
        ]  # fmt: skip

    def listed(self) -> list[Listing]:
        """Return listings that are shown, without those that a fault has taken away."""
        venue, plan = self._book.venue, self._book.plan
        return [
            listing
            for listing in self._book.listings.values()
            if not plan.draw(
                FaultKind.INSTRUMENT_GONE,
                Scope(venue=venue, endpoint="exchangeInfo", channel=listing.symbol),
            )
        ]

    def mark_payload(self, listing: Listing) -> dict[str, object]:
        """Return a row of ``GET /fapi/v1/premiumIndex``."""
        quote, now = self._book.quote(listing.symbol), self._book.clock.wall_ms()
        is_perpetual = listing.kind == "perpetual"
        return {
            "symbol": listing.symbol, "markPrice": figure(quote.mark_price),
            "indexPrice": figure(quote.index_price),
            "estimatedSettlePrice": figure(quote.index_price),
            "lastFundingRate": figure(quote.funding_rate or ZERO)
            if is_perpetual else "",
            "interestRate": "0.00010000" if is_perpetual else "",
            "nextFundingTime": (now // _FUNDING_MS + 1) * _FUNDING_MS if is_perpetual else 0,
            "time": now,
        }  # fmt: skip

    def _time(self, _: Call) -> object:
        return {"serverTime": self._book.clock.wall_ms()}

    def _exchange_info(self, _: Call) -> object:
        return exchange_info(self.listed(), self._book.clock.wall_ms(), WEIGHT_MINUTE)

    def _premium_index(self, call: Call) -> object:
        if "symbol" in call.parameters:
            return self.mark_payload(self._book.listing(call.text("symbol")))
        return [self.mark_payload(listing) for listing in self.listed()]

    def _funding_rate(self, call: Call) -> object:
        listing = self._book.listing(call.text("symbol", "BTCUSDT"))
        quote, now = self._book.quote(listing.symbol), self._book.clock.wall_ms()
        last = now // _FUNDING_MS * _FUNDING_MS
        first = call.whole("startTime", last)
        paid = full_intervals(first, min(call.whole("endTime", now), now), _FUNDING_MS)
        if listing.kind != "perpetual":
            paid = []
        return [
            {
                "symbol": listing.symbol, "fundingTime": at,
                "fundingRate": figure(quote.funding_rate or ZERO),
                "markPrice": figure(quote.mark_price),
            }
            for at in paid[: call.whole("limit", 100)]
        ]  # fmt: skip

    def _asset_index(self, call: Call) -> object:
        now, market = self._book.clock.wall_ms(), self._book.market
        return [
            {
                "symbol": f"{asset}USD", "time": now,
                "index": figure(market.usd_price(asset, self._book.venue)),
                "bidBuffer": "0.00010000", "askBuffer": "0.00010000",
            }
            for asset in market.assets
        ]  # fmt: skip

    def _delivery_price(self, call: Call) -> object:
        pair, now = call.text("pair"), self._book.clock.now()
        return [
            {
                "deliveryTime": int(listing.expiry_utc.timestamp() * 1000),
                "deliveryPrice": float(self._book.quote(listing.symbol).index_price),
            }
            for listing in self._book.listings.values()
            if listing.expiry_utc is not None
            and listing.expiry_utc <= now
            and f"{listing.underlying}{listing.quote_asset}" == pair
        ]  # fmt: skip

    def _ticker(self, call: Call) -> object:
        if "symbol" in call.parameters:
            return ticker(self._book.quote(call.text("symbol")), self._book.clock.wall_ms())
        now = self._book.clock.wall_ms()
        return [ticker(self._book.quote(listing.symbol), now) for listing in self.listed()]

    def _brackets(self, call: Call) -> object:
        if "symbol" in call.parameters:
            return [brackets(self._book.listing(call.text("symbol")))]
        return [brackets(listing) for listing in self.listed()]

    def _account(self, call: Call) -> object:
        account, now = call.asker, self._book.clock.wall_ms()
        payload = account_payload(self._book, account, positions(self._book, account), now)
        scope = Scope(venue=self._book.venue, account=account.account_id, endpoint=call.path)
        rows = payload["positions"]
        assert isinstance(rows, list)
        torn = self._book.plan.draw(FaultKind.TORN_SNAPSHOT, scope)
        if torn is not None:
            for row in rows:
                row["unrealizedProfit"] = figure(torn.number("unrealised", "-12345"))
        if rows and self._book.plan.draw(FaultKind.PARTIAL_PAGE, scope):
            rows.pop()
        return payload

    def _balance(self, call: Call) -> object:
        account, now = call.asker, self._book.clock.wall_ms()
        held = positions(self._book, account)
        rows = account_payload(self._book, account, held, now)["assets"]
        assert isinstance(rows, list)
        return [
            {
                "accountAlias": "sim", "asset": row["asset"], "balance": row["walletBalance"],
                "crossWalletBalance": row["crossWalletBalance"], "crossUnPnl": row["crossUnPnl"],
                "availableBalance": row["availableBalance"],
                "maxWithdrawAmount": row["maxWithdrawAmount"], "marginAvailable": True,
                "updateTime": now,
            }
            for row in rows if row["asset"] in margin_assets(account, held)
        ]  # fmt: skip

    def _position_risk(self, call: Call) -> object:
        rows = position_risk(positions(self._book, call.asker), self._book.clock.wall_ms())
        symbol = call.parameters.get("symbol")
        return [row for row in rows if symbol in (None, row["symbol"])]

    def _income(self, call: Call) -> object:
        account = call.asker
        since, until = call.whole("startTime", 0), call.whole("endTime", 1 << 62)
        wanted, limit = call.parameters.get("incomeType"), call.whole("limit", 100)
        rows = [
            income_payload(line)
            for line in account.lines
            if line.wallet == TRADING
            and since <= int(line.at.timestamp() * 1000) <= until
            and wanted in (None, income_type(line))
        ]
        scope = Scope(venue=self._book.venue, account=account.account_id, endpoint=call.path)
        if rows and self._book.plan.draw(FaultKind.PARTIAL_PAGE, scope):
            rows.pop()
        return rows[: min(limit, _LINES_MAX)]

    def _open_orders(self, call: Call) -> object:
        symbol, now = call.parameters.get("symbol"), self._book.clock.wall_ms()
        return [
            order_payload(order, now)
            for order in call.asker.open_orders()
            if symbol in (None, order.symbol)
        ]

    def _place(self, call: Call) -> object:
        account, now = call.asker, self._book.clock.wall_ms()
        key = call.text("newClientOrderId", "")
        if key and any(order.key == key for order in account.orders.values()):
            raise ApiError(*DUPLICATE_ORDER)
        kind, in_force = call.text("type"), call.text("timeInForce", "GTC")
        request = OrderRequest(
            symbol=call.text("symbol"),
            side="buy" if call.text("side") == "BUY" else "sell",
            quantity=call.number("quantity"),
            limit_price=call.number("price") if kind == "LIMIT" else None,
            is_reduce_only=call.flag("reduceOnly"),
            is_immediate=in_force in ("IOC", "FOK"),
            key=key,
        )
        self._require_margin(account, request)
        order = place(self._book, account, request)
        if not order.key:
            order.key = f"web_{order.order_id}"
        return order_payload(order, now)

    def _require_margin(self, account: Account, request: OrderRequest) -> None:
        listing = self._book.listing(request.symbol)
        if request.is_reduce_only:
            return
        needed, _ = position_margin(self._book, request.symbol, request.quantity)
        if needed > self._book.available(account, listing.settlement_asset):
            raise ApiError(*MARGIN_INSUFFICIENT)

    def _find(self, call: Call) -> object:
        return order_payload(self._order(call), self._book.clock.wall_ms())

    def _cancel(self, call: Call) -> object:
        order = self._order(call)
        if order.state != "open":
            raise ApiError(-2011, "Unknown order sent.")
        order.state = "cancelled"
        self._book.order_changed(call.asker)
        return order_payload(order, self._book.clock.wall_ms())

    def _cancel_all(self, call: Call) -> object:
        account, symbol = call.asker, call.text("symbol")
        others = [order for order in account.open_orders() if order.symbol != symbol]
        cancel_all(self._book, account)
        for order in others:
            order.state = "open"
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def _order(self, call: Call) -> Order:
        symbol, own = call.text("symbol"), call.parameters.get("origClientOrderId")
        number = call.parameters.get("orderId")
        for order in call.asker.orders.values():
            if order.symbol == symbol and (order.key == own or order.order_id == number):
                return order
        raise ApiError(*NO_ORDER)

    def _listen_key(self, call: Call) -> object:
        return {"listenKey": self._identity.listen_key(call.asker.account_id)}

    def _renew_key(self, call: Call) -> object:
        account_id = call.asker.account_id
        owned = [owner for owner, _ in self._identity.listen_keys.values()]
        if account_id not in owned:
            raise ApiError(*NO_LISTEN_KEY)
        return {"listenKey": self._identity.listen_key(account_id)}

    def _drop_key(self, call: Call) -> object:
        kept = {
            key: held
            for key, held in self._identity.listen_keys.items()
            if held[0] != call.asker.account_id
        }
        self._identity.listen_keys = kept
        return {}


def ticker(quote: Quote, now_ms: int) -> dict[str, object]:
    """Return a row of ``GET /fapi/v1/ticker/24hr``; changes over the day are not kept."""
    mark = figure(quote.mark_price)
    return {
        "symbol": quote.symbol, "priceChange": "0", "priceChangePercent": "0.000",
        "weightedAvgPrice": mark, "lastPrice": mark, "lastQty": "1", "openPrice": mark,
        "highPrice": mark, "lowPrice": mark, "volume": "0", "quoteVolume": "0",
        "openTime": now_ms - 86_400_000, "closeTime": now_ms, "firstId": 1, "lastId": 1,
        "count": 1,
    }  # fmt: skip
