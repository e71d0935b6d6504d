"""What an account of the simulated OKX holds, as its endpoints and channels show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from infra.simulator.venues.core.accounts import TRADING, ZERO, Account, LedgerLine, Order
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.margins import position_margin, position_value, profit
from infra.simulator.venues.okx.contracts import INST_TYPES, plain

FUNDING: Final = "funding"
_BILLS: Final = {
    "transfer": "1", "deposit": "1", "trade": "2", "liquidation": "5", "funding": "8", "adl": "9",
    "socialized_fund": "10",
}  # fmt: skip
_FUNDING_BILLS: Final = {
    "deposit": "1", "withdrawal": "2", "withdrawal_returned": "13", "transfer": "130",
}  # fmt: skip
_STATES: Final = {
    "open": "live", "filled": "filled", "cancelled": "canceled", "rejected": "canceled",
}  # fmt: skip
_NOTHING: Final = dict.fromkeys(
    ("adl", "baseBal", "baseBorrowed", "baseInterest", "bePx", "bizRefId", "bizRefType",
     "clSpotInUseAmt", "deltaBS", "deltaPA", "gammaBS", "gammaPA", "thetaBS", "thetaPA", "vegaBS",
     "vegaPA", "fee", "fundingFee", "idxPx", "interest", "liab", "liabCcy", "liqPenalty", "liqPx",
     "margin", "maxSpotInUseAmt", "pendingCloseOrdLiabVal", "pnl", "posCcy", "quoteBal",
     "quoteBorrowed", "quoteInterest", "realizedPnl", "spotInUseAmt", "spotInUseCcy", "tradeId",
     "usdPx", "uplLastPx", "uplRatio", "uplRatioLastPx"), "",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPosition:
    """A position at one mark. Amounts in the settlement asset; ``worth`` is what equity gains."""

    symbol: str
    kind: str
    asset: str
    quantity: Decimal
    entry_price: Decimal
    mark_price: Decimal
    unrealised: Decimal
    worth: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    value: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """An account in dollars."""

    equity: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal


def positions(book: VenueBook, account: Account) -> list[ShownPosition]:
    """Return open positions; each is valued once, so that all sums of them agree."""
    shown = []
    for position in account.open_positions():
        listing = book.listing(position.symbol)
        mark = book.quote(position.symbol).mark_price
        initial, maintenance = position_margin(book, position.symbol, position.quantity)
        gain = profit(listing, position.quantity, position.entry_price, mark)
        is_option = listing.kind == "option"
        worth = position.quantity * listing.contract_multiplier * mark if is_option else gain
        shown.append(
            ShownPosition(
                symbol=position.symbol, kind=listing.kind, asset=listing.settlement_asset,
                quantity=position.quantity, entry_price=position.entry_price, mark_price=mark,
                unrealised=gain, worth=worth, initial_margin=initial,
                maintenance_margin=maintenance,
                value=position_value(listing, position.quantity, mark),
            )
        )  # fmt: skip
    return shown


def totals(book: VenueBook, account: Account, held: Sequence[ShownPosition]) -> Totals:
    """Return equity and margin of an account in dollars."""
    equity = sum(
        (account.balance(asset) * book.market.usd_price(asset, book.venue)
         for asset in account.assets(TRADING)), ZERO,
    )  # fmt: skip
    initial = maintenance = ZERO
    for one in held:
        rate = book.market.usd_price(one.asset, book.venue)
        equity += one.worth * rate
        initial += one.initial_margin * rate
        maintenance += one.maintenance_margin * rate
    return Totals(equity=equity, initial_margin=initial, maintenance_margin=maintenance)


def balance_payload(
    book: VenueBook, account: Account, held: Sequence[ShownPosition], level: str
) -> dict[str, object]:
    """Return the row of ``GET /api/v5/account/balance``; ``level`` 2 margins by currency."""
    now = str(book.clock.wall_ms())
    sums = totals(book, account, held)
    is_one = level != "2"
    assets = sorted({*account.assets(TRADING), *(one.asset for one in held)})
    return {
        "adjEq": plain(sums.equity) if is_one else "", "borrowFroz": "",
        "details": [_detail(book, account, asset, held, now) for asset in assets],
        "imr": plain(sums.initial_margin) if is_one else "", "isoEq": "0",
        "mgnRatio": "", "mmr": plain(sums.maintenance_margin) if is_one else "",
        "notionalUsd": "", "notionalUsdForBorrow": "", "notionalUsdForFutures": "",
        "notionalUsdForOption": "", "notionalUsdForSwap": "", "ordFroz": "",
        "totalEq": plain(sums.equity), "uTime": now, "upl": "",
    }  # fmt: skip


def position_payload(one: ShownPosition, now_ms: int) -> dict[str, object]:
    """Return a row of ``GET /api/v5/account/positions``."""
    return {
        **_NOTHING, "availPos": "", "avgPx": plain(one.entry_price), "cTime": str(now_ms),
        "ccy": one.asset, "closeOrderAlgo": [], "imr": plain(one.initial_margin),
        "instId": one.symbol, "instType": INST_TYPES[one.kind], "last": plain(one.mark_price),
        "lever": "" if one.kind == "option" else "10", "markPx": plain(one.mark_price),
        "mgnMode": "cross", "mgnRatio": "", "mmr": plain(one.maintenance_margin),
        "notionalUsd": plain(one.value),
        "optVal": plain(one.worth) if one.kind == "option" else "", "pos": plain(one.quantity),
        "posId": one.symbol, "posSide": "net", "uTime": str(now_ms),
        "upl": plain(one.unrealised),
    }  # fmt: skip


def order_payload(book: VenueBook, order: Order) -> dict[str, object]:
    """Return a row of ``orders-pending``, ``orders-history`` and ``GET /api/v5/trade/order``."""
    stamp = str(int(order.placed_at.timestamp() * 1000))
    state = "partially_filled" if order.state == "open" and order.filled else _STATES[order.state]
    average = "" if order.average_price is None else plain(order.average_price)
    return {
        "accFillSz": plain(order.filled), "avgPx": average, "cTime": stamp, "category": "normal",
        "ccy": "", "clOrdId": order.key, "fee": "0", "feeCcy": "", "fillPx": average,
        "fillSz": plain(order.filled), "fillTime": stamp, "instId": order.symbol,
        "instType": INST_TYPES[book.listing(order.symbol).kind], "lever": "10",
        "ordId": order.order_id, "ordType": "market" if order.limit_price is None else "limit",
        "pnl": "0", "posSide": "net",
        "px": "" if order.limit_price is None else plain(order.limit_price), "rebate": "0",
        "rebateCcy": "", "reduceOnly": str(order.is_reduce_only).lower(), "side": order.side,
        "source": "", "state": state, "sz": plain(order.quantity), "tag": "", "tdMode": "cross",
        "tgtCcy": "", "tradeId": "", "uTime": stamp,
    }  # fmt: skip


def bill_payload(line: LedgerLine) -> dict[str, object]:
    """Return a row of ``GET /api/v5/account/bills``."""
    return {
        "bal": plain(line.balance_after), "balChg": plain(line.change),
        "billId": str(line.line_id), "ccy": line.asset,
        "clOrdId": line.reference if line.kind == "trade" else "", "execType": "", "fee": "0",
        "fillFwdPx": "", "fillIdxPx": "", "fillMarkPx": "", "fillMarkVol": "", "fillPxUsd": "",
        "fillPxVol": "", "fillTime": "", "from": "", "instId": str(line.details.get("symbol", "")),
        "instType": "", "interest": "0", "mgnMode": "", "notes": "",
        "ordId": str(line.details.get("order_id", "")), "pnl": "0", "posBal": "0",
        "posBalChg": "0", "px": "", "subType": "1", "sz": plain(abs(line.change)), "tag": "",
        "to": "", "tradeId": "", "ts": _ms(line), "type": _BILLS.get(line.kind, "99"),
    }  # fmt: skip


def funding_bill_payload(line: LedgerLine) -> dict[str, object]:
    """Return a row of ``GET /api/v5/asset/bills``."""
    return {
        "billId": str(line.line_id), "ccy": line.asset, "clientId": line.reference,
        "balChg": plain(line.change), "bal": plain(line.balance_after),
        "type": _FUNDING_BILLS.get(line.kind, "99"), "notes": "", "ts": _ms(line),
    }  # fmt: skip


def _detail(
    book: VenueBook, account: Account, asset: str, held: Sequence[ShownPosition], now: str
) -> dict[str, object]:
    own = [one for one in held if one.asset == asset]
    cash = account.balance(asset)
    equity = cash + sum((one.worth for one in own), ZERO)
    initial = sum((one.initial_margin for one in own), ZERO)
    maintenance = sum((one.maintenance_margin for one in own), ZERO)
    upl = sum((one.unrealised for one in own), ZERO)
    free = plain(max(min(cash, equity - initial), ZERO))
    worth = plain(equity * book.market.usd_price(asset, book.venue))
    return {
        "accAvgPx": "", "availBal": free, "availEq": free, "borrowFroz": "",
        "cashBal": plain(cash), "ccy": asset, "clSpotInUseAmt": "", "collateralEnabled": False,
        "crossLiab": "", "disEq": worth, "eq": plain(equity), "eqUsd": worth, "fixedBal": "0",
        "frozenBal": "0", "imr": plain(initial), "interest": "", "isoEq": "0", "isoLiab": "",
        "isoUpl": "0", "liab": plain(max(-cash, ZERO)), "maxLoan": "", "maxSpotInUseAmt": "",
        "mgnRatio": "", "mmr": plain(maintenance), "notionalLever": "0", "openAvgPx": "",
        "ordFrozen": "0", "rewardBal": "0", "smtSyncEq": "0", "spotBal": "",
        "spotCopyTradingEq": "0", "spotInUseAmt": "", "spotIsoBal": "0", "spotUpl": "",
        "spotUplRatio": "", "stgyEq": "0", "totalPnl": "", "totalPnlRatio": "", "twap": "0",
        "uTime": now, "upl": plain(upl), "uplLiab": "",
    }  # fmt: skip


def _ms(line: LedgerLine) -> str:
    return str(int(line.at.timestamp() * 1000))
