"""Simulated venues in a thread of their own, at a minute and a half after a close, and a market."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from engine.times import close_of
from infra.clock import Clock, utc_now
from infra.market.connected import ConnectedSource, Installation, connected_source
from infra.settings import Settings
from infra.simulator.venues.connecting import TownAccount, connect_home
from infra.simulator.venues.core.faults import Fault
from infra.simulator.venues.core.paths import Underlying
from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.streets import build_town
from infra.simulator.world import WorldParameters, build_world
from infra.store import open_store

VENUES = ("deribit", "binance", "okx", "fireblocks")
WORLD = WorldParameters(
    seed=11, n_netting_sets=6, n_underlyings=3, history_days=300, funding_days=2, n_positions_mean=2
)
LAST_DATE = WORLD.business_dates[-1]
CLOSE = close_of(LAST_DATE)
AFTER = timedelta(seconds=90)
PRICES = {"BTC": 95_000, "ETH": 3_000, "SOL": 150}
ACCOUNTS = (
    ("deribit/1001", "house-deribit", "house", "house"),
    ("deribit/1002", "larch-deribit", "larch", "larch-1"),
    ("deribit/1003", "ash-deribit", "ash", "ash-1"),
    ("binance/alpha", "larch-binance", "larch", "larch-1"),
    ("okx/alpha", "larch-okx", "larch", "larch-1"),
    ("okx/beta", "elm-okx", "elm", "elm-1"),
    ("fireblocks/0", "larch-vault", "larch", "larch-1"),
)
NETTING_SETS = ("ash-1", "elm-1", "larch-1")
DATASETS = ("price_history", "volatility_history", "basis_history", "liquidity")


@dataclass
class Street:
    """A town that is up, and the clock of its venues, which goes on from the close."""

    town: VenueTown
    told: dict[str, Any]
    shift: timedelta

    def clock(self) -> datetime:
        return utc_now() + self.shift

    def at(self, after: timedelta) -> Clock:
        """Return a clock that goes on from an instant after the close."""
        shift = CLOSE + after - utc_now()
        return lambda: utc_now() + shift

    def inject(self, fault: Fault) -> None:
        self.town.plan.inject(fault)

    def heal(self) -> None:
        self.town.plan.clear()


@contextmanager
def street() -> Iterator[Street]:
    """Yield the venues of a street, served from another thread until the block ends."""
    underlyings = [
        Underlying(asset=asset, price=Decimal(price), implied_volatility=0.6)
        for asset, price in PRICES.items()
    ]
    underlyings += [
        Underlying(asset=asset, price=Decimal(1), volatility=0.0, jumps_per_year=0.0, basis=0.0)
        for asset in ("USDT", "USDC")
    ]
    town = build_town(
        VENUES, TownParameters(seed=3, tick_seconds=0.0, speed=0.0, underlyings=underlyings)
    )
    found = Street(town, {}, CLOSE + AFTER - utc_now())
    town.clock._wall = found.clock
    town.clock.started_at = found.clock()
    with _served(town, lambda: found.told.update(town.describe())):
        yield found


@contextmanager
def _served(town: VenueTown, when_up: Callable[[], None]) -> Iterator[None]:
    up, loops, ends = threading.Event(), [], []

    async def serve() -> None:
        async with town:
            loops.append(asyncio.get_running_loop())
            ends.append(asyncio.Event())
            when_up()
            up.set()
            await ends[0].wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert up.wait(30.0)
    try:
        yield
    finally:
        loops[0].call_soon_threadsafe(ends[0].set)
        thread.join(30.0)


def market_below(folder: Path, world: Path) -> Path:
    """Return a directory of what venues do not say: histories, liquidity and agreements."""
    folder.mkdir(parents=True)
    for name in DATASETS:
        shutil.copy(world / f"{name}.parquet", folder / f"{name}.parquet")
    agreements = pd.read_parquet(world / "agreements.parquet")
    own = agreements.iloc[: len(NETTING_SETS)].assign(
        netting_set_id=NETTING_SETS,
        client_id=[name.partition("-")[0] for name in NETTING_SETS],
        currency="USD",
        effective_date=pd.Timestamp("2026-01-01"),
    )
    own.astype({"effective_date": "datetime64[ms]"}).to_parquet(folder / "agreements.parquet")
    return folder


def make_world(folder: Path) -> Path:
    """Return the folder of a world whose histories are used."""
    build_world(WORLD, folder, lambda *_: None)
    return folder


def connect(home: Path, found: Street, close: str = "") -> dict[str, str]:
    """Connect a home to the street; return the environment that names the secrets."""
    accounts = [
        TownAccount(
            place=place, account_id=account, client_id=client, netting_set_id=netting_set,
            role="house" if client == "house" else "client",
        )
        for place, account, client, netting_set in ACCOUNTS
    ]  # fmt: skip
    home.mkdir(parents=True, exist_ok=True)
    environment = connect_home(home, found.told, accounts)
    path = home / "connections.toml"
    path.write_text(path.read_text() + f"\n[close]\n{close}\n")
    return environment


def source_of(home: Path, below: Path, clock: Clock) -> ConnectedSource:
    """Return the source of a home's connections over a market."""
    installation = Installation(Settings(home=home), open_store(home.as_uri()), clock)
    return connected_source(f"connections:{below}", installation)
