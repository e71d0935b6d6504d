"""What Deribit answers, by its documentation (docs.deribit.com, API 2.1.1)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec


class RpcFault(msgspec.Struct):
    """The ``error`` of an answer."""

    code: int
    message: str = ""
    data: Any = None


class Envelope(msgspec.Struct):
    """Any answer; ``result`` is decoded by its own contract."""

    result: msgspec.Raw = msgspec.Raw()
    error: RpcFault | None = None


class Tokens(msgspec.Struct):
    """``public/auth`` and ``public/exchange_token``."""

    access_token: str
    refresh_token: str
    expires_in: int


class Currency(msgspec.Struct):
    """One of ``public/get_currencies``."""

    currency: str
    decimals: int | None = None
    withdrawal_fee: Decimal | None = None
    min_withdrawal_fee: Decimal | None = None


class Instrument(msgspec.Struct):
    """One of ``public/get_instruments``; combinations name no expiry."""

    instrument_name: str
    kind: str
    base_currency: str
    tick_size: Decimal
    contract_size: Decimal | None = None
    min_trade_amount: Decimal | None = None
    quote_currency: str = ""
    counter_currency: str = ""
    settlement_currency: str | None = None
    settlement_period: str | None = None
    instrument_type: str = ""
    expiration_timestamp: int | None = None
    strike: Decimal | None = None
    option_type: str | None = None


class Ticker(msgspec.Struct):
    """``public/ticker`` and the channel ``ticker``."""

    instrument_name: str
    timestamp: int
    mark_price: Decimal
    index_price: Decimal | None = None
    best_bid_price: Decimal | None = None
    best_ask_price: Decimal | None = None
    funding_8h: Decimal | None = None
    mark_iv: Decimal | None = None
    underlying_price: Decimal | None = None


class Summary(msgspec.Struct):
    """Margin and balance in one currency: a summary, the channel ``user.portfolio``, a what-if."""

    currency: str
    balance: Decimal
    equity: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    available_withdrawal_funds: Decimal | None = None
    cross_collateral_enabled: bool = False
    total_equity_usd: Decimal | None = None
    total_initial_margin_usd: Decimal | None = None
    total_maintenance_margin_usd: Decimal | None = None


class Summaries(msgspec.Struct):
    """``private/get_account_summaries``; ``id`` comes with ``extended`` only."""

    summaries: list[Summary]
    id: int | None = None


class Position(msgspec.Struct):
    """One of ``private/get_positions``; ``size`` is in USD (inverse futures) or coins, signed."""

    instrument_name: str
    size: Decimal
    direction: str
    average_price: Decimal | None = None
    mark_price: Decimal | None = None
    initial_margin: Decimal | None = None
    open_orders_margin: Decimal | None = None


class Order(msgspec.Struct):
    """An order; ``price`` of a market order is a word."""

    order_id: str
    instrument_name: str
    direction: str
    amount: Decimal
    order_state: str
    price: msgspec.Raw = msgspec.Raw()
    filled_amount: Decimal = Decimal(0)
    average_price: Decimal | None = None
    reduce_only: bool = False
    label: str = ""

    @property
    def limit_price(self) -> Decimal | None:
        """Return the limit, None of a market order."""
        text = bytes(self.price)
        return None if not text or text[:1] in b'"n' else msgspec.json.decode(text, type=Decimal)


class Placed(msgspec.Struct):
    """``private/buy`` and ``private/sell``."""

    order: Order


class LogLine(msgspec.Struct):
    """One of ``private/get_transaction_log``; ``balance`` is the cash balance after it."""

    id: int
    currency: str
    type: str
    timestamp: int
    change: Decimal
    balance: Decimal
    info: Any = None


class Log(msgspec.Struct):
    """A page of the log, newest first; ``continuation`` is where older lines go on."""

    logs: list[LogLine]
    continuation: int | None = None


class Transfer(msgspec.Struct):
    """One of ``private/get_transfers``, and the answer to a transfer."""

    id: int
    currency: str
    amount: Decimal
    state: str
    type: str
    created_timestamp: int
    updated_timestamp: int
    direction: str = ""
    other_side: str = ""
    nonce: str = ""


class Withdrawal(msgspec.Struct):
    """One of ``private/get_withdrawals``, and the answer to a withdrawal."""

    id: int
    currency: str
    amount: Decimal
    state: str
    address: str
    updated_timestamp: int
    fee: Decimal | None = None
    transaction_id: str | None = None
    nonce: str = ""


class Transfers(msgspec.Struct):
    """A page of ``private/get_transfers``."""

    count: int
    data: list[Transfer]


class Withdrawals(msgspec.Struct):
    """A page of ``private/get_withdrawals``."""

    count: int
    data: list[Withdrawal]


class Deposit(msgspec.Struct):
    """One of ``private/get_deposits``."""

    currency: str
    amount: Decimal
    state: str
    address: str
    transaction_id: str | None = None


class Deposits(msgspec.Struct):
    """A page of ``private/get_deposits``."""

    count: int
    data: list[Deposit]


class FrameParameters(msgspec.Struct):
    """Of a frame of a stream."""

    channel: str = ""
    type: str = ""
    data: msgspec.Raw = msgspec.Raw()


class Frame(msgspec.Struct):
    """A frame of a stream: data, a heartbeat, or the answer to a request."""

    id: int | None = None
    method: str = ""
    params: FrameParameters | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: RpcFault | None = None


class Changes(msgspec.Struct):
    """Data of ``user.changes``."""

    positions: list[Position] = []
    orders: list[Order] = []
