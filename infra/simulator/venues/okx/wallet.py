"""Funding endpoints of the simulated OKX: transfers, withdrawals, deposits, currencies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from infra.simulator.venues.core.accounts import TRADING, ZERO, Account
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import FaultKind, Scope
from infra.simulator.venues.core.rails import Rails, Withdrawal
from infra.simulator.venues.okx.contracts import CHAINS, CURRENCIES, WITHDRAWAL_FEES, plain
from infra.simulator.venues.okx.errors import DUPLICATE_TRANSFER, ApiError, invalid
from infra.simulator.venues.okx.holdings import FUNDING, funding_bill_payload
from infra.simulator.venues.okx.requests import Call, Endpoint

_WALLETS: Final = {"6": FUNDING, "18": TRADING}
_STATES: Final = {
    "awaiting": "8", "pending": "0", "sent": "1", "completed": "2", "rejected": "-1",
    "cancelled": "-2",
}  # fmt: skip
_PAGE: Final = 100
_KEY_CHARACTERS_MAX: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A transfer that was carried out; ``asker`` is the account whose key made it."""

    trans_id: str
    key: str
    kind: str
    asker: str
    asset: str
    quantity: Decimal
    source: Account
    destination: Account
    wallets: tuple[str, str]
    at: datetime


class Wallet:
    """What ``/api/v5/asset`` answers; sub-accounts are addressed by name."""

    def __init__(self, book: VenueBook, rails: Rails) -> None:
        self._book, self._rails = book, rails
        self._made: list[Made] = []

    def endpoints(self) -> list[Endpoint]:
        """Return method, path, access, limit and answer of each endpoint."""
        asset = "/api/v5/asset/"
        return [
            Endpoint("GET", f"{asset}currencies", True, 12, self._currencies),
            Endpoint("GET", f"{asset}balances", True, 12, self._balances),
            Endpoint("POST", f"{asset}transfer", True, 4, self._transfer),
            Endpoint("GET", f"{asset}transfer-state", True, 20, self._state),
            Endpoint("GET", f"{asset}bills", True, 12, self._bills),
            Endpoint("POST", f"{asset}withdrawal", True, 12, self._withdraw),
            Endpoint("GET", f"{asset}withdrawal-history", True, 12, self._withdrawals),
            Endpoint("GET", f"{asset}deposit-history", True, 12, self._deposits),
            Endpoint("GET", f"{asset}deposit-address", True, 12, self._address),
        ]

    def _currencies(self, call: Call) -> list[Any]:
        wanted = call.parameters.get("ccy")
        return [
            {
                "ccy": asset, "name": asset, "chain": CHAINS[asset], "canDep": True,
                "canWd": True, "canInternal": True, "mainNet": True, "logoLink": "",
                "minDep": "0.0001", "minWd": "0.0001", "maxWd": "1000000", "wdTickSz": "8",
                "wdQuota": "10000000", "usedWdQuota": "0", "fee": plain(WITHDRAWAL_FEES[asset]),
                "minFee": plain(WITHDRAWAL_FEES[asset]), "maxFee": plain(WITHDRAWAL_FEES[asset]),
                "needTag": False, "minDepArrivalConfirm": "1", "minWdUnlockConfirm": "1",
                "depQuotaFixed": "", "usedDepQuotaFixed": "", "depQuoteDailyLayer2": "",
                "burningFeeRate": "",
            }
            for asset in CURRENCIES
            if wanted is None or asset in str(wanted).split(",")
        ]  # fmt: skip

    def _balances(self, call: Call) -> list[Any]:
        account, wanted = call.asker, call.parameters.get("ccy")
        return [
            {"ccy": asset, "bal": plain(account.balance(asset, FUNDING)),
             "availBal": plain(max(account.balance(asset, FUNDING), ZERO)), "frozenBal": "0"}
            for asset in account.assets(FUNDING)
            if wanted is None or asset in str(wanted).split(",")
        ]  # fmt: skip

    def _transfer(self, call: Call) -> list[Any]:
        asker, key, kind = call.asker, call.text("clientId", ""), call.text("type", "0")
        if len(key) > _KEY_CHARACTERS_MAX or (key and not key.isalnum()):
            raise invalid("clientId")
        if key and any(one.key == key for one in self._made):
            raise ApiError(*DUPLICATE_TRANSFER)
        source, destination = self._ends(asker, kind, call.text("subAcct", ""))
        wallets = _WALLETS.get(call.text("from")), _WALLETS.get(call.text("to"))
        if wallets[0] is None or wallets[1] is None:
            raise invalid("from")
        if source is destination and wallets[0] == wallets[1]:
            raise ApiError("58123", "Parameter from and parameter to can not be the same.")
        scope = Scope(venue=self._book.venue, account=source.account_id, endpoint="transfer")
        self._rails.check_open(scope)
        made = Made(
            trans_id=str(self._book.next_id()), key=key, kind=kind, asker=asker.account_id,
            asset=call.text("ccy"), quantity=_amount(call), source=source,
            destination=destination, wallets=(wallets[0], wallets[1]), at=self._book.clock.wall(),
        )  # fmt: skip
        self._book.move(
            source, destination, made.asset, made.quantity, reference=key or made.trans_id,
            wallets=made.wallets,
        )  # fmt: skip
        self._made.append(made)
        return [
            {"transId": made.trans_id, "ccy": made.asset, "clientId": key,
             "from": call.text("from"), "amt": plain(made.quantity), "to": call.text("to")}
        ]  # fmt: skip

    def _state(self, call: Call) -> list[Any]:
        key, trans_id = call.text("clientId", ""), call.text("transId", "")
        if not key and not trans_id:
            raise invalid("transId")
        until = self._hidden_after(call)
        return [
            {
                "amt": plain(one.quantity), "ccy": one.asset, "clientId": one.key, "from": "",
                "instId": "", "state": "success", "subAcct": one.destination.account_id,
                "to": "", "toInstId": "", "transId": one.trans_id, "type": one.kind,
            }
            for one in self._made
            if (one.key == key if key else one.trans_id == trans_id)
            and one.asker == call.asker.account_id
            and one.at.timestamp() <= until
        ]  # fmt: skip

    def _bills(self, call: Call) -> list[Any]:
        key, asset = call.parameters.get("clientId"), call.parameters.get("ccy")
        after = call.whole("after", 1 << 62)
        rows = [
            funding_bill_payload(line)
            for line in reversed(call.asker.lines)
            if line.wallet == FUNDING
            and key in (None, line.reference)
            and asset in (None, line.asset)
        ]
        rows = [row for row in rows if int(str(row["ts"])) < after]
        return rows[: min(call.whole("limit", _PAGE), _PAGE)]

    def _withdraw(self, call: Call) -> list[Any]:
        account, asset, key = call.asker, call.text("ccy"), call.text("clientId", "")
        if account.parent:
            raise ApiError("58209", "Sub-accounts don't support withdrawals.")
        if key and any(one.key == key for one in self._rails.withdrawals.values()):
            raise ApiError(*DUPLICATE_TRANSFER)
        chain = call.text("chain", CHAINS.get(asset, ""))
        address, _, memo = call.text("toAddr").partition(":")
        # The fee is taken on top of the amount.
        quantity = _amount(call) + WITHDRAWAL_FEES.get(asset, ZERO)
        made = self._rails.withdraw(
            account, asset, quantity, address, key=key, network=_network(chain), memo=memo,
            wallet=FUNDING,
        )  # fmt: skip
        return [
            {"amt": call.text("amt"), "wdId": made.withdrawal_id, "ccy": asset, "clientId": key,
             "chain": chain}
        ]  # fmt: skip

    def _withdrawals(self, call: Call) -> list[Any]:
        key, asset = call.parameters.get("clientId"), call.parameters.get("ccy")
        until = self._hidden_after(call)
        return [
            _withdrawal(one)
            for one in reversed(self._rails.withdrawals.values())
            if one.account_id == call.asker.account_id
            and key in (None, one.key)
            and asset in (None, one.asset)
            and one.created_at.timestamp() <= until
        ]

    def _deposits(self, call: Call) -> list[Any]:
        return [
            {
                "actualDepBlkConfirm": "1", "amt": plain(transfer.quantity), "areaCodeFrom": "",
                "ccy": transfer.asset, "chain": CHAINS.get(transfer.asset, ""),
                "depId": transfer.tx_hash[:16], "from": "", "fromWdId": "", "state": "2",
                "to": transfer.address, "ts": _credited_ms(call.asker, transfer.tx_hash),
                "txId": transfer.tx_hash,
            }
            for account_id, transfer in self._rails.deposits
            if account_id == call.asker.account_id
            and call.parameters.get("ccy") in (None, transfer.asset)
            and call.parameters.get("txId") in (None, transfer.tx_hash)
        ]  # fmt: skip

    def _address(self, call: Call) -> list[Any]:
        asset = call.text("ccy")
        chain = CHAINS.get(asset, asset)
        found = self._rails.deposit_address(call.asker, _network(chain), wallet=FUNDING)
        return [
            {"chain": chain, "ctAddr": "", "ccy": asset, "to": "6", "addr": found.address,
             "selected": True}
        ]  # fmt: skip

    def _ends(self, asker: Account, kind: str, sub_account: str) -> tuple[Account, Account]:
        if kind == "0":
            return asker, asker
        if kind in ("1", "2") and asker.parent:
            raise ApiError("58128", "Sub-account API Key does not support this transfer type.")
        if kind in ("3", "4") and not asker.parent:
            raise ApiError("58127", "Main account API Key does not support this transfer type.")
        if kind == "3":
            return asker, self._book.account(asker.parent)
        other = self._book.accounts.get(sub_account)
        if other is None or not other.parent:
            raise ApiError("58115", "Sub-account does not exist.")
        if kind == "2":
            return other, asker
        if kind in ("1", "4"):
            return asker, other
        raise invalid("type")

    def _hidden_after(self, call: Call) -> float:
        scope = Scope(venue=self._book.venue, account=call.asker.account_id, endpoint=call.path)
        stale = self._book.plan.draw(FaultKind.LISTING_STALE, scope)
        now = self._book.clock.wall().timestamp()
        return now if stale is None else now - stale.seconds("seconds", 5.0)


def _credited_ms(account: Account, tx_hash: str) -> str:
    times = [line.at for line in account.lines if line.reference == tx_hash]
    return str(int(times[0].timestamp() * 1000))


def _amount(call: Call) -> Decimal:
    quantity = call.number("amt")
    if quantity <= 0:
        raise ApiError("58114", "Transfer amount must be more than 0")
    return quantity


def _network(chain: str) -> str:
    # The chain of the town is called as elsewhere: BTC-Bitcoin is BTC, USDT-ERC20 is ETH.
    coin, _, kind = chain.partition("-")
    return "ETH" if kind == "ERC20" else coin


def _withdrawal(one: Withdrawal) -> dict[str, object]:
    return {
        "ccy": one.asset, "chain": CHAINS.get(one.asset, ""), "nonTradableAsset": False,
        "amt": plain(one.quantity - one.fee), "ts": str(int(one.created_at.timestamp() * 1000)),
        "from": "", "areaCodeFrom": "", "to": one.address, "areaCodeTo": "", "tag": one.memo,
        "pmtId": "", "memo": "", "addrEx": "", "txId": one.tx_hash, "fee": plain(one.fee),
        "feeCcy": one.asset, "state": _STATES[one.state], "wdId": one.withdrawal_id,
        "clientId": one.key, "note": "",
    }  # fmt: skip
