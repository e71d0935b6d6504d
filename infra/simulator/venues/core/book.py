"""The book of one simulated venue: what its accounts hold, and what may change it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count

from infra.simulator.venues.core.accounts import (
    TRADING,
    ZERO,
    Account,
    Executed,
    LedgerLine,
    Order,
    Position,
    Refused,
)
from infra.simulator.venues.core.clock import TownClock
from infra.simulator.venues.core.faults import FaultKind, FaultPlan, Scope
from infra.simulator.venues.core.liquidation import Liquidated, LiquidationTerms
from infra.simulator.venues.core.listings import Listing
from infra.simulator.venues.core.margins import (
    MarginBucket,
    profit,
    round_down,
    simple_margin,
)
from infra.simulator.venues.core.market import Market, Quote

DECIMALS_MAX = 12
MarginModel = Callable[["VenueBook", Account], Sequence[MarginBucket]]
Listener = Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A trade: signed contracts at a price, and what it realised in the settlement asset."""

    symbol: str
    quantity: Decimal
    fill_price: Decimal
    realised: Decimal
    order_id: str = ""


class VenueBook:
    """Accounts of a venue. Every change of a balance is a line of the history.

    ``decimals`` are those in which an asset is kept here; gains and losses are rounded to them.
    ``liquidation`` is how the venue closes what is below its margin, where the town lets it.
    ``on_change(account_id, what)`` is called after each change, ``what`` being ``balance``,
    ``position`` or ``order``, so that a protocol can publish it.
    """

    def __init__(
        self,
        venue: str,
        market: Market,
        listings: Sequence[Listing],
        margin_model: MarginModel = simple_margin,
        decimals: Mapping[str, int] | None = None,
        liquidation: LiquidationTerms | None = None,
    ) -> None:
        self.venue = venue
        self.market = market
        self.listings = {listing.symbol: listing for listing in listings}
        self.accounts: dict[str, Account] = {}
        self.executed: list[Executed] = []
        self.on_change: list[Listener] = []
        self.liquidation = liquidation or LiquidationTerms()
        self.liquidations: list[Liquidated] = []
        self.looked_at = 0.0
        self._margin_model = margin_model
        self._decimals = dict(decimals or {})
        self._ids = count(1)

    @property
    def clock(self) -> TownClock:
        """Return the town's clock."""
        return self.market.clock

    @property
    def plan(self) -> FaultPlan:
        """Return the town's faults."""
        return self.market.plan

    def open_account(self, account_id: str, *, parent: str = "", name: str = "") -> Account:
        """Open an account; the parent of a sub-account is the main account."""
        account = Account(account_id, parent=parent, name=name or account_id)
        self.accounts[account_id] = account
        return account

    def account(self, account_id: str) -> Account:
        """Return an account; raises Refused if it is unknown or suspended."""
        found = self.accounts.get(account_id)
        if found is None:
            raise Refused("account", f"no account {account_id}")
        if self.plan.draw(FaultKind.SUSPENDED, Scope(venue=self.venue, account=account_id)):
            raise Refused("account", f"account {account_id} is suspended")
        return found

    def next_id(self) -> int:
        """Return an identifier that no line, order or transfer of the venue has had."""
        return next(self._ids)

    def record(self, key: str, kind: str, account_id: str, **details: object) -> None:
        """Note that something was carried out under a client's key: the oracle of tests."""
        self.executed.append(Executed(key=key, kind=kind, account_id=account_id, details=details))

    def times_executed(self, key: str) -> int:
        """Return how often anything was carried out under a key."""
        return sum(1 for done in self.executed if done.key == key)

    def adjust(
        self,
        account: Account,
        asset: str,
        change: Decimal,
        kind: str,
        *,
        wallet: str = TRADING,
        reference: str = "",
        details: Mapping[str, object] | None = None,
    ) -> LedgerLine:
        """Change a balance and write the line that says why."""
        after = account.balance(asset, wallet) + change
        account.balances[(wallet, asset)] = after
        account.sequence += 1
        line = LedgerLine(
            line_id=self.next_id(), account_id=account.account_id, wallet=wallet, asset=asset,
            change=change, balance_after=after, kind=kind, at=self.clock.wall(),
            reference=reference, details=details or {},
        )  # fmt: skip
        account.lines.append(line)
        self._changed(account, "balance")
        return line

    def move(
        self, source: Account, destination: Account, asset: str, quantity: Decimal,
        *, reference: str, wallets: tuple[str, str] = (TRADING, TRADING),
        details: Mapping[str, object] | None = None,
    ) -> None:  # fmt: skip
        """Move an asset between two accounts or wallets of the venue.

        Raises
        ------
        Refused
            ``funds`` if less is available, ``other`` if the quantity is not above zero.
        """
        if quantity <= 0:
            raise Refused("other", f"quantity must be above 0, found {quantity}")
        available = self.available(source, asset, wallets[0])
        if quantity > available:
            raise Refused("funds", f"{source.account_id} has {available} {asset} available")
        note = {**(details or {}), "other": destination.account_id}
        self.adjust(source, asset, -quantity, "transfer", wallet=wallets[0],
                    reference=reference, details=note)  # fmt: skip
        scope = Scope(venue=self.venue, account=destination.account_id, endpoint="transfer")
        if self.plan.draw(FaultKind.CREDIT_MISSING, scope) is None:
            note = {**note, "other": source.account_id}
            self.adjust(destination, asset, quantity, "transfer", wallet=wallets[1],
                        reference=reference, details=note)  # fmt: skip
        self.record(reference, "transfer", source.account_id, asset=asset, quantity=quantity,
                    destination=destination.account_id)  # fmt: skip

    def available(self, account: Account, asset: str, wallet: str = TRADING) -> Decimal:
        """Return what may leave a wallet: the balance, in trading less losses and margin."""
        balance = account.balance(asset, wallet)
        if wallet != TRADING:
            return max(balance, ZERO)
        for bucket in self.margins(account):
            if bucket.currency == asset:
                balance = min(balance, bucket.equity - bucket.initial_margin)
        return max(balance, ZERO)

    def margins(self, account: Account) -> Sequence[MarginBucket]:
        """Return margin and equity by bucket, as the venue reports them."""
        return self._margin_model(self, account)

    def rate_factor(self) -> Decimal:
        """Return what margin rates are multiplied by now (a change of the model by a fault)."""
        fault = self.plan.draw(FaultKind.MARGIN_MODEL_CHANGED, Scope(venue=self.venue))
        return Decimal(1) if fault is None else fault.number("factor", "2")

    def quote(self, symbol: str) -> Quote:
        """Return present prices of a listing; raises Refused if there is none."""
        return self.market.quote(self.listing(symbol), self.venue)

    def round_cash(self, asset: str, quantity: Decimal) -> Decimal:
        """Return a gain or loss in whole smallest units of its asset, toward zero."""
        return round_down(quantity, self._decimals.get(asset, DECIMALS_MAX))

    def keep_decimals(self, decimals: Mapping[str, int]) -> None:
        """Keep assets in so many decimals from now on."""
        self._decimals |= decimals

    def listing(self, symbol: str) -> Listing:
        """Return a listing; raises Refused if there is none."""
        found = self.listings.get(symbol)
        if found is None:
            raise Refused("instrument", f"no instrument {symbol}")
        return found

    def unrealised(self, account: Account, position: Position) -> Decimal:
        """Return the open profit of a position at the mark. [settlement asset]"""
        listing = self.listing(position.symbol)
        mark = self.quote(position.symbol).mark_price
        return profit(listing, position.quantity, position.entry_price, mark)

    def fill(
        self, account: Account, symbol: str, quantity: Decimal, fill_price: Decimal,
        *, kind: str = "trade", order: Order | None = None,
    ) -> Fill:  # fmt: skip
        """Trade signed contracts: cash, entry price and realised profit follow."""
        listing = self.listing(symbol)
        position = account.positions.setdefault(symbol, Position(symbol))
        realised = _apply(listing, position, quantity, fill_price)
        reference = order.key if order is not None else ""
        note: dict[str, object] = {
            "symbol": symbol, "quantity": quantity, "price": fill_price,
            "position": position.quantity, "order_id": order.order_id if order else "",
        }  # fmt: skip
        cash = realised
        if listing.kind in ("spot", "option"):
            cash = -quantity * listing.contract_multiplier * fill_price
        cash = self.round_cash(listing.settlement_asset, cash)
        self.adjust(account, listing.settlement_asset, cash, kind, reference=reference,
                    details=note)  # fmt: skip
        if listing.kind == "spot":
            self.adjust(account, listing.underlying, quantity, kind, reference=reference,
                        details=note)  # fmt: skip
            position.quantity = ZERO
        self._changed(account, "position")
        order_id = order.order_id if order is not None else ""
        return Fill(symbol=symbol, quantity=quantity, fill_price=fill_price, realised=realised,
                    order_id=order_id)  # fmt: skip

    def order_changed(self, account: Account) -> None:
        """Tell listeners that an order changed."""
        self._changed(account, "order")

    def _changed(self, account: Account, what: str) -> None:
        for listener in self.on_change:
            listener(account.account_id, what)


def _apply(listing: Listing, position: Position, quantity: Decimal, price: Decimal) -> Decimal:
    before, after = position.quantity, position.quantity + quantity
    closing = ZERO
    if before * quantity < 0:
        closing = min(abs(before), abs(quantity)) * (1 if before > 0 else -1)
    realised = profit(listing, closing, position.entry_price, price)
    if before * after <= 0 and after:
        position.entry_price = price
    elif abs(after) > abs(before):
        position.entry_price = _average(listing, position, quantity, price)
    position.quantity = after
    position.realised += realised
    return realised


def _average(listing: Listing, position: Position, quantity: Decimal, price: Decimal) -> Decimal:
    total = position.quantity + quantity
    if listing.is_inverse_future:
        # What is held in coin at entry stays the same, hence the harmonic mean.
        return total / (position.quantity / position.entry_price + quantity / price)
    return (position.quantity * position.entry_price + quantity * price) / total
