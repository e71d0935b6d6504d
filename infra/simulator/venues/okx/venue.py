"""The simulated OKX: a master account with a funding wallet, and two sub-accounts that trade."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from aiohttp import web

from infra.simulator.venues.core.accounts import TRADING
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.liquidation import LiquidationTerms
from infra.simulator.venues.core.rails import Rails
from infra.simulator.venues.core.town import VenueTown
from infra.simulator.venues.core.wire import fault_middleware
from infra.simulator.venues.okx import contracts
from infra.simulator.venues.okx.holdings import FUNDING
from infra.simulator.venues.okx.identity import ApiKey, Identity
from infra.simulator.venues.okx.public import Public
from infra.simulator.venues.okx.requests import Desk
from infra.simulator.venues.okx.streams import Streams
from infra.simulator.venues.okx.trading import Trading
from infra.simulator.venues.okx.wallet import Wallet

NAME: Final = "okx"
MAIN: Final = "main"
_FUNDS: Final = {
    MAIN: {
        (FUNDING, "USDT"): "1500000", (FUNDING, "BTC"): "20", (FUNDING, "ETH"): "250",
        (TRADING, "USDT"): "200000",
    },
    "alpha": {(TRADING, "USDT"): "350000", (TRADING, "BTC"): "4"},
    "beta": {(TRADING, "USDT"): "150000", (TRADING, "BTC"): "3", (TRADING, "ETH"): "40"},
}  # fmt: skip
# Account mode: 2 margins every currency for itself, 3 all together.
_LEVELS: Final = {MAIN: "3", "alpha": "3", "beta": "2"}
_HELD: Final = {
    "alpha": {"BTC-USDT-SWAP": "850", "ETH-USDT-SWAP": "-420", "BTC-USD-SWAP": "-900"},
    "beta": {"BTC-USD-SWAP": "1200", "SOL-USDT-SWAP": "-600", "ETH-USD-SWAP": "-1500"},
}


class OkxVenue:
    """Accounts, keys and the server of the simulated OKX."""

    def __init__(self, town: VenueTown) -> None:
        self.name = NAME
        self.book = VenueBook(
            NAME,
            town.market,
            contracts.listings(town.clock.started_at),
            liquidation=LiquidationTerms(is_partial=False, fee={"*": contracts.TAKER_FEE}),
        )
        self.rails = Rails(self.book, town.chain, dict(contracts.WITHDRAWAL_FEES))
        self.identity = Identity(self.book)
        self.levels: dict[str, str] = {}
        self._desk = Desk(self.book, self.identity)
        self._public = Public(self.book)
        self._trading = Trading(self.book, self.levels)
        self._wallet = Wallet(self.book, self.rails)
        self.streams = Streams(self.book, self.identity, self._public, self._trading)

    def open_account(self, account_id: str, *, level: str = "3", seed: int = 0) -> ApiKey:
        """Open an account, below the master unless it is that, and return its key."""
        self.book.open_account(account_id, parent="" if account_id == MAIN else MAIN)
        self.levels[account_id] = level
        digest = hashlib.sha512(f"{seed}/{NAME}/{account_id}".encode()).hexdigest()
        key = ApiKey(digest[:36], digest[36:68], digest[68:84], account_id)
        self.identity.keys[key.api_key] = key
        return key

    def application(self) -> web.Application:
        """Return the server: ``/api/v5`` and ``/ws/v5``."""
        application = web.Application(
            middlewares=[fault_middleware(self.book.plan, self._desk.scope_of)],
            client_max_size=1 << 20,
        )
        parts = (self._public, self._trading, self._wallet)
        for endpoint in (one for part in parts for one in part.endpoints()):
            application.router.add_route(
                endpoint.method, endpoint.path, self._desk.handler(endpoint)
            )
        application.add_routes(self.streams.routes())
        return application

    async def tick(self) -> None:
        """Advance withdrawals and the dead man's switch, and publish."""
        self.rails.advance()
        self._trading.advance()
        await self.streams.publish()

    def describe(self) -> Mapping[str, object]:
        """Return credentials and places."""
        accounts = [
            {
                "account": key.account_id,
                "api_key": key.api_key,
                "api_secret": key.api_secret,
                "passphrase": key.passphrase,
                "level": self.levels[key.account_id],
            }
            for key in self.identity.keys.values()
        ]
        places = [f"{NAME}/{account_id}" for account_id in self.book.accounts]
        return {"credentials": accounts, "places": places, "main_account": MAIN}


def build(town: VenueTown) -> OkxVenue:
    """Return the venue with funded accounts, two of which hold positions."""
    venue = OkxVenue(town)
    for account_id, funds in _FUNDS.items():
        venue.open_account(account_id, level=_LEVELS[account_id], seed=town.parameters.seed)
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
