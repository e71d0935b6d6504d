"""What Binance answers: USD-M futures, wallet and sub-accounts, streams.

developers.binance.com: "USDⓈ-M Futures" (REST, WebSocket market and user data streams),
"Sub Account", "Wallet". Figures come as texts and stay exact.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from infra.venues.payloads import Wire


class Refusal(Wire):
    """``{"code": -1121, "msg": "Invalid symbol."}``; ``code`` is 0 or 200 in some successes."""

    code: int
    msg: str = ""


class ServerTime(Wire):
    """``GET /fapi/v1/time``."""

    server_time: int


class SymbolFilter(Wire):
    """One rule of a symbol; only steps are read."""

    filter_type: str
    tick_size: Decimal | None = None
    step_size: Decimal | None = None


class ListedSymbol(Wire):
    """A contract of ``exchangeInfo``."""

    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    margin_asset: str
    filters: list[SymbolFilter]
    contract_type: str = ""
    delivery_date: int = 0
    underlying_type: str = ""


class ExchangeInfo(Wire):
    """``GET /fapi/v1/exchangeInfo``."""

    symbols: list[ListedSymbol]
    server_time: int = 0


class PremiumIndex(Wire):
    """``GET /fapi/v1/premiumIndex``; ``last_funding_rate`` is empty for deliveries."""

    symbol: str
    mark_price: Decimal
    index_price: Decimal
    time: int
    last_funding_rate: str = ""
    next_funding_time: int = 0


class AccountAsset(Wire):
    """A margin asset of ``GET /fapi/v2/account``."""

    asset: str
    wallet_balance: Decimal
    unrealized_profit: Decimal
    margin_balance: Decimal
    maint_margin: Decimal
    initial_margin: Decimal
    available_balance: Decimal
    max_withdraw_amount: Decimal
    cross_wallet_balance: Decimal | None = None
    update_time: int = 0


class AccountPosition(Wire):
    """A position of ``GET /fapi/v2/account``; every symbol is listed, most of them empty."""

    symbol: str
    position_amt: Decimal
    unrealized_profit: Decimal
    position_side: str = "BOTH"
    entry_price: Decimal | None = None
    initial_margin: Decimal = Decimal(0)
    maint_margin: Decimal = Decimal(0)
    isolated: bool = False
    update_time: int = 0


class Account(Wire):
    """``GET /fapi/v2/account``: wallet, margin and positions of one instant."""

    total_initial_margin: Decimal
    total_maint_margin: Decimal
    total_margin_balance: Decimal
    total_wallet_balance: Decimal
    total_unrealized_profit: Decimal
    assets: list[AccountAsset]
    positions: list[AccountPosition]
    multi_assets_margin: bool = False


class FuturesBalance(Wire):
    """A row of ``GET /fapi/v3/balance``."""

    asset: str
    balance: Decimal
    available_balance: Decimal
    max_withdraw_amount: Decimal


class PositionRisk(Wire):
    """A row of ``GET /fapi/v2|v3/positionRisk``."""

    symbol: str
    position_amt: Decimal
    entry_price: Decimal
    mark_price: Decimal
    position_side: str = "BOTH"
    un_realized_profit: Decimal = Decimal(0)
    liquidation_price: Decimal = Decimal(0)
    update_time: int = 0


class Order(Wire):
    """An order of ``POST|GET /fapi/v1/order`` and ``GET /fapi/v1/openOrders``."""

    order_id: int
    symbol: str
    side: str
    status: str
    orig_qty: Decimal
    executed_qty: Decimal
    client_order_id: str = ""
    avg_price: Decimal = Decimal(0)
    price: Decimal = Decimal(0)
    reduce_only: bool = False
    close_position: bool = False
    update_time: int = 0


class Income(Wire):
    """A line of ``GET /fapi/v1/income``."""

    income_type: str
    income: Decimal
    asset: str
    time: int
    tran_id: int
    symbol: str = ""
    info: str = ""
    trade_id: str | int = ""


class ListenKey(Wire):
    """``POST /fapi/v1/listenKey``."""

    listen_key: str


class TransferMade(Wire):
    """``POST /sapi/v1/sub-account/universalTransfer`` and ``/sapi/v1/asset/transfer``."""

    tran_id: int
    client_tran_id: str = ""


class UniversalTransfer(Wire):
    """A row of ``GET /sapi/v1/sub-account/universalTransfer``."""

    tran_id: int
    asset: str
    amount: Decimal
    status: str
    create_time_stamp: int
    from_email: str = ""
    to_email: str = ""
    from_account_type: str = ""
    to_account_type: str = ""
    client_tran_id: str = ""


class UniversalTransfers(Wire):
    """``GET /sapi/v1/sub-account/universalTransfer``."""

    result: list[UniversalTransfer]
    total_count: int = 0


class WithdrawalMade(Wire):
    """``POST /sapi/v1/capital/withdraw/apply``."""

    id: str


class Withdrawal(Wire):
    """A row of ``GET /sapi/v1/capital/withdraw/history``."""

    id: str
    coin: str
    amount: Decimal
    transaction_fee: Decimal
    status: int
    network: str = ""
    address: str = ""
    withdraw_order_id: str = ""
    tx_id: str = ""
    info: str = ""
    apply_time: str = ""


class Deposit(Wire):
    """A row of ``GET /sapi/v1/capital/deposit/hisrec``."""

    coin: str
    amount: Decimal
    status: int
    tx_id: str
    insert_time: int
    network: str = ""
    address: str = ""


class SpotBalance(Wire):
    """A balance of ``GET /api/v3/account``."""

    asset: str
    free: Decimal
    locked: Decimal


class SpotAccount(Wire):
    """``GET /api/v3/account``."""

    balances: list[SpotBalance]


class MarkPriceUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """``<symbol>@markPrice@1s``."""

    event: str = msgspec.field(name="e")
    event_time: int = msgspec.field(name="E")
    symbol: str = msgspec.field(name="s")
    mark_price: Decimal = msgspec.field(name="p")
    index_price: Decimal = msgspec.field(name="i")
    funding_rate: str = msgspec.field(name="r", default="")


class CombinedFrame(msgspec.Struct, frozen=True, kw_only=True):
    """A frame of a combined stream, its data still unread; or the answer to a request."""

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    id: int | str | None = None
    error: dict[str, Any] | None = None


class StreamEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What every event of the user data stream has."""

    event: str = msgspec.field(name="e")
    event_time: int = msgspec.field(name="E", default=0)


class BalanceUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """A balance of ACCOUNT_UPDATE."""

    asset: str = msgspec.field(name="a")
    wallet_balance: Decimal = msgspec.field(name="wb")
    cross_wallet_balance: Decimal = msgspec.field(name="cw")
    change: Decimal = msgspec.field(name="bc", default=Decimal(0))


class PositionUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """A position of ACCOUNT_UPDATE."""

    symbol: str = msgspec.field(name="s")
    quantity: Decimal = msgspec.field(name="pa")
    entry_price: Decimal = msgspec.field(name="ep")
    unrealized_profit: Decimal = msgspec.field(name="up")
    position_side: str = msgspec.field(name="ps", default="BOTH")


class AccountChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changed, and the reason the venue gives."""

    reason: str = msgspec.field(name="m", default="")
    balances: list[BalanceUpdate] = msgspec.field(name="B", default=[])
    positions: list[PositionUpdate] = msgspec.field(name="P", default=[])


class AccountUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """ACCOUNT_UPDATE."""

    event_time: int = msgspec.field(name="E")
    transaction_time: int = msgspec.field(name="T")
    change: AccountChange = msgspec.field(name="a")


class OrderChange(msgspec.Struct, frozen=True, kw_only=True):
    """The order of ORDER_TRADE_UPDATE."""

    symbol: str = msgspec.field(name="s")
    client_order_id: str = msgspec.field(name="c")
    side: str = msgspec.field(name="S")
    execution: str = msgspec.field(name="x")
    status: str = msgspec.field(name="X")
    order_id: int = msgspec.field(name="i")
    quantity: Decimal = msgspec.field(name="q")
    filled_quantity: Decimal = msgspec.field(name="z")
    limit_price: Decimal = msgspec.field(name="p", default=Decimal(0))
    is_reduce_only: bool = msgspec.field(name="R", default=False)


class OrderTradeUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """ORDER_TRADE_UPDATE."""

    event_time: int = msgspec.field(name="E")
    transaction_time: int = msgspec.field(name="T")
    order: OrderChange = msgspec.field(name="o")


class MarginCallPosition(msgspec.Struct, frozen=True, kw_only=True):
    """A position of MARGIN_CALL."""

    symbol: str = msgspec.field(name="s")
    quantity: Decimal = msgspec.field(name="pa")
    mark_price: Decimal = msgspec.field(name="mp")
    maintenance_margin: Decimal = msgspec.field(name="mm")


class MarginCallEvent(msgspec.Struct, frozen=True, kw_only=True):
    """MARGIN_CALL: the venue warns that positions are close to liquidation."""

    event_time: int = msgspec.field(name="E")
    positions: list[MarginCallPosition] = msgspec.field(name="p")
    cross_wallet_balance: Decimal | None = msgspec.field(name="cw", default=None)
