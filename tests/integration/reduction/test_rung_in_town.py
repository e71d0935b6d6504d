"""Prices fall at the venues: rung, plan, approval, orders, a kill, and the ratio restored."""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from engine.policies.ladder_parameters import LadderRung
from engine.snapshot import PositionSet
from infra.connections import open_connections
from infra.db import Database, open_database
from infra.intraday.base import Base
from infra.intraday.process import LoopOptions, LoopProcess
from infra.outbound import KillSwitch
from infra.reduction import ReductionDesk
from infra.settings import Settings
from infra.simulator.venues.connecting import TownAccount, connect_home
from infra.simulator.venues.core.town import TownParameters
from infra.simulator.venues.streets import build_town
from tests.integration.intraday.stage import Closes, Relay, Stage
from tests.integration.intraday.test_town import town_base
from tests.integration.reduction.rung_life import rules
from tests.worlds import small

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
VENUES = ["binance", "deribit", "okx"]
SYMBOL, PLACE = "BTCUSDT", "binance/alpha"
HELD = f"binance:{SYMBOL}"
COINS = 10


@pytest.fixture
def database(sqlite_template: Path, quick_folder: Path) -> Iterator[Database]:
    path = quick_folder / "plimsoll.db"
    shutil.copy(sqlite_template, path)
    found = open_database(f"sqlite:///{path}", wait_seconds=20.0, actor="test")
    yield found
    found.close()


def near_a_breach(base: Base, dollars: float) -> Base:
    """Return a close whose netting set A is long of ten coins; the venue alone tells of it."""
    mark = float(base.snapshot.marks.set_index("instrument_id")["mark_price"][HELD])
    held = (("A", HELD, float(COINS)), ("B", HELD, 1.0))
    positions = PositionSet(small.positions(*held, sources=("venue",)), small.no_orders())
    collateral = small.collateral_set(
        ("A", "USDT", dollars), ("B", "USDT", 1e7), sources=("venue",)
    )
    collateral.holdings["location"] = ["A-a", "custodian"]
    positions.positions["settled_price"] = mark
    house = base.rules.house
    at_once = LadderRung(enter=1.25, release=1.1, action="automatic")
    agreements = {
        name: replace(one, reduction="approval" if name == "A" else "")
        for name, one in base.rules.agreements.items()
    }
    return replace(
        base,
        positions=positions,
        collateral=collateral,
        rules=replace(
            base.rules, house=replace(house, ladder=replace(house.ladder, reduce=at_once)),
            agreements=agreements,
        ),
    )  # fmt: skip


def test_prices_fall_over_the_wire_and_the_book_is_made_smaller_until_it_is_restored_i32_i47(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        parameters = TownParameters(seed=3, tick_seconds=0.05)
        async with build_town(VENUES, parameters) as town:
            book = town.venues["binance"].book
            account = book.accounts["alpha"]
            owner = TownAccount(
                place=PLACE, account_id="A-a", client_id="client-A", netting_set_id="A"
            )
            for name, value in connect_home(tmp_path, town.describe(), [owner]).items():
                monkeypatch.setenv(name, value)
            for symbol, position in list(account.positions.items()):
                if position.quantity:
                    quote = book.quote(symbol).mark_price
                    book.fill(account, symbol, -position.quantity, quote)
            mark = book.quote(SYMBOL).mark_price
            book.fill(account, SYMBOL, Decimal(COINS), mark)
            dollars = (COINS * mark * Decimal("0.27")).quantize(Decimal(1))
            for asset, wanted in (("USDC", Decimal(0)), ("USDT", dollars)):
                book.adjust(account, asset, wanted - account.balance(asset), "withdrawal")
            async with open_connections(Settings(home=tmp_path)) as connections:
                close = near_a_breach(await town_base(connections), float(dollars))
                (tmp_path / "base").write_bytes(pickle.dumps(close))
                child = (
                    sys.executable, "-m", "tests.integration.reduction.rung_child",
                    str(tmp_path), f"sqlite:///{database.file}",
                )  # fmt: skip
                options = LoopOptions(
                    home=tmp_path, code_version="1.0", grace=5.0, board=0.1, checkpoint=1.0,
                    desk=child,
                )  # fmt: skip
                process = LoopProcess(database, Closes([close]), connections, options)
                task = asyncio.create_task(process.run())
                stage = Stage(database, Relay(), process, task, tmp_path)
                try:
                    await story(stage, town, account)
                finally:
                    process.stop()
                    await asyncio.wait({task}, timeout=20.0)
                    task.cancel()

    async def story(stage: Stage, town, account) -> None:
        def plans(*states: str):
            return [one for one in database.reductions.list() if one.state in states]

        await stage.until(lambda: stage.status().get("is_deciding"), "decisions")
        await stage.until(lambda: stage.status()["changes"] > 20, "prices")
        assert database.reductions.list() == []
        path = town.market.paths["BTC"]
        path.set_price(path.price(town.clock.elapsed()) * Decimal("0.91"), town.clock.elapsed())
        (plan,) = await stage.until(lambda: plans("proposed"), "a plan", 90.0)
        assert plan.intent.cause.startswith("ladder:")
        desk = ReductionDesk(database, rules(), KillSwitch(tmp_path))
        for who in ("bob", "carol"):
            if database.reductions.get(plan.plan_id).state == "proposed":
                desk.approve(plan.plan_id, who, plan.payload_hash)
        await stage.until(lambda: database.reductions.orders(plan.plan_id), "an order", 60.0)
        os.kill(int((tmp_path / "child.pid").read_text()), signal.SIGKILL)
        (done,) = await stage.until(
            lambda: plans("restored", "insufficient", "stopped"), "the end", 90.0
        )
        assert done.state == "restored", done.note
        assert "(the loop)" in done.note
        held = account.positions[SYMBOL].quantity
        orders = database.reductions.orders(plan.plan_id)
        filled = sum(one.filled_lots for one in orders) * plan.intent.leg(1).lot
        assert 0 < held == COINS - filled
        assert all(town.venues["binance"].book.times_executed(o.order_key) <= 1 for o in orders)
        board = database.board.rows().set_index("netting_set_id")
        assert board.loc["A", "margin_ratio"] < 1.0
        database.audit.verify()

    asyncio.run(play())
