"""The simulated Fireblocks: a workspace with two vaults, an API key and signed webhooks."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from aiohttp import web

from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.town import VenueTown
from infra.simulator.venues.core.wire import fault_middleware
from infra.simulator.venues.fireblocks.assets import ASSETS
from infra.simulator.venues.fireblocks.endpoints import Endpoints, workspace_of
from infra.simulator.venues.fireblocks.identity import Identity
from infra.simulator.venues.fireblocks.keys import pem, private_key
from infra.simulator.venues.fireblocks.requests import Desk
from infra.simulator.venues.fireblocks.transactions import Transaction, Transactions
from infra.simulator.venues.fireblocks.wallets import Wallet, Wallets
from infra.simulator.venues.fireblocks.webhooks import Webhooks

NAME: Final = "fireblocks"
JWKS_PATH: Final = "/.well-known/jwks.json"
_API_KEY: Final = "api"
_FUNDS: Final = {
    "Treasury": {"BTC": "120", "ETH": "2500", "SOL": "8000", "USDC": "4000000",
                 "USDT": "6000000"},
    "Clients": {"BTC": "45", "ETH": "900", "USDC": "1500000", "USDT": "2500000"},
}  # fmt: skip


class FireblocksVenue:
    """Vaults, wallets, transactions and the server of the simulated Fireblocks."""

    def __init__(self, town: VenueTown) -> None:
        self.name = NAME
        self.book = VenueBook(NAME, town.market, ())
        self.transactions = Transactions(self.book, town.chain)
        self.wallets = Wallets(NAME, town.clock, town.plan)
        workspace = workspace_of(town.parameters.seed)
        self.webhooks = Webhooks(NAME, town.clock, town.plan, workspace)
        self.api_key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{workspace}/{_API_KEY}"))
        self.identity = Identity(town.clock)
        self.identity.keys[self.api_key] = private_key(_API_KEY).public_key()
        self._desk = Desk(self.book, self.identity)
        self._endpoints = Endpoints(
            self.book, town.chain, self.transactions, self.wallets, self.webhooks
        )
        self.transactions.on_change.append(self._publish)
        self._known: list[dict[str, str]] = []

    @property
    def secret_key(self) -> str:
        """Return the private key of the API key, PEM."""
        return pem(private_key(_API_KEY))

    def open_vault(self, name: str, funds: Mapping[str, str]) -> None:
        """Open the next vault and put funds in."""
        account = self.book.open_account(str(len(self.book.accounts)), name=name)
        for asset, quantity in funds.items():
            self.book.adjust(account, asset, Decimal(quantity), "deposit", reference="opening")

    def whitelist(self, name: str, asset_id: str, address: str, tag: str = "") -> Wallet:
        """Return a wallet of an address that may receive at once."""
        return self.wallets.whitelist(name, asset_id, address, tag)

    def know(self, place: str, network: str, asset: str, address: str) -> None:
        """Whitelist the address of a place under the custodian's own name of the asset."""
        for one in ASSETS.values():
            if one.asset == asset and network in one.networks:
                self.whitelist(place, one.asset_id, address)
                self._known.append(
                    {"place": place, "asset": asset, "network": network, "address": address}
                )

    def deposit_address(self, vault_id: str, asset_id: str) -> str:
        """Return the address under which a vault receives an asset."""
        account = self.book.accounts[vault_id]
        return self._endpoints.deposit_address(account, ASSETS[asset_id]).address

    def application(self) -> web.Application:
        """Return the server: ``/v1`` and the keys of webhooks."""
        application = web.Application(
            middlewares=[fault_middleware(self.book.plan, self._desk.scope_of)],
            client_max_size=1 << 20,
        )
        for method, path, answer in self._endpoints.routes():
            application.router.add_route(method, path, self._desk.handler(answer))
        application.router.add_get(JWKS_PATH, self._jwks)
        return application

    async def tick(self) -> None:
        """Approve wallets, take transactions a step on, tell the endpoints."""
        self.wallets.advance()
        self.transactions.advance()
        await self.webhooks.deliver()

    def describe(self) -> Mapping[str, object]:
        """Return credential, places, where the keys of webhooks are, and known destinations."""
        credential = {"account": _API_KEY, "api_key": self.api_key, "api_secret": self.secret_key}
        places = [f"{NAME}/{vault_id}" for vault_id in self.book.accounts]
        return {
            "credentials": [credential], "places": places, "webhook_keys": JWKS_PATH,
            "destinations": self._known,
        }  # fmt: skip

    async def _jwks(self, _: web.Request) -> web.Response:
        return web.json_response(
            self.webhooks.jwks(), headers={"Cache-Control": "public, max-age=3600"}
        )

    def _publish(self, one: Transaction, event_type: str) -> None:
        self.webhooks.notify(event_type, one.tx_id, self._endpoints.show(one))


def build(town: VenueTown) -> FireblocksVenue:
    """Return the custodian with funded vaults ``0`` and ``1``."""
    venue = FireblocksVenue(town)
    for name, funds in _FUNDS.items():
        venue.open_vault(name, funds)
    return venue
