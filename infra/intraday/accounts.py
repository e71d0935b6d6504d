"""Accounts at venues into the loop: what the venue says counts, as it stands.

Positions, balances, margin and open orders; a snapshot ends what the stream never said the end of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

import pandas as pd

from engine.intraday import (
    AccountOwner,
    CollateralReport,
    LiveBook,
    OrderReport,
    PositionReport,
    VenueReport,
)
from engine.ports import AccountFeed, WorkingOrder
from engine.times import to_nanoseconds
from infra.connections import AccountConnection, Connections
from infra.intraday.feeds import MARKET, STATES, FeedContext
from infra.intraday.reports import Incoming, Report
from infra.venues.following import FollowedAccount, follow_account

_VENUE: Final = "venue"


@dataclass(frozen=True, slots=True)
class HeldThere:
    """What a book has of one account by the venue's word: from its close, or from a life before.

    Attributes
    ----------
    positions, assets : frozenset of str
        Instruments and assets with a quantity other than zero.
    orders : mapping of str to WorkingOrder
        Orders that it takes for open.
    """

    positions: frozenset[str] = frozenset()
    assets: frozenset[str] = frozenset()
    orders: Mapping[str, WorkingOrder] = field(default_factory=dict)


def account_followers(context: FeedContext, connections: Connections) -> list[AccountFollower]:
    """Return who follows each client's account at a venue that is connected."""
    # What is the house's own, or a client pays from, is in no netting set.
    followed = [
        (account, connections.venues[venue].accounts)
        for place, account in sorted(connections.accounts.items())
        if (venue := place.partition("/")[0]) in connections.venues and account.role == "client"
    ]
    there = held_there(context.core.book, {account.account_id for account, _ in followed})
    return [
        AccountFollower(context, account, feed, there[account.account_id])
        for account, feed in followed
    ]


def held_there(book: LiveBook, accounts: set[str]) -> dict[str, HeldThere]:
    """Return what a book has of each of the accounts."""
    if not accounts:
        return {}
    _, positions, collateral = book.inputs()
    instruments = _names(positions.positions, "account_id", "instrument_id", accounts)
    assets = _names(collateral.holdings, "location", "asset", accounts)
    rows = positions.open_orders
    orders: dict[str, dict[str, WorkingOrder]] = {}
    for row in rows[rows["account_id"].isin(accounts)].to_dict(orient="records"):
        name = str(row["order_id"])
        orders.setdefault(str(row["account_id"]), {})[name] = WorkingOrder(
            order_id=name,
            instrument_id=str(row["instrument_id"]),
            side="buy" if row["side"] == "buy" else "sell",
            remaining_quantity=Decimal(repr(float(row["remaining_quantity"]))),
            limit_price=None,
            is_reduce_only=False,
        )
    return {
        name: HeldThere(
            frozenset(instruments.get(name, ())),
            frozenset(assets.get(name, ())),
            orders.get(name, {}),
        )
        for name in accounts
    }


def _names(rows: pd.DataFrame, of: str, name: str, accounts: set[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    own = rows[rows[of].isin(accounts) & (rows["source"] == _VENUE) & (rows["quantity"] != 0.0)]
    for account, each in zip(own[of].astype(str), own[name].astype(str), strict=True):
        found.setdefault(account, set()).add(each)
    return found


class AccountFollower:
    """Holdings of one account at one venue: what the venue says counts, as it stands."""

    def __init__(
        self,
        context: FeedContext,
        account: AccountConnection,
        feed: AccountFeed,
        held: HeldThere | None = None,
    ) -> None:
        self._context, self._account, self._feed = context, account, feed
        held = held or HeldThere()
        # What the book has of this account and the venue names no more is gone: none of it equals
        # what the venue says before it was told once.
        self._positions: dict[str, Decimal | None] = dict.fromkeys(held.positions)
        self._balances: dict[str, Decimal | None] = dict.fromkeys(held.assets)
        self._orders: dict[str, WorkingOrder] = dict(held.orders)
        self._margins: dict[str, tuple[Decimal, Decimal, Decimal]] = {}
        self._n = 0
        self.account_id = account.account_id
        self.is_healed = False

    async def run(self) -> None:
        """Follow the account until cancelled."""
        async for known in follow_account(self._feed, self._account.place):
            # Trusted again only when all of it is in the book.
            if known.health == "live":
                self._take(known)
            self._judge(known)
            self._context.wake()

    def give_up_waiting(self, since_ns: int) -> None:
        """Let decisions begin without this account's first snapshot."""
        if not self.is_healed:
            self.is_healed = True
            self._context.core.trust.distrust(
                "account", self.account_id, "down", since_ns, "no snapshot since the start", MARKET
            )

    def _judge(self, known: FollowedAccount) -> None:
        trust, now = self._context.core.trust, self._context.clock.now().monotonic_ns
        name = self._account.account_id
        if known.health == "live":
            self.is_healed = True
            trust.heal("account", name, now, MARKET)
        elif self.is_healed:
            state = STATES[known.health]
            trust.distrust("account", name, state, now, known.reason[:300], MARKET)

    def _take(self, known: FollowedAccount) -> None:
        at = self._context.clock.now()
        now_ns = to_nanoseconds(at.wall)
        for instrument, held in known.positions.items():
            self._tell(self._positions, instrument, held.quantity, self._position)
        for instrument in sorted(self._positions.keys() - known.positions.keys()):
            self._tell(self._positions, instrument, Decimal(0), self._position)
        for asset, balance in known.balances.items():
            self._tell(self._balances, asset, balance.quantity, self._collateral)
        for asset in sorted(self._balances.keys() - known.balances.keys()):
            self._tell(self._balances, asset, Decimal(0), self._collateral)
        self._take_orders(known.orders)
        for bucket, margin in known.margins.items():
            told = (margin.initial_margin, margin.maintenance_margin, margin.equity)
            if self._margins.get(bucket) != told:
                report = VenueReport(
                    self._account.account_id, bucket, margin.currency,
                    float(margin.initial_margin), float(margin.maintenance_margin),
                    float(margin.equity), now_ns,
                )  # fmt: skip
                self._send(report)
                self._margins[bucket] = told

    def _tell(
        self,
        known: dict[str, Decimal | None],
        name: str,
        quantity: Decimal,
        make: Callable[[str, Decimal], Report],
    ) -> None:
        if known.get(name) != quantity:
            # What the book has refused is not known there, and is told again.
            self._send(make(name, quantity))
            known[name] = quantity

    def _take_orders(self, working: Mapping[str, WorkingOrder]) -> None:
        for name, order in working.items():
            if self._orders.get(name) != order:
                self._send(self._order(order, order.remaining_quantity))
                self._orders[name] = order
        for name in sorted(self._orders.keys() - working.keys()):
            # Filled, cancelled, or a ghost of which the stream never said the end.
            self._send(self._order(self._orders[name], Decimal(0)))
            del self._orders[name]

    def _order(self, order: WorkingOrder, remaining: Decimal) -> Report:
        return OrderReport(
            self._account.account_id, order.order_id, order.instrument_id, order.side,
            float(remaining), self._limit(order), owner=self._owner,
        )  # fmt: skip

    def _limit(self, order: WorkingOrder) -> float:
        if order.limit_price is not None:
            return float(order.limit_price)
        # One without a limit stands at the mark, as it does at a close.
        market = self._context.core.market
        row = market.row_of.get(order.instrument_id, -1)
        mark = float(market.acceptance.state.mark[row]) if row >= 0 else 0.0
        return mark if mark > 0.0 else 0.0

    @property
    def _owner(self) -> AccountOwner:
        return AccountOwner(
            self._account.netting_set_id,
            self._account.client_id,
            self._account.place.partition("/")[0],
        )

    def _position(self, instrument: str, quantity: Decimal) -> Report:
        return PositionReport(
            self._account.account_id, instrument, float(quantity), (_VENUE,), owner=self._owner
        )

    def _collateral(self, asset: str, quantity: Decimal) -> Report:
        # What is owed to the venue is no collateral.
        return CollateralReport(
            self._account.netting_set_id, self._account.account_id, asset,
            max(float(quantity), 0.0), sources=(_VENUE,),
        )  # fmt: skip

    def _send(self, report: Report) -> None:
        self._n += 1
        self._context.core.take_report(
            Incoming(
                source=self._account.place,
                message_id=f"{self._context.process}-{self._n}",
                report=report,
                received_at=self._context.clock.now().wall,
            )
        )
