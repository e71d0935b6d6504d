"""Endpoints under ``/sapi`` and ``/api``: transfers, withdrawals, deposits, the spot wallet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from infra.simulator.venues.binance.contracts import (
    NETWORKS,
    WALLET_ASSETS,
    WITHDRAWAL_FEES,
    figure,
)
from infra.simulator.venues.binance.errors import DUPLICATE_TRANSFER, ApiError, missing
from infra.simulator.venues.binance.requests import Call, Endpoint
from infra.simulator.venues.core.accounts import TRADING, Account, Refused
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.core.margins import round_down
from infra.simulator.venues.core.rails import Rails, Withdrawal

SPOT: Final = "spot"
_WALLETS: Final = {"SPOT": SPOT, "USDT_FUTURE": TRADING}
_MOVES: Final = {"MAIN_UMFUTURE": (SPOT, TRADING), "UMFUTURE_MAIN": (TRADING, SPOT)}
_STATES: Final = {
    "awaiting": 2, "pending": 4, "sent": 4, "completed": 6, "rejected": 3, "cancelled": 1,
}  # fmt: skip
_KEY_CHARACTERS_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A transfer that was carried out."""

    tran_id: int
    key: str
    asset: str
    quantity: Decimal
    source: Account
    destination: Account
    wallets: tuple[str, str]
    at: datetime


class Wallet:
    """What ``/sapi`` and ``/api`` answer; accounts are addressed by email."""

    def __init__(self, book: VenueBook, rails: Rails, emails: dict[str, str]) -> None:
        self._book, self._rails, self._emails = book, rails, emails
        self._made: list[Made] = []

    def endpoints(self) -> list[Endpoint]:
        """Return method, path, access, weight and answer of each endpoint."""
        transfer, move = "/sapi/v1/sub-account/universalTransfer", "/sapi/v1/asset/transfer"
        return [
            Endpoint("POST", transfer, "signed", 360, self._universal),
            Endpoint("GET", transfer, "signed", 15, self._universal_history),
            Endpoint("POST", move, "signed", 900, self._move),
            Endpoint("GET", move, "signed", 15, self._move_history),
            Endpoint("POST", "/sapi/v1/capital/withdraw/apply", "signed", 900, self._withdraw),
            Endpoint("GET", "/sapi/v1/capital/withdraw/history", "signed", 300, self._withdrawals),
            Endpoint("GET", "/sapi/v1/capital/deposit/hisrec", "signed", 15, self._deposits),
            Endpoint("GET", "/sapi/v1/capital/deposit/address", "signed", 150, self._address),
            Endpoint("GET", "/sapi/v1/capital/config/getall", "signed", 150, self._coins),
            Endpoint("GET", "/sapi/v1/sub-account/list", "signed", 15, self._sub_accounts),
            Endpoint("GET", "/sapi/v1/margin/allPairs", "key", 15, lambda _: []),
            Endpoint("GET", "/sapi/v1/margin/isolated/allPairs", "key", 15, lambda _: []),
            Endpoint("GET", "/sapi/v1/system/status", "public", 15, self._status),
            Endpoint("GET", "/api/v3/account", "signed", 300, self._spot),
            Endpoint("GET", "/api/v3/time", "public", 15, self._time),
        ]

    def _time(self, _: Call) -> object:
        return {"serverTime": self._book.clock.wall_ms()}

    def _status(self, _: Call) -> object:
        return {"status": 0, "msg": "normal"}

    def _spot(self, call: Call) -> object:
        account = call.asker
        return {
            "makerCommission": 10, "takerCommission": 10, "canTrade": True, "canWithdraw": True,
            "canDeposit": True, "updateTime": self._book.clock.wall_ms(), "accountType": "SPOT",
            "balances": [
                {"asset": asset, "free": figure(account.balance(asset, SPOT)),
                 "locked": "0.00000000"}
                for asset in account.assets(SPOT) if account.balance(asset, SPOT)
            ],
            "permissions": ["SPOT"],
        }  # fmt: skip

    def _universal(self, call: Call) -> object:
        master = _require_master(call)
        key, asset, quantity = call.text("clientTranId", ""), call.text("asset"), _amount(call)
        kinds = (call.text("fromAccountType"), call.text("toAccountType"))
        emails = call.parameters.get("fromEmail", ""), call.parameters.get("toEmail", "")
        if kinds[0] == kinds[1] and not any(emails):
            raise missing("toEmail")
        if len(key) > _KEY_CHARACTERS_MAX:
            raise ApiError(-4114, "Client tran id length should be less than 64 chars.")
        if key and any(one.key == key for one in self._made):
            raise ApiError(*DUPLICATE_TRANSFER)
        made = self._carry_out(
            Made(
                tran_id=self._book.next_id(), key=key, asset=asset, quantity=quantity,
                source=self._by_email(emails[0], master),
                destination=self._by_email(emails[1], master),
                wallets=(_wallet(kinds[0]), _wallet(kinds[1])), at=self._book.clock.wall(),
            )
        )  # fmt: skip
        return {"tranId": made.tran_id, "clientTranId": key}

    def _universal_history(self, call: Call) -> object:
        _require_master(call)
        key = call.parameters.get("clientTranId")
        rows = [
            {
                "tranId": one.tran_id, "fromEmail": self._emails[one.source.account_id],
                "toEmail": self._emails[one.destination.account_id], "asset": one.asset,
                "amount": figure(one.quantity),
                "createTimeStamp": int(one.at.timestamp() * 1000),
                "fromAccountType": _kind(one.wallets[0]), "toAccountType": _kind(one.wallets[1]),
                "status": "SUCCESS", "clientTranId": one.key,
            }
            for one in self._shown(call)
            if key in (None, one.key)
        ]  # fmt: skip
        return {"result": rows[-call.whole("limit", 500) :], "totalCount": len(rows)}

    def _move(self, call: Call) -> object:
        wallets = _MOVES.get(call.text("type"))
        if wallets is None:
            raise ApiError(-1102, f"Transfer type {call.text('type')} is not supported.")
        account = call.asker
        made = self._carry_out(
            Made(
                tran_id=self._book.next_id(), key="", asset=call.text("asset"),
                quantity=_amount(call), source=account, destination=account, wallets=wallets,
                at=self._book.clock.wall(),
            )
        )  # fmt: skip
        return {"tranId": made.tran_id}

    def _move_history(self, call: Call) -> object:
        wallets = _MOVES.get(call.text("type"))
        rows = [
            {
                "asset": one.asset, "amount": figure(one.quantity), "type": call.text("type"),
                "status": "CONFIRMED", "tranId": one.tran_id,
                "timestamp": int(one.at.timestamp() * 1000),
            }
            for one in self._shown(call)
            if one.source is call.asker and one.wallets == wallets
        ]  # fmt: skip
        return {"total": len(rows), "rows": rows}

    def _withdraw(self, call: Call) -> object:
        account = _require_master(call)
        key, address = call.text("withdrawOrderId", ""), call.text("address")
        scope = Scope(venue=self._book.venue, account=account.account_id, endpoint=call.path)
        # Nothing in the documentation says that a repeated identifier is refused, so it is not.
        if key and self._book.plan.draw(FaultKind.DUPLICATE_KEY_REJECTED, scope):
            known = [one.key for one in self._rails.withdrawals.values()]
            if key in known:
                raise ApiError(-4115, "Duplicate withdrawOrderId.")
        made = self._rails.withdraw(
            account, call.text("coin"), _amount(call), address, key=key,
            network=call.text("network", NETWORKS.get(call.text("coin"), "")),
            memo=call.text("addressTag", ""), wallet=SPOT,
        )  # fmt: skip
        return {"id": made.withdrawal_id}

    def _withdrawals(self, call: Call) -> object:
        key, coin = call.parameters.get("withdrawOrderId"), call.parameters.get("coin")
        since = call.whole("startTime", 0)
        hidden_after = self._hidden_after(call)
        return [
            _withdrawal(one)
            for one in self._rails.withdrawals.values()
            if one.account_id == call.asker.account_id
            and key in (None, one.key)
            and coin in (None, one.asset)
            and since <= int(one.created_at.timestamp() * 1000)
            and one.created_at.timestamp() <= hidden_after
        ]

    def _deposits(self, call: Call) -> object:
        coin, account = call.parameters.get("coin"), call.asker
        return [
            {
                "id": transfer.tx_hash[:16], "amount": figure(transfer.quantity),
                "coin": transfer.asset, "network": transfer.network, "status": 1,
                "address": transfer.address, "addressTag": transfer.memo,
                "txId": transfer.tx_hash, "insertTime": _credited_ms(account, transfer.tx_hash),
                "transferType": 0, "confirmTimes": "1/1", "walletType": 0,
            }
            for account_id, transfer in self._rails.deposits
            if account_id == account.account_id and coin in (None, transfer.asset)
            and _credited_ms(account, transfer.tx_hash) >= call.whole("startTime", 0)
            and call.parameters.get("txId") in (None, transfer.tx_hash)
        ]  # fmt: skip

    def _address(self, call: Call) -> object:
        coin = call.text("coin")
        network = call.text("network", NETWORKS.get(coin, coin))
        found = self._rails.deposit_address(call.asker, network, wallet=SPOT)
        return {"coin": coin, "address": found.address, "tag": found.memo, "url": ""}

    def _coins(self, _: Call) -> object:
        return [
            {
                "coin": asset, "depositAllEnable": True, "withdrawAllEnable": True, "name": asset,
                "free": "0", "locked": "0", "freeze": "0", "trading": True, "isLegalMoney": False,
                "networkList": [
                    {
                        "network": NETWORKS[asset], "coin": asset, "isDefault": True,
                        "depositEnable": True, "withdrawEnable": True, "name": NETWORKS[asset],
                        "withdrawFee": str(WITHDRAWAL_FEES[asset]), "withdrawMin": "0.0001",
                        "withdrawMax": "1000000", "minConfirm": 1, "unLockConfirm": 1,
                        "withdrawIntegerMultiple": "0.00000001",
                    }
                ],
            }
            for asset in WALLET_ASSETS
        ]  # fmt: skip

    def _sub_accounts(self, call: Call) -> object:
        master = _require_master(call)
        return {
            "subAccounts": [
                {"email": self._emails[account_id], "isFreeze": False,
                 "createTime": 1_600_000_000_000, "isManagedSubAccount": False,
                 "isAssetManagementSubAccount": False}
                for account_id, account in self._book.accounts.items()
                if account.parent == master.account_id
            ]
        }  # fmt: skip

    def _carry_out(self, wanted: Made) -> Made:
        scope = Scope(venue=self._book.venue, account=wanted.source.account_id, endpoint="transfer")
        self._rails.check_open(scope)
        if wanted.source is wanted.destination and wanted.wallets[0] == wanted.wallets[1]:
            raise Refused("other", "source and destination are the same")
        self._book.move(
            wanted.source, wanted.destination, wanted.asset, wanted.quantity,
            reference=wanted.key or str(wanted.tran_id), wallets=wanted.wallets,
            details={"tran_id": wanted.tran_id},
        )  # fmt: skip
        self._made.append(wanted)
        return wanted

    def _shown(self, call: Call) -> list[Made]:
        until = self._hidden_after(call)
        return [one for one in self._made if one.at.timestamp() <= until]

    def _hidden_after(self, call: Call) -> float:
        scope = Scope(venue=self._book.venue, account=call.asker.account_id, endpoint=call.path)
        stale = self._book.plan.draw(FaultKind.LISTING_STALE, scope)
        now = self._book.clock.wall().timestamp()
        return now if stale is None else now - stale.seconds("seconds", 5.0)

    def _by_email(self, email: str, master: Account) -> Account:
        if not email:
            return master
        for account_id, known in self._emails.items():
            if known == email:
                return self._book.account(account_id)
        raise ApiError(-12017, "The sub-account does not exist.")


def _credited_ms(account: Account, tx_hash: str) -> int:
    times = [line.at for line in account.lines if line.reference == tx_hash]
    return int(times[0].timestamp() * 1000)


def _require_master(call: Call) -> Account:
    if call.asker.parent:
        raise ApiError(-12002, "This endpoint is for master accounts only.")
    return call.asker


def _amount(call: Call) -> Decimal:
    quantity = call.number("amount")
    if quantity <= 0 or quantity != round_down(quantity, 8):
        raise ApiError(-1111, "Precision is over the maximum defined for this asset.")
    return quantity


def _wallet(kind: str) -> str:
    found = _WALLETS.get(kind)
    if found is None:
        raise ApiError(-1102, f"Account type {kind} is not supported.")
    return found


def _kind(wallet: str) -> str:
    return "SPOT" if wallet == SPOT else "USDT_FUTURE"


def _withdrawal(one: Withdrawal) -> dict[str, object]:
    return {
        "id": one.withdrawal_id, "amount": figure(one.quantity - one.fee),
        "transactionFee": figure(one.fee), "coin": one.asset, "status": _STATES[one.state],
        "address": one.address, "addressTag": one.memo, "txId": one.tx_hash,
        "applyTime": one.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "network": one.network, "transferType": 0, "withdrawOrderId": one.key, "info": "",
        "confirmNo": 1, "walletType": 0, "txKey": "",
    }  # fmt: skip
