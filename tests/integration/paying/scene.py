"""A loop with its payment desk in a process of its own, over a simulated custodian and venue."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from engine.rules import RuleBook
from engine.transfers import WhitelistEntry
from engine.transfers.whitelist import entry_id
from infra.db import Database
from infra.db.ledger import Entry, Posting
from infra.intraday.base import Base
from infra.simulator.venues.connecting import TownAccount, connect_home
from infra.simulator.venues.core.town import TownParameters
from infra.simulator.venues.streets import build_town
from tests.integration.intraday.stage import Relay, Stage, playing, quiet
from tests.worlds import small
from tests.worlds.loop import base

PAYER, HOUSE = "fireblocks/1", "deribit/1001"
CLIENT = "client-P"
STEP = 50.0
"""Dollars by which the price falls from one breach to the next. [USD]"""
START = 60_000.0
ACCOUNTS = (
    TownAccount(
        place=PAYER, account_id="P-vault", client_id=CLIENT, netting_set_id="none", role="payer"
    ),
    TownAccount(
        place=HOUSE, account_id="house-deribit", client_id="house", netting_set_id="house",
        role="house",
    ),
)  # fmt: skip


def names_of(n_sets: int) -> list[str]:
    return [f"P{number:04d}" for number in range(n_sets)]


def rules_of(n_sets: int) -> RuleBook:
    """Return rules under which every netting set is collected."""
    return small.rules(
        *(
            small.agreement(name, client_id=CLIENT, collection="automatic")
            for name in names_of(n_sets)
        )
    )


def close_of(n_sets: int, first: float = 137_400.0, quantity: float = 10.0) -> Base:
    """Return a close whose netting sets breach one after the other as Bitcoin falls by ``STEP``."""
    # Ten Bitcoin lose ten dollars for each that the price falls, and need a little less margin.
    held = {name: first + 410.0 * number for number, name in enumerate(names_of(n_sets))}
    return replace(base(held, quantity), rules=rules_of(n_sets))


def stock(database: Database, told: Mapping[str, Any]) -> None:
    """Put what the vault holds into the ledger, and the house's address on the list."""
    database.ledger.register_assets({"USDC": 6})
    posting = Posting("outside:world", f"location:{PAYER}", "USDC", 1_500_000 * 10**6)
    database.ledger.post(Entry("opening", "test", date(2026, 3, 11), None, (posting,)))
    for one in told["fireblocks"]["destinations"]:
        if one["place"] != HOUSE or one["asset"] != "USDC":
            continue
        name = entry_id(HOUSE, "USDC", one["network"], one["address"], "")
        entry = WhitelistEntry(
            entry_id=name, destination=HOUSE, asset="USDC", network=one["network"],
            address=one["address"], memo="",
        )  # fmt: skip
        database.whitelist.propose(entry, "anna", "test")
        database.whitelist.approve(name, "ben", "test", timedelta(0))


@dataclass
class Feed:
    """Prices that never fall silent: what is silent is in doubt, and nothing is paid on doubt."""

    relay: Relay
    price: float = START

    async def fall_to(self, price: float) -> None:
        """Let Bitcoin be worth another price on every venue, at once."""
        self.price = price
        await self.relay.send(quiet(price))

    async def run(self) -> None:
        while True:
            await self.relay.send(quiet(self.price), full=True)
            await asyncio.sleep(0.5)


@asynccontextmanager
async def paying(database: Database, home: Path, n_sets: int) -> AsyncIterator[tuple[Stage, Feed]]:
    """Run town, loop and desk; yield the stage when prices are quiet and the desk has spoken."""
    parameters = TownParameters(seed=3, tick_seconds=0.05, speed=60.0, confirmation_seconds=30.0)
    async with build_town(["deribit", "fireblocks"], parameters) as town, Relay() as relay:
        told = town.describe()
        os.environ.update(connect_home(home, told, ACCOUNTS))
        stock(database, told)
        await relay.send(quiet(START), full=True)
        address = database.url.render_as_string(hide_password=False)
        desk = (
            sys.executable,
            "-m",
            "tests.integration.paying.child",
            address,
            str(home),
            str(n_sets),
        )
        async with playing(
            database, close_of(n_sets), home, relay, patience=60.0, desk=desk
        ) as stage:
            feed = Feed(relay)
            ticking = asyncio.create_task(feed.run())
            try:
                await stage.until(
                    lambda: (stage.status().get("payments") or {}).get("state") == "live",
                    "the desk", 60.0,
                )  # fmt: skip
                yield stage, feed
            finally:
                ticking.cancel()
