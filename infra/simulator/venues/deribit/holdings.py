"""Private reads of the simulated Deribit: margin, positions, orders, history, what-if."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from infra.simulator.venues.core.accounts import Account, LedgerLine, Order, Position
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.core.margins import (
    MarginBucket,
    position_margin,
    position_value,
    round_down,
    round_up,
)
from infra.simulator.venues.deribit import contracts
from infra.simulator.venues.deribit.errors import RpcError, invalid
from infra.simulator.venues.deribit.rpc import Call, Method

_ZERO: Final = Decimal("0.0")
_LOG_COUNT_MAX: Final = 250
_KINDS: Final = {"socialized_fund": "socialized_fund", "funding": "settlement", "adl": "trade"}


class HoldingMethods:
    """What an account has."""

    def __init__(self, book: VenueBook) -> None:
        self._book = book
        self._shown: dict[str, object] = {}

    def methods(self) -> dict[str, Method]:
        """Return methods by name."""
        return {
            "private/get_account_summary": self.summary,
            "private/get_account_summaries": self.summaries,
            "private/get_positions": self.positions,
            "private/get_position": self.position,
            "private/get_subaccounts": self.subaccounts,
            "private/get_transaction_log": self.log,
            "private/simulate_portfolio": self.simulate,
        }

    def summary(self, call: Call) -> object:
        """Return margin and balances in one currency."""
        account = self._subject(call)
        currency = call.text("currency")
        told = self.portfolio(account, currency)
        return {**self._identity(account), **told} if call.flag("extended") else told

    def summaries(self, call: Call) -> object:
        """Return margin and balances in all currencies."""
        account = self._subject(call)
        listed = [self.portfolio(account, currency) for currency in contracts.CURRENCIES]
        scope = Scope(venue=self._book.venue, account=account.account_id, endpoint=call.method)
        if self._book.plan.draw(FaultKind.PARTIAL_PAGE, scope):
            listed = listed[1:]
        told: dict[str, object] = {"summaries": listed}
        return {**self._identity(account), **told} if call.flag("extended") else told

    def portfolio(
        self, account: Account, currency: str, buckets: Sequence[MarginBucket] | None = None
    ) -> dict[str, object]:
        """Return the figures of a currency as summaries and ``user.portfolio`` show them."""
        if currency not in contracts.CURRENCIES:
            raise invalid("currency", f"no currency {currency}")
        found = buckets if buckets is not None else self._book.margins(account)
        bucket = next((one for one in found if one.currency == currency), None)
        places = contracts.DECIMALS[currency]
        if bucket is None:
            bucket = MarginBucket(
                bucket=currency, currency=currency, initial_margin=_ZERO, maintenance_margin=_ZERO,
                equity=account.balance(currency), balance=account.balance(currency),
                unrealised=_ZERO,
            )  # fmt: skip
        initial = round_up(bucket.initial_margin, places)
        maintenance = round_up(bucket.maintenance_margin, places)
        equity = round_down(bucket.equity, places)
        free = round_down(max(equity - initial, _ZERO), places)
        withdrawable = min(free, max(bucket.balance, _ZERO))
        return {
            "currency": currency, "balance": bucket.balance, "equity": equity,
            "margin_balance": equity, "initial_margin": initial,
            "maintenance_margin": maintenance, "available_funds": free,
            "available_withdrawal_funds": withdrawable, "projected_initial_margin": initial,
            "projected_maintenance_margin": maintenance, "total_pl": round_down(
                bucket.unrealised, places), "session_upl": round_down(bucket.unrealised, places),
            "session_rpl": _ZERO, "futures_pl": round_down(bucket.unrealised, places),
            "futures_session_upl": _ZERO, "futures_session_rpl": _ZERO, "options_pl": _ZERO,
            "options_session_upl": _ZERO, "options_session_rpl": _ZERO, "options_value": _ZERO,
            "options_delta": _ZERO, "options_gamma": _ZERO, "options_vega": _ZERO,
            "options_theta": _ZERO, "delta_total": _ZERO, "projected_delta_total": _ZERO,
            "delta_total_map": {}, "fee_balance": _ZERO, "spot_reserve": _ZERO,
            "locked_balance": _ZERO, "additional_reserve": _ZERO,
            "margin_model": "segregated_sm", "portfolio_margining_enabled": False,
            "cross_collateral_enabled": False,
        }  # fmt: skip

    def positions(self, call: Call) -> object:
        """Return open positions, of a currency and kind if asked."""
        account = self._subject(call)
        scope = Scope(venue=self._book.venue, account=account.account_id, endpoint=call.method)
        currency, kind = call.text("currency", "any"), call.text("kind", "any")
        held = [
            self.position_of(position)
            for position in account.open_positions()
            if currency in ("any", self._book.listing(position.symbol).settlement_asset)
            and kind in ("any", contracts.wire_kind(self._book.listing(position.symbol)))
        ]
        if self._book.plan.draw(FaultKind.TORN_SNAPSHOT, scope):
            return []
        if self._book.plan.draw(FaultKind.OLD_SNAPSHOT, scope):
            return self._shown.get(account.account_id, held)
        self._shown[account.account_id] = held
        return held

    def position(self, call: Call) -> object:
        """Return one position."""
        found = self._subject(call).positions.get(call.text("instrument_name"))
        if found is None:
            raise RpcError((13020, "not_found"))
        return self.position_of(found)

    def position_of(self, position: Position) -> dict[str, object]:
        """Return a position as Deribit shows it: ``size`` in USD or coins, not contracts."""
        listing = self._book.listing(position.symbol)
        quote = self._book.quote(position.symbol)
        initial, maintenance = position_margin(self._book, position.symbol, position.quantity)
        sign = 1 if position.quantity >= 0 else -1
        value = position_value(listing, position.quantity, quote.mark_price) * sign
        account = Account("")
        open_profit = round_down(self._book.unrealised(account, position), 9)
        told: dict[str, object] = {
            "average_price": round_down(position.entry_price, 8), "delta": value,
            "direction": "buy" if position.quantity > 0 else
            "sell" if position.quantity < 0 else "zero",
            "floating_profit_loss": open_profit, "index_price": quote.index_price,
            "initial_margin": initial, "instrument_name": position.symbol,
            "kind": contracts.wire_kind(listing), "maintenance_margin": maintenance,
            "mark_price": quote.mark_price, "open_orders_margin": _ZERO,
            "realized_profit_loss": round_down(position.realised, 9),
            "settlement_price": quote.mark_price,
            "size": position.quantity * contracts.contract_size(listing),
            "total_profit_loss": open_profit,
        }  # fmt: skip
        if listing.kind != "option":
            told |= {"size_currency": value, "leverage": 50, "realized_funding": _ZERO,
                     "estimated_liquidation_price": None, "interest_value": _ZERO}  # fmt: skip
        return told

    def subaccounts(self, call: Call) -> object:
        """Return the main account and its sub-accounts."""
        asker = call.asker
        main = asker.parent or asker.account_id
        listed = [
            {
                "id": int(a.account_id), "type": "subaccount" if a.parent else "main",
                "username": a.name, "system_name": a.name, "email": f"{a.name}@example.com",
                "is_password": True, "login_enabled": False, "receive_notifications": False,
                "margin_model": "segregated_sm",
            }
            for a in self._book.accounts.values()
            if main in (a.account_id, a.parent)
        ]  # fmt: skip
        scope = Scope(venue=self._book.venue, account=main, endpoint=call.method)
        return listed[:-1] if self._book.plan.draw(FaultKind.PARTIAL_PAGE, scope) else listed

    def log(self, call: Call) -> object:
        """Return lines of a currency newest first, and where older ones continue."""
        account = self._subject(call)
        currency = call.text("currency")
        start, end = call.whole("start_timestamp", 0), call.whole("end_timestamp", 2**53)
        count = min(max(call.whole("count", 100), 1), _LOG_COUNT_MAX)
        below = call.whole("continuation", 2**53)
        lines = [
            (sequence, line)
            for sequence, line in enumerate(account.lines, 1)
            if currency in ("any", line.asset)
            and start <= int(line.at.timestamp() * 1000) <= end
            and line.line_id <= below
        ]
        lines.reverse()
        page, rest = lines[:count], lines[count:]
        scope = Scope(venue=self._book.venue, account=account.account_id, endpoint=call.method)
        if page and self._book.plan.draw(FaultKind.PARTIAL_PAGE, scope):
            page = [*page[:1], *page[2:]] if len(page) > 1 else []
        return {
            "logs": [_log_line(account, sequence, line) for sequence, line in page],
            "continuation": rest[0][1].line_id if rest else None,
        }

    def simulate(self, call: Call) -> object:
        """Return the summary of a currency if positions were added (or were all there is)."""
        account = self._subject(call)
        raw = call.parameters.get("simulated_positions", {})
        changes = json.loads(raw, parse_float=Decimal) if isinstance(raw, str) else raw
        if not isinstance(changes, dict):
            raise invalid("simulated_positions", "not an object")
        imagined = Account(account.account_id, balances=dict(account.balances))
        if str(call.parameters.get("add_positions", True)).lower() == "true":
            for held in account.open_positions():
                imagined.positions[held.symbol] = Position(
                    held.symbol, held.quantity, held.entry_price
                )
        for symbol, size in changes.items():
            listing = self._book.listing(symbol)
            mark = self._book.quote(symbol).mark_price
            place = imagined.positions.setdefault(symbol, Position(symbol, entry_price=mark))
            place.quantity += Decimal(str(size)) / contracts.contract_size(listing)
        return self.portfolio(imagined, call.text("currency"), self._book.margins(imagined))

    def _subject(self, call: Call) -> Account:
        # The main account may read its sub-accounts.
        wanted = call.text("subaccount_id", "")
        if not wanted or wanted == call.asker.account_id:
            return call.asker
        account = self._book.account(wanted)
        if account.parent != call.asker.account_id:
            raise RpcError((13021, "forbidden"), status=403)
        return account

    def _identity(self, account: Account) -> dict[str, object]:
        return {
            "id": int(account.account_id), "email": f"{account.name}@example.com",
            "system_name": account.name, "username": account.name, "referrer_id": None,
            "type": "subaccount" if account.parent else "main", "login_enabled": False,
            "security_keys_enabled": False, "mmp_enabled": False,
            "interuser_transfers_enabled": False, "creation_timestamp": 1687352432143,
            "self_trading_reject_mode": "cancel_maker",
            "self_trading_extended_to_subaccounts": False,
        }  # fmt: skip


def order_of(book: VenueBook, order: Order) -> dict[str, object]:
    """Return an order as Deribit shows it."""
    size = contracts.contract_size(book.listing(order.symbol))
    stamp = int(order.placed_at.timestamp() * 1000)
    return {
        "time_in_force": "immediate_or_cancel" if order.is_immediate else "good_til_cancelled",
        "reduce_only": order.is_reduce_only,
        "price": order.limit_price if order.limit_price is not None else "market_price",
        "post_only": False, "order_type": "market" if order.limit_price is None else "limit",
        "order_state": order.state, "order_id": order.order_id, "label": order.key,
        "max_show": order.quantity * size, "last_update_timestamp": stamp,
        "is_rebalance": False, "is_liquidation": False, "instrument_name": order.symbol,
        "filled_amount": order.filled * size, "direction": order.side, "replaced": False,
        "creation_timestamp": stamp, "average_price": order.average_price or _ZERO,
        "api": True, "web": False, "amount": order.quantity * size, "contracts": order.quantity,
    }  # fmt: skip


def _log_line(account: Account, sequence: int, line: LedgerLine) -> dict[str, object]:
    details = line.details
    return {
        "id": line.line_id, "user_id": int(account.account_id), "user_seq": sequence,
        "username": account.name, "type": _KINDS.get(line.kind, line.kind), "currency": line.asset,
        "timestamp": int(line.at.timestamp() * 1000), "change": line.change,
        "cashflow": line.change, "balance": line.balance_after, "equity": line.balance_after,
        "commission": _ZERO, "side": "-", "price": details.get("price"),
        "position": details.get("position"), "instrument_name": details.get("symbol"),
        "order_id": details.get("order_id") or None, "trade_id": None, "interest_pl": None,
        "info": _log_info(line),
    }  # fmt: skip


def _log_info(line: LedgerLine) -> object:
    details = line.details
    if line.kind == "transfer":
        other = str(details["other"])
        return {"transfer_type": "subaccount", "other_user": other, "other_user_id": int(other)}
    if line.kind == "deposit":
        address = details.get("address", "")
        return {"transaction": line.reference, "deposit_type": "wallet", "addr": address}
    if line.kind == "withdrawal":
        return {"withdrawal_id": details["id"], "addr": details["address"]}
    return "Source: api" if line.kind == "trade" else {}
