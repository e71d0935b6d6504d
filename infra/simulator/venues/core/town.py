"""A town: any set of simulated venues and custodians, one market and one chain, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Final, Protocol, Self

from aiohttp import web

from infra.simulator.venues.core.admin import admin_application
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.chain import Chain
from infra.simulator.venues.core.clock import TownClock
from infra.simulator.venues.core.faults import FaultKind, FaultPlan, Scope
from infra.simulator.venues.core.liquidation import liquidate_what_is_under
from infra.simulator.venues.core.market import Market
from infra.simulator.venues.core.paths import Move, Underlying
from infra.simulator.venues.core.trading import match_all, pay_funding

FUNDING_HOURS: Final = Decimal(8)
_FUNDING_SECONDS: Final = float(FUNDING_HOURS) * 3600.0

UNDERLYINGS: Final = (
    Underlying(asset="BTC", price=Decimal(60000), volatility=0.5, implied_volatility=0.55),
    Underlying(asset="ETH", price=Decimal(2500), volatility=0.65, implied_volatility=0.7),
    Underlying(asset="SOL", price=Decimal(150), volatility=0.85, implied_volatility=0.9),
    Underlying(asset="USDT", price=Decimal(1), volatility=0.0, jumps_per_year=0.0, basis=0.0),
    Underlying(asset="USDC", price=Decimal(1), volatility=0.0, jumps_per_year=0.0, basis=0.0),
)


class SimulatedVenue(Protocol):
    """What a protocol module gives to a town."""

    @property
    def name(self) -> str:
        """Return the name of the venue or custodian."""

    @property
    def book(self) -> VenueBook:
        """Return its accounts."""

    def application(self) -> web.Application:
        """Return the server."""

    async def tick(self) -> None:
        """Publish to streams and advance own processes, after every step of the market."""

    def describe(self) -> Mapping[str, object]:
        """Return credentials and places that a client needs, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TownParameters:
    """How a town moves.

    Attributes
    ----------
    speed : float
        Town seconds per wall second; 0 moves by ``step`` only.
    tick_seconds : float
        Wall seconds between steps of the market; 0 ticks by ``VenueTown.tick`` only.
    moves : mapping of str to sequence of Move
        Scheduled moves by asset; ``ASSET@venue`` moves it at one venue alone, as a depeg there.
    admin_token : str
        Bearer token of the admin endpoint, which is closed where it is empty.
    is_liquidating : bool
        Whether venues liquidate what is below its maintenance margin (``liquidation.py``).
    has_brackets : bool
        Whether margin rates rise with size, as venues publish; otherwise the first bracket counts.
    starts_at : datetime, optional
        Where the town's own time begins; without it the town stamps with real time.
    """

    seed: int = 0
    speed: float = 1.0
    tick_seconds: float = 0.1
    confirmation_seconds: float = 30.0
    underlyings: Sequence[Underlying] = UNDERLYINGS
    moves: Mapping[str, Sequence[Move]] = field(default_factory=dict)
    host: str = "127.0.0.1"
    admin_token: str = ""
    is_liquidating: bool = False
    starts_at: datetime | None = None
    has_brackets: bool = False


class VenueTown:
    """Hosts venues on loopback, each on a port of its own; use as ``async with``."""

    def __init__(self, parameters: TownParameters | None = None) -> None:
        self.parameters = parameters or TownParameters()
        p = self.parameters
        self.clock = TownClock(speed=p.speed, starts_at=p.starts_at)
        self.plan = FaultPlan(p.seed)
        self.market = Market(self.clock, self.plan, p.underlyings, seed=p.seed, moves=p.moves)
        self.chain = Chain(self.clock, self.plan, p.seed, p.confirmation_seconds)
        self.venues: dict[str, SimulatedVenue] = {}
        self._servers: dict[str, _Server] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._funded = 0

    def add(self, venue: SimulatedVenue) -> None:
        """Add a venue before the start."""
        self.venues[venue.name] = venue

    async def __aenter__(self) -> Self:
        """Start all servers and the market."""
        for name, venue in self.venues.items():
            self._servers[name] = await _serve(venue.application(), self.parameters.host)
        if self.parameters.admin_token:
            admin = admin_application(self, self.parameters.admin_token)
            self._servers["admin"] = await _serve(admin, self.parameters.host)
        if self.parameters.tick_seconds > 0:
            self._ticking = asyncio.create_task(self._tick_for_ever())
            self._ticking.add_done_callback(_report)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything; raises what has stopped the market, if anything has."""
        ended: BaseException | None = None
        if self._ticking is not None:
            self._ticking.cancel()
            (ended,) = await asyncio.gather(self._ticking, return_exceptions=True)
        for server in self._servers.values():
            await server.runner.cleanup()
        if isinstance(ended, Exception) and error is None:
            raise ended

    def address(self, name: str) -> str:
        """Return ``http://host:port`` of a venue, or of ``admin``."""
        return f"http://{self.parameters.host}:{self._servers[name].port}"

    def describe(self) -> dict[str, object]:
        """Return addresses and credentials of everything, as JSON."""
        told: dict[str, object] = {
            name: {"address": self.address(name), **venue.describe()}
            for name, venue in self.venues.items()
        }
        if "admin" in self._servers:
            admin = {"address": self.address("admin"), "token": self.parameters.admin_token}
            told["admin"] = admin
        return told

    async def step(self, seconds: float) -> None:
        """Move town time on and tick once."""
        self.clock.step(seconds)
        await self.tick()

    async def tick(self) -> None:
        """Settle the chain, match orders, pay funding and let the venues publish."""
        self.chain.settle()
        due = int(self.clock.elapsed() / _FUNDING_SECONDS)
        for venue in list(self.venues.values()):
            match_all(venue.book)
            if due > self._funded:
                pay_funding(venue.book, FUNDING_HOURS * (due - self._funded))
            if self.parameters.is_liquidating:
                liquidate_what_is_under(venue.book)
            await venue.tick()
            await self._open_or_shut(venue.name)
        self._funded = due

    async def _tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.parameters.tick_seconds)
            await self.tick()

    async def _open_or_shut(self, name: str) -> None:
        server = self._servers.get(name)
        if server is None:
            return
        is_refusing = self.plan.draw(FaultKind.REFUSE, Scope(venue=name)) is not None
        if is_refusing and server.site is not None:
            await server.site.stop()
            server.site = None
        elif not is_refusing and server.site is None:
            server.site = web.TCPSite(server.runner, self.parameters.host, server.port)
            await server.site.start()


@dataclass(slots=True)
class _Server:
    runner: web.AppRunner
    site: web.TCPSite | None
    port: int


def _report(task: asyncio.Task[None]) -> None:
    # A market that stands still must not pass for a quiet one.
    if not task.cancelled() and task.exception() is not None:
        context = {"message": "the town has stopped ticking", "exception": task.exception()}
        task.get_loop().call_exception_handler(context)


async def _serve(application: web.Application, host: str) -> _Server:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    port = int(runner.addresses[0][1])
    return _Server(runner, site, port)
