"""The simulated Binance: a master account with a spot wallet, two sub-accounts, USD-M futures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from aiohttp import web

from infra.simulator.venues.binance import contracts
from infra.simulator.venues.binance.futures import Futures
from infra.simulator.venues.binance.identity import ApiKey, Identity
from infra.simulator.venues.binance.requests import Desk
from infra.simulator.venues.binance.streams import Streams
from infra.simulator.venues.binance.wallet import SPOT, Wallet
from infra.simulator.venues.core.accounts import TRADING
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.liquidation import LiquidationTerms
from infra.simulator.venues.core.rails import Rails
from infra.simulator.venues.core.town import VenueTown
from infra.simulator.venues.core.wire import fault_middleware

NAME: Final = "binance"
MAIN: Final = "main"
_FUNDS: Final = {
    MAIN: {
        (SPOT, "USDT"): "2000000", (SPOT, "BTC"): "25", (SPOT, "ETH"): "300",
        (TRADING, "USDT"): "250000",
    },
    "alpha": {(TRADING, "USDT"): "400000", (TRADING, "USDC"): "50000"},
    "beta": {(TRADING, "USDT"): "300000"},
}  # fmt: skip
_HELD: Final = {
    "alpha": {"BTCUSDT": "10", "ETHUSDT": "-120.5", "SOLUSDC": "400"},
    "beta": {"BTCUSDT": "-6.25", "SOLUSDT": "-1500"},
}


class BinanceVenue:
    """Accounts, keys and the server of the simulated Binance."""

    def __init__(self, town: VenueTown) -> None:
        self.name = NAME
        # Lines show eight decimals, so that is how exact a balance is.
        self.book = VenueBook(
            NAME,
            town.market,
            contracts.listings(town.clock.started_at, has_brackets=town.parameters.has_brackets),
            decimals=dict.fromkeys(contracts.WALLET_ASSETS, 8),
            liquidation=LiquidationTerms(fee={"*": contracts.LIQUIDATION_FEE}),
        )
        self.rails = Rails(self.book, town.chain, dict(contracts.WITHDRAWAL_FEES))
        self.identity = Identity(self.book)
        self.emails: dict[str, str] = {}
        self._desk = Desk(self.book, self.identity)
        self._futures = Futures(self.book, self.identity)
        self._wallet = Wallet(self.book, self.rails, self.emails)
        self.streams = Streams(self.book, self.identity, self._futures)

    def open_account(self, account_id: str, *, seed: int = 0) -> ApiKey:
        """Open an account, below the master unless it is that, and return its key."""
        self.book.open_account(account_id, parent="" if account_id == MAIN else MAIN)
        self.emails[account_id] = f"{account_id}@sub.example"
        digest = hashlib.sha512(f"{seed}/{NAME}/{account_id}".encode()).hexdigest()
        key = ApiKey(digest[:64], digest[64:], account_id)
        self.identity.keys[key.api_key] = key
        return key

    def application(self) -> web.Application:
        """Return the server of all paths: ``/fapi``, ``/sapi``, ``/api`` and streams."""
        application = web.Application(
            middlewares=[fault_middleware(self.book.plan, self._desk.scope_of)],
            client_max_size=1 << 20,
        )
        for endpoint in (*self._futures.endpoints(), *self._wallet.endpoints()):
            application.router.add_route(
                endpoint.method, endpoint.path, self._desk.handler(endpoint)
            )
        application.add_routes(self.streams.routes())
        return application

    async def tick(self) -> None:
        """Advance withdrawals and publish."""
        self.rails.advance()
        await self.streams.publish()

    def describe(self) -> Mapping[str, object]:
        """Return credentials and places."""
        accounts = [
            {
                "account": key.account_id,
                "api_key": key.api_key,
                "api_secret": key.api_secret,
                "email": self.emails[key.account_id],
            }
            for key in self.identity.keys.values()
        ]
        places = [f"{NAME}/{account_id}" for account_id in self.book.accounts]
        return {"credentials": accounts, "places": places, "main_account": MAIN}


def build(town: VenueTown) -> BinanceVenue:
    """Return the venue with funded accounts, two of which hold positions."""
    venue = BinanceVenue(town)
    for account_id, funds in _FUNDS.items():
        venue.open_account(account_id, seed=town.parameters.seed)
        account = venue.book.accounts[account_id]
        for (wallet, asset), quantity in funds.items():
            venue.book.adjust(
                account, asset, Decimal(quantity), "deposit", wallet=wallet, reference="opening"
            )
    for account_id, held in _HELD.items():
        for symbol, quantity in held.items():
            mark = venue.book.quote(symbol).mark_price
            venue.book.fill(venue.book.accounts[account_id], symbol, Decimal(quantity), mark)
    return venue
