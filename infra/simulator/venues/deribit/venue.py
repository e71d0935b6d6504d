"""The simulated Deribit as a venue of a town."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import web

from infra.simulator.venues.core.accounts import Account
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import Scope
from infra.simulator.venues.core.liquidation import LiquidationTerms
from infra.simulator.venues.core.rails import Rails
from infra.simulator.venues.core.town import VenueTown
from infra.simulator.venues.core.wire import fault_middleware
from infra.simulator.venues.deribit import contracts, rpc
from infra.simulator.venues.deribit.errors import RpcError
from infra.simulator.venues.deribit.holdings import HoldingMethods
from infra.simulator.venues.deribit.identity import ApiKey, Identity
from infra.simulator.venues.deribit.margins import segregated_margin
from infra.simulator.venues.deribit.orders import OrderMethods
from infra.simulator.venues.deribit.public import PublicMethods
from infra.simulator.venues.deribit.streams import Streams
from infra.simulator.venues.deribit.wallet import WalletMethods

NAME: Final = "deribit"
MAIN: Final = "1001"
_ACCOUNTS: Final = {
    MAIN: ("treasury", {"BTC": 50, "ETH": 400, "USDC": 2_000_000}),
    "1002": ("margin-a", {"BTC": 12, "ETH": 60, "USDC": 500_000}),
    "1003": ("margin-b", {"BTC": 8, "USDC": 250_000}),
}
_PREFIX: Final = "/api/v2/"


class DeribitVenue:
    """Accounts, keys and servers of the simulated Deribit."""

    def __init__(self, town: VenueTown) -> None:
        self.name = NAME
        today = town.clock.started_at
        self.book = VenueBook(
            NAME,
            town.market,
            contracts.listings(today, has_brackets=town.parameters.has_brackets),
            segregated_margin,
            decimals=contracts.DECIMALS,
            liquidation=LiquidationTerms(
                round_share=contracts.ROUND_SHARE, fee=contracts.LIQUIDATION_FEES
            ),
        )
        self.rails = Rails(self.book, town.chain, dict(contracts.WITHDRAWAL_FEES))
        self.identity = Identity(self.book)
        self._dispatcher = rpc.Dispatcher(self.book)
        public, holdings = PublicMethods(self.book), HoldingMethods(self.book)
        self.wallet = WalletMethods(self.book, self.rails)
        self.streams = Streams(self.book, self.identity, self._dispatcher, public, holdings)
        parts = (public, holdings, OrderMethods(self.book), self.wallet)
        for part in parts:
            self._dispatcher.methods |= part.methods()

    def open_account(self, account_id: str, *, name: str = "", seed: int = 0) -> ApiKey:
        """Open an account below the main one and return its key."""
        parent = "" if account_id == MAIN else MAIN
        self.book.open_account(account_id, parent=parent, name=name or account_id)
        digest = hashlib.sha256(f"{seed}/{NAME}/{account_id}".encode()).hexdigest()
        key = ApiKey(f"id{digest[:8]}", digest[8:52], account_id)
        self.identity.keys[key.client_id] = key
        return key

    def receiving_addresses(self) -> list[tuple[str, str, str, str]]:
        """Return account, network, asset and address under which each account receives."""
        return [
            (account_id, network, asset, self.rails.deposit_address(account, network).address)
            for account_id, account in self.book.accounts.items()
            for asset, network in contracts.NETWORKS.items()
        ]

    def application(self) -> web.Application:
        """Return the server: ``/api/v2/<method>`` by GET and POST, ``/ws/api/v2`` for streams."""
        application = web.Application(
            middlewares=[fault_middleware(self.book.plan, self._scope)], client_max_size=1 << 20
        )
        application.add_routes(
            [
                web.get("/ws/api/v2", self.streams.serve),
                web.post("/api/v2", self._serve),
                web.get(_PREFIX + "{scope}/{method}", self._serve),
                web.post(_PREFIX + "{scope}/{method}", self._serve),
            ]
        )
        return application

    async def tick(self) -> None:
        """Advance withdrawals and publish."""
        self.rails.advance()
        await self.streams.publish()

    def describe(self) -> Mapping[str, object]:
        """Return credentials and places."""
        keys = [
            {
                "account": key.account_id,
                "client_id": key.client_id,
                "client_secret": key.client_secret,
            }
            for key in self.identity.keys.values()
        ]  # fmt: skip
        places = [f"{NAME}/{account_id}" for account_id in self.book.accounts]
        return {"credentials": keys, "places": places, "main_account": MAIN}

    async def _serve(self, request: web.Request) -> web.Response:
        request_id: object = None
        try:
            request_id, method, parameters = await _request(request)
            account = await self._asker(request, parameters)
            if method == "public/auth":
                result: object = self.identity.authorise(parameters)[1]
            elif method == "public/exchange_token":
                result = self.identity.exchange(parameters)[1]
            else:
                result = await self._dispatcher.result(rpc.Call(method, parameters, account))
            body, status = rpc.answer(self.book.clock, request_id, result), 200
        except RpcError as error:
            body, status = rpc.failure(self.book.clock, request_id, error), error.status
        return web.Response(body=body, status=status, content_type="application/json")

    async def _asker(self, request: web.Request, parameters: dict[str, object]) -> Account | None:
        token = parameters.pop("access_token", None)
        if token is not None:
            return self.book.accounts[self.identity.of_token(str(token))]
        body = (await request.read()).decode()
        text = f"{request.method}\n{request.raw_path}\n{body}\n"
        found = self.identity.of_header(request.headers.get("Authorization", ""), text)
        return self.book.accounts[found] if found else None

    async def _scope(self, request: web.Request) -> Scope:
        try:
            _, method, _ = await _request(request)
        except RpcError:
            method = request.path
        return Scope(venue=NAME, account=self._account_of(request), endpoint=method)

    def _account_of(self, request: web.Request) -> str:
        header = request.headers.get("Authorization", "")
        return self.identity.peek(header)


def build(town: VenueTown) -> DeribitVenue:
    """Return the venue with a treasury and two margin accounts, funded and holding positions."""
    venue = DeribitVenue(town)
    for account_id, (name, funds) in _ACCOUNTS.items():
        venue.open_account(account_id, name=name, seed=town.parameters.seed)
        account = venue.book.accounts[account_id]
        for asset, quantity in funds.items():
            venue.book.adjust(account, asset, Decimal(quantity), "deposit", reference="opening")
    _open_positions(venue)
    return venue


def _open_positions(venue: DeribitVenue) -> None:
    book = venue.book
    expiry = contracts.quarters(book.clock.started_at)[0]
    future = next(
        one.symbol for one in book.listings.values()
        if one.expiry_utc == expiry and one.kind == "future" and one.underlying == "BTC"
    )  # fmt: skip
    held = {
        "1002": {"BTC-PERPETUAL": 12_000, "ETH-PERPETUAL": -40_000, "BTC_USDC-PERPETUAL": 500},
        "1003": {"BTC-PERPETUAL": -9_000, future: 4_000},
    }
    for account_id, positions in held.items():
        for symbol, contracts_held in positions.items():
            quote = book.quote(symbol)
            book.fill(book.accounts[account_id], symbol, Decimal(contracts_held), quote.mark_price)


async def _request(request: web.Request) -> tuple[object, str, dict[str, object]]:
    if request.method == "GET":
        method = request.path.removeprefix(_PREFIX)
        return None, method, dict(parse_qsl(request.rel_url.raw_query_string, True))
    frame = rpc.parse((await request.read()).decode())
    parameters = frame.get("params") or {}
    assert isinstance(parameters, dict)
    return frame.get("id"), str(frame.get("method")), dict(parameters)
