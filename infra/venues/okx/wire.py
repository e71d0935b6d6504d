"""What OKX answers: version 5 of its API, REST and WebSocket.

www.okx.com/docs-v5. Every figure is a text, and an empty text means that the venue does not say:
``payloads.optional_decimal`` reads it as None, never as zero.
"""

from __future__ import annotations

import msgspec

from infra.venues.payloads import Wire


class Envelope(Wire):
    """The envelope of every answer; ``code`` "0" is success, the rows are still unread."""

    code: str
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw(b"[]")


class RefusedItem(Wire):
    """A row of a refused or partly refused write."""

    s_code: str = ""
    s_msg: str = ""


class ServerTime(Wire):
    """``GET /api/v5/public/time``."""

    ts: str


class Instrument(Wire):
    """A row of ``GET /api/v5/public/instruments``."""

    inst_id: str
    inst_type: str
    state: str
    tick_sz: str
    lot_sz: str
    base_ccy: str = ""
    quote_ccy: str = ""
    settle_ccy: str = ""
    ct_type: str = ""
    ct_val: str = ""
    ct_mult: str = ""
    ct_val_ccy: str = ""
    opt_type: str = ""
    stk: str = ""
    exp_time: str = ""
    uly: str = ""
    inst_family: str = ""


class MarkPrice(Wire):
    """A row of ``GET /api/v5/public/mark-price`` and of the channel ``mark-price``."""

    inst_id: str
    inst_type: str
    mark_px: str
    ts: str


class IndexTicker(Wire):
    """A row of ``GET /api/v5/market/index-tickers``."""

    inst_id: str
    idx_px: str
    ts: str


class FundingRate(Wire):
    """``GET /api/v5/public/funding-rate``."""

    inst_id: str
    funding_rate: str
    funding_time: str
    ts: str = ""


class OptionSummary(Wire):
    """A row of ``GET /api/v5/public/opt-summary``."""

    inst_id: str
    mark_vol: str
    fwd_px: str
    ts: str


class BalanceDetail(Wire):
    """A currency of ``GET /api/v5/account/balance`` and of the channel ``account``."""

    ccy: str
    eq: str
    cash_bal: str
    avail_bal: str = ""
    avail_eq: str = ""
    liab: str = ""
    imr: str = ""
    mmr: str = ""
    u_time: str = ""


class AccountBalance(Wire):
    """``GET /api/v5/account/balance`` and the channel ``account``.

    ``adj_eq``, ``imr`` and ``mmr`` are the account's in multi-currency and portfolio margin, and
    empty in single-currency margin, where each currency stands for itself.
    """

    total_eq: str
    details: list[BalanceDetail]
    adj_eq: str = ""
    imr: str = ""
    mmr: str = ""
    u_time: str = ""


class Position(Wire):
    """A row of ``GET /api/v5/account/positions`` and of the channel ``positions``."""

    inst_id: str
    pos: str
    pos_side: str
    inst_type: str = ""
    avg_px: str = ""
    mark_px: str = ""
    mgn_mode: str = ""
    ccy: str = ""
    u_time: str = ""


class AccountConfig(Wire):
    """``GET /api/v5/account/config``; ``acct_lv`` 2 single-currency, 3 multi, 4 portfolio."""

    uid: str
    acct_lv: str
    pos_mode: str


class PendingOrder(Wire):
    """A row of ``orders-pending``, ``orders-history`` and ``GET /api/v5/trade/order``."""

    ord_id: str
    inst_id: str
    side: str
    sz: str
    acc_fill_sz: str
    state: str
    cl_ord_id: str = ""
    px: str = ""
    avg_px: str = ""
    reduce_only: str = ""
    u_time: str = ""
    inst_type: str = ""


class OrderMade(Wire):
    """A row of ``POST /api/v5/trade/order``, ``cancel-order`` and ``cancel-batch-orders``."""

    ord_id: str = ""
    cl_ord_id: str = ""
    s_code: str = "0"
    s_msg: str = ""


class Bill(Wire):
    """A row of ``GET /api/v5/account/bills``."""

    bill_id: str
    ccy: str
    bal_chg: str
    type: str
    ts: str
    bal: str = ""
    sub_type: str = ""
    cl_ord_id: str = ""
    inst_id: str = ""
    pnl: str = ""
    fee: str = ""


class FundingBalance(Wire):
    """A row of ``GET /api/v5/asset/balances``."""

    ccy: str
    bal: str
    avail_bal: str
    frozen_bal: str = ""


class TransferMade(Wire):
    """``POST /api/v5/asset/transfer``."""

    trans_id: str
    ccy: str
    amt: str
    client_id: str = ""


class TransferState(Wire):
    """``GET /api/v5/asset/transfer-state``; ``state`` success, pending or failed."""

    trans_id: str
    ccy: str
    amt: str
    state: str
    client_id: str = ""


class WithdrawalMade(Wire):
    """``POST /api/v5/asset/withdrawal``."""

    wd_id: str
    amt: str
    ccy: str
    client_id: str = ""


class Withdrawal(Wire):
    """A row of ``GET /api/v5/asset/withdrawal-history``."""

    wd_id: str
    ccy: str
    amt: str
    state: str
    ts: str
    fee: str = ""
    client_id: str = ""
    chain: str = ""
    tx_id: str = ""


class WhatIfAsset(Wire):
    """A currency of ``POST /api/v5/account/position-builder``."""

    ccy: str
    avail_eq: str = ""


class WhatIfAnswer(Wire):
    """``POST /api/v5/account/position-builder``: the venue's margin of a changed book."""

    eq: str
    total_imr: str
    total_mmr: str
    ts: str = ""


class ChannelArgument(Wire):
    """Which channel a frame belongs to."""

    channel: str
    inst_id: str = ""
    uid: str = ""


class StreamFrame(Wire):
    """A frame of a WebSocket: an event (login, subscribe, error, notice) or data of a channel."""

    arg: ChannelArgument | None = None
    event: str = ""
    code: str = ""
    msg: str = ""
    event_type: str = ""
    cur_page: int | None = None
    last_page: bool | None = None
    data: msgspec.Raw = msgspec.Raw(b"[]")


class BalanceAndPosition(Wire):
    """A row of the channel ``balance_and_position``."""

    p_time: str
    event_type: str
    bal_data: list[BalanceChange] = msgspec.field(default_factory=list)
    pos_data: list[Position] = msgspec.field(default_factory=list)


class BalanceChange(Wire):
    """A currency of ``balance_and_position``."""

    ccy: str
    cash_bal: str
    u_time: str = ""


class FundingBill(Wire):
    """A row of ``GET /api/v5/asset/bills``; ``client_id`` is ours."""

    bill_id: str
    ccy: str
    bal_chg: str
    ts: str
    client_id: str = ""
    type: str = ""
    bal: str = ""


class Currency(Wire):
    """A chain of a currency of ``GET /api/v5/asset/currencies``."""

    ccy: str
    chain: str
    min_fee: str = ""
    fee: str = ""
    can_wd: bool = True


class Deposit(Wire):
    """A row of ``GET /api/v5/asset/deposit-history``."""

    ccy: str
    amt: str
    state: str
    tx_id: str
    ts: str
    chain: str = ""
