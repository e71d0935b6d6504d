"""What an account of the simulated Binance holds, as its endpoints and streams show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from infra.simulator.venues.binance.contracts import figure
from infra.simulator.venues.core.accounts import TRADING, ZERO, Account, LedgerLine, Order
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.margins import position_margin, position_value, profit

_INCOME = {
    "trade": "REALIZED_PNL", "adl": "REALIZED_PNL", "liquidation": "REALIZED_PNL",
    "funding": "FUNDING_FEE", "transfer": "TRANSFER", "deposit": "TRANSFER",
    "socialized_fund": "INSURANCE_CLEAR",
}  # fmt: skip
_STATES = {
    "open": "NEW", "filled": "FILLED", "cancelled": "CANCELED", "rejected": "REJECTED",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPosition:
    """A position at one mark. Amounts in the settlement asset."""

    symbol: str
    asset: str
    quantity: Decimal
    entry_price: Decimal
    mark_price: Decimal
    unrealised: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    notional: Decimal


def positions(book: VenueBook, account: Account) -> list[ShownPosition]:
    """Return open positions; each is valued once, so that all sums of them agree."""
    shown = []
    for position in account.open_positions():
        listing = book.listing(position.symbol)
        mark = book.quote(position.symbol).mark_price
        initial, maintenance = position_margin(book, position.symbol, position.quantity)
        value = position_value(listing, position.quantity, mark)
        gain = profit(listing, position.quantity, position.entry_price, mark)
        shown.append(
            ShownPosition(
                symbol=position.symbol, asset=listing.settlement_asset,
                quantity=position.quantity, entry_price=position.entry_price, mark_price=mark,
                unrealised=Decimal(figure(gain)), initial_margin=initial,
                maintenance_margin=maintenance,
                notional=value if position.quantity > 0 else -value,
            )
        )  # fmt: skip
    return shown


def account_payload(
    book: VenueBook, account: Account, held: Sequence[ShownPosition], now_ms: int
) -> dict[str, object]:
    """Return ``GET /fapi/v2|v3/account`` in single-asset mode."""
    assets = [_asset(book, account, asset, held, now_ms) for asset in margin_assets(account, held)]

    def total(name: str) -> str:
        return figure(sum((Decimal(str(row[name])) for row in assets), ZERO))

    return {
        "feeTier": 0, "canTrade": True, "canDeposit": True, "canWithdraw": True, "updateTime": 0,
        "multiAssetsMargin": False, "tradeGroupId": -1,
        "totalInitialMargin": total("initialMargin"), "totalMaintMargin": total("maintMargin"),
        "totalWalletBalance": total("walletBalance"),
        "totalUnrealizedProfit": total("unrealizedProfit"),
        "totalMarginBalance": total("marginBalance"),
        "totalPositionInitialMargin": total("initialMargin"),
        "totalOpenOrderInitialMargin": "0.00000000",
        "totalCrossWalletBalance": total("walletBalance"),
        "totalCrossUnPnl": total("unrealizedProfit"),
        "availableBalance": total("availableBalance"),
        "maxWithdrawAmount": total("maxWithdrawAmount"),
        "assets": assets,
        "positions": [_account_position(one, now_ms) for one in held],
    }  # fmt: skip


def margin_assets(account: Account, held: Sequence[ShownPosition]) -> list[str]:
    """Return assets of the futures wallet, sorted."""
    return sorted({*account.assets(TRADING), *(one.asset for one in held), "USDT", "USDC"})


def position_risk(held: Sequence[ShownPosition], now_ms: int) -> list[dict[str, object]]:
    """Return ``GET /fapi/v2|v3/positionRisk``."""
    return [
        {
            "symbol": one.symbol, "positionSide": "BOTH", "positionAmt": str(one.quantity),
            "entryPrice": str(one.entry_price), "breakEvenPrice": str(one.entry_price),
            "markPrice": figure(one.mark_price), "unRealizedProfit": figure(one.unrealised),
            "liquidationPrice": "0", "leverage": "20", "maxNotionalValue": "1000000000",
            "marginType": "cross", "isolatedMargin": "0.00000000", "isAutoAddMargin": "false",
            "notional": figure(one.notional), "marginAsset": one.asset, "isolatedWallet": "0",
            "initialMargin": figure(one.initial_margin),
            "maintMargin": figure(one.maintenance_margin),
            "positionInitialMargin": figure(one.initial_margin), "openOrderInitialMargin": "0",
            "adl": 1, "bidNotional": "0", "askNotional": "0", "updateTime": now_ms,
        }
        for one in held
    ]  # fmt: skip


def order_payload(order: Order, now_ms: int) -> dict[str, object]:
    """Return an order as ``/fapi/v1/order`` shows it."""
    is_limit = order.limit_price is not None
    average = order.average_price if order.average_price is not None else ZERO
    placed_ms = int(order.placed_at.timestamp() * 1000)
    return {
        "orderId": int(order.order_id), "symbol": order.symbol, "status": _STATES[order.state],
        "clientOrderId": order.key, "price": str(order.limit_price or 0),
        "avgPrice": str(average), "origQty": str(order.quantity),
        "executedQty": str(order.filled), "cumQty": str(order.filled),
        "cumQuote": figure(order.filled * average), "timeInForce": "GTC",
        "type": "LIMIT" if is_limit else "MARKET", "origType": "LIMIT" if is_limit else "MARKET",
        "reduceOnly": order.is_reduce_only, "closePosition": False,
        "side": order.side.upper(), "positionSide": "BOTH", "stopPrice": "0",
        "workingType": "CONTRACT_PRICE", "priceProtect": False, "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE", "goodTillDate": 0, "time": placed_ms,
        "updateTime": now_ms,
    }  # fmt: skip


def income_payload(line: LedgerLine) -> dict[str, object]:
    """Return a line of ``GET /fapi/v1/income``."""
    return {
        "symbol": str(line.details.get("symbol", "")), "incomeType": income_type(line),
        "income": figure(line.change), "asset": line.asset, "info": line.kind,
        "time": int(line.at.timestamp() * 1000),
        "tranId": int(str(line.details.get("tran_id", line.line_id))),
        "tradeId": str(line.details.get("order_id", "")),
    }  # fmt: skip


def income_type(line: LedgerLine) -> str:
    """Return the venue's name of a kind of line."""
    return _INCOME.get(line.kind, line.kind.upper())


def _asset(
    book: VenueBook, account: Account, asset: str, held: Sequence[ShownPosition], now_ms: int
) -> dict[str, object]:
    own = [one for one in held if one.asset == asset]
    balance = Decimal(figure(account.balance(asset)))
    unrealised = sum((one.unrealised for one in own), ZERO)
    initial = sum((one.initial_margin for one in own), ZERO)
    maintenance = sum((one.maintenance_margin for one in own), ZERO)
    equity = balance + unrealised
    free = max(min(balance, equity - initial), ZERO)
    return {
        "asset": asset, "walletBalance": figure(balance), "unrealizedProfit": figure(unrealised),
        "marginBalance": figure(equity), "maintMargin": figure(maintenance),
        "initialMargin": figure(initial), "positionInitialMargin": figure(initial),
        "openOrderInitialMargin": "0.00000000", "crossWalletBalance": figure(balance),
        "crossUnPnl": figure(unrealised), "availableBalance": figure(free),
        "maxWithdrawAmount": figure(free), "marginAvailable": True, "updateTime": now_ms,
    }  # fmt: skip


def _account_position(one: ShownPosition, now_ms: int) -> dict[str, object]:
    return {
        "symbol": one.symbol, "initialMargin": figure(one.initial_margin),
        "maintMargin": figure(one.maintenance_margin),
        "unrealizedProfit": figure(one.unrealised),
        "positionInitialMargin": figure(one.initial_margin), "openOrderInitialMargin": "0",
        "leverage": "20", "isolated": False, "entryPrice": str(one.entry_price),
        "maxNotional": "1000000000", "bidNotional": "0", "askNotional": "0",
        "positionSide": "BOTH", "positionAmt": str(one.quantity),
        "notional": figure(one.notional), "isolatedMargin": "0", "isolatedWallet": "0",
        "updateTime": now_ms,
    }  # fmt: skip
