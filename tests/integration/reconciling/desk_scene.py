"""A town, an installation that is connected to it, and a desk that trades there."""

from __future__ import annotations

import asyncio
import shutil
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pytest

from engine.margin.tiered import NotionalTiers, Tier
from engine.rules import RuleBook
from engine.venue_rules import venue_rules
from infra.connections import Connections, open_connections
from infra.db import Database, open_database
from infra.oms import Naming, take_files
from infra.reconciling import Look, look_at
from infra.settings import Settings
from infra.simulator.oms.following import SimulatedOms
from infra.simulator.oms.reports import Report
from infra.simulator.oms.senders import FileSender
from infra.simulator.venues.core.accounts import TRADING, Account
from infra.simulator.venues.core.book import VenueBook
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.core.trading import OrderRequest, place
from infra.simulator.venues.streets import build_town
from tests.integration.connections.town_home import ACCOUNTS, write_home
from tests.worlds import venues as venue_worlds

ALPHA = "binance/alpha"
DESK = {"binance/alpha": "D-7", "deribit/1002": "D-8"}
LAG_SECONDS = 0.3
# The simulated Binance's own rates, which it also shows as leverage brackets.
_RATES = {"BTC": (125.0, 0.004), "ETH": (100.0, 0.005), "SOL": (50.0, 0.01)}


@dataclass
class Scene:
    """Everything that a round looks at, and the hands that move it."""

    town: VenueTown
    database: Database
    connections: Connections
    desk: SimulatedOms
    sender: FileSender
    folder: Path
    rules: RuleBook | None

    @property
    def book(self) -> VenueBook:
        """Return the simulated Binance's book."""
        return self.town.venues["binance"].book

    @property
    def alpha(self) -> Account:
        """Return the account that is traded most."""
        return self.book.accounts["alpha"]

    def trade(
        self, symbol: str, side: Literal["buy", "sell"], quantity: str, venue: str = "binance",
        account: str = "alpha",
    ) -> None:  # fmt: skip
        """Trade at the market."""
        book = self.town.venues[venue].book
        request = OrderRequest(symbol=symbol, side=side, quantity=Decimal(quantity))
        place(book, book.accounts[account], request)

    def tell(self, *, is_hearing: bool = True) -> list[Report]:
        """Let the desk tell of its fills, and take its files."""
        reports = self.desk.hear() if is_hearing else []
        self.sender.send(reports)
        self.take()
        return reports

    def report(self, *reports: Report) -> None:
        """Let the desk tell something of its own."""
        self.sender.send(reports)
        self.take()

    def take(self) -> None:
        """Take what lies in the folder."""
        naming = Naming({"D-7": "larch-binance", "D-8": "larch-deribit"})
        take_files(self.database, "desk", self.folder, naming)

    def fault(self, kind: FaultKind, **parameters: object) -> None:
        """Let a fault strike the next fill once."""
        self.town.plan.inject(
            Fault(kind=kind, endpoint="execution", times=1, parameters=parameters)
        )

    async def settle(self) -> Look:
        """Do one round when nothing can be on its way any more."""
        await asyncio.sleep(1.2 * LAG_SECONDS)
        return await self.look()

    async def look(self) -> Look:
        """Do one round."""
        return await look_at(self.database, self.connections, {"BTC": 8}, rules=self.rules)

    def lose(self, asset: str, quantity: str) -> None:
        """Let a balance at the venue shrink without a line."""
        self.alpha.balances[TRADING, asset] -= Decimal(quantity)


def town_rules() -> RuleBook:
    """Return a rule book with the parameters of the simulated Binance."""
    sets = [
        venue_worlds.parameter_set("binance", "account_mode", "single_asset", venue_worlds.mode())
    ]
    for asset, (leverage, rate) in _RATES.items():
        for quote in ("USDT", "USDC"):
            tier = Tier(notional_floor=0.0, maintenance_margin_rate=rate, leverage_max=leverage)
            tiers = NotionalTiers(tiers=(tier,))
            sets.append(venue_worlds.parameter_set("binance", "tiered", f"{asset}{quote}", tiers))
    return replace(venue_worlds.rules(), venues=venue_rules(sets))


@asynccontextmanager
async def scene(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    template: Path,
    parameters: TownParameters | None = None,
) -> AsyncIterator[Scene]:
    """Yield a scene after its first round: places opened, the desk's day begun."""
    still = TownParameters(seed=3, tick_seconds=0.0, speed=0.0)
    async with build_town(["deribit", "binance"], parameters or still) as town:
        for name, value in write_home(home, town).items():
            monkeypatch.setenv(name, value)
        _connect_desk(home / "connections.toml")
        settings = Settings(home=home)
        shutil.copy(template, home / "plimsoll.db")
        database = open_database(settings.database_address, actor="test")
        folder = home / "oms" / "inbox"
        desk = SimulatedOms(town, DESK)
        async with open_connections(settings) as connections:
            made = Scene(
                town, database, connections, desk, FileSender(folder), folder, town_rules()
            )
            made.sender.open_day(desk.open_day())
            made.take()
            await made.look()
            yield made
        database.close()


def _connect_desk(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace(
        f'account_id = "{ACCOUNTS[ALPHA][0]}"\n',
        f'account_id = "{ACCOUNTS[ALPHA][0]}"\naccount_mode = "single_asset"\n',
    )
    text = text.replace(
        "[deribit]",
        f'[oms]\nname = "desk"\nexecution_lag_seconds = {LAG_SECONDS}\n\n[oms.accounts]\n'
        'D-7 = "larch-binance"\nD-8 = "larch-deribit"\n\n[deribit]',
        1,
    )
    tomllib.loads(text)
    path.write_text(text, encoding="utf-8")
