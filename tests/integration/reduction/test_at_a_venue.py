"""From a breach to a ratio restored, over real sockets: the venue's own margin says so."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from engine.order_ports import ReduceOrder
from engine.reduction import ReductionPolicy
from infra.connections import open_connections
from infra.dated_policies import InForce
from infra.db import Database, open_database
from infra.outbound import KillSwitch
from infra.reduction import (
    AssessedStandings,
    ReductionBasis,
    ReductionDesk,
    ReductionWish,
    propose_reduction,
    wiring_of,
)
from infra.settings import Settings
from infra.simulator.venues.connecting import TownAccount, connect_home
from infra.simulator.venues.core.faults import Fault, FaultKind
from infra.simulator.venues.core.town import TownParameters, VenueTown
from infra.simulator.venues.streets import build_town
from infra.venues import http
from tests.integration.db.call_facts import with_terms
from tests.integration.db.facts import bound, calls
from tests.worlds import small
from tests.worlds.reductions import policy

pytestmark = pytest.mark.timeout(240)

PERP = "deribit:BTC-PERPETUAL"
PLACE, ACCOUNT = "deribit/1002", "A-a"
CONTRACTS = 300_000
"""Of ten dollars: three million, on less than a coin."""
COINS = Decimal("0.9")


def rules() -> ReductionPolicy:
    return policy(
        caps={
            "slice_notional_max": Decimal(1_000_000), "slice_volume_share_max": 0.001,
            "slice_seconds_min": 0.0, "orders_per_minute_max": 600,
        },
    )  # fmt: skip


def basis() -> ReductionBasis:
    """Return a close that knows what the venue holds."""
    table = small.instruments()
    is_perp = table["instrument_id"] == PERP
    table.loc[is_perp, "lot_size"], table.loc[is_perp, "tick_size"] = 1.0, 0.5
    return ReductionBasis(
        run_id="eod-2026-03-10-1",
        snapshot=small.snapshot(instruments=table),
        positions=small.position_set(("A", PERP, float(CONTRACTS))),
        collateral=small.collateral_set(("A", "BTC", float(COINS))),
        rules=small.rules(small.agreement("A")),
        policy=InForce(rules(), "policy", "tests"),
    )


def failed_call(database: Database) -> str:
    """Return a call that nobody has answered, escalated to reduction."""
    run = bound(database)
    issued = database.calls.issue(run.run_id, with_terms(calls({"A": "100000.25"})))
    database.call_ageing.age(datetime.now(UTC) + timedelta(days=2000), "plimsoll")
    call = database.calls.record(str(issued["call_id"].iloc[0])).call
    assert call["state"] == "reduction"
    return str(call["call_id"])


@dataclass
class Scene:
    """A town in breach, its adapters, and the desk."""

    town: VenueTown
    database: Database
    desk: ReductionDesk
    basis: ReductionBasis
    wiring: object
    standings: AssessedStandings

    @property
    def account(self):
        return self.town.venues["deribit"].book.accounts["1002"]

    @property
    def position(self) -> Decimal:
        return self.account.positions["BTC-PERPETUAL"].quantity

    async def margin(self) -> tuple[Decimal, Decimal]:
        """Return initial margin and equity in bitcoin, as the venue reports them."""
        snapshot = await self.wiring.venues["deribit"].accounts.snapshot(PLACE)
        (found,) = [one for one in snapshot.margins if one.currency == "BTC"]
        return found.initial_margin, found.equity

    def propose(self, cause: str):
        wish = ReductionWish(principal="plimsoll", reason="the call has failed its cure")
        found = propose_reduction(self.database, "A", cause, self.basis, wish)
        assert found.record is not None, found.words
        return found.record

    def approve(self, record):
        for who in ("bob", "carol"):
            if self.database.reductions.get(record.plan_id).state == "proposed":
                self.desk.approve(record.plan_id, who, record.payload_hash, "compared")
        return self.database.reductions.get(record.plan_id)

    async def rounds(self, record, n: int = 60) -> str:
        positions = [self.position]
        for _ in range(n):
            await self.desk.send_due(self.wiring, self.standings)
            await self.desk.resolve_due(self.wiring, everything=True)
            positions.append(self.position)
            if not self.database.reductions.get(record.plan_id).is_open:
                break
            self.database.reductions.list()
            await asyncio.sleep(0.02)
        assert all(0 <= later <= earlier for earlier, later in pairwise(positions)), "I-47"
        return self.database.reductions.get(record.plan_id).state


@pytest.fixture
def database(sqlite_template: Path, quick_folder: Path) -> Iterator[Database]:
    path = quick_folder / "plimsoll.db"
    shutil.copy(sqlite_template, path)
    found = open_database(f"sqlite:///{path}", actor="test")
    yield found
    found.close()


def at_the_venue(work, database: Database, home: Path, monkeypatch, **timing: float) -> None:
    """Run a story against a simulated Deribit whose account is in breach."""
    basis_of = basis()

    async def story() -> None:
        async with build_town(["deribit"], TownParameters(seed=5, tick_seconds=0.05)) as town:
            book = town.venues["deribit"].book
            account = book.accounts["1002"]
            held = account.positions["BTC-PERPETUAL"].quantity
            mark = book.quote("BTC-PERPETUAL").mark_price
            book.fill(account, "BTC-PERPETUAL", CONTRACTS - held, mark)
            book.adjust(account, "BTC", COINS - account.balance("BTC"), "withdrawal")
            told = TownAccount(
                place=PLACE, account_id=ACCOUNT, client_id="client-A", netting_set_id="A"
            )
            for name, value in connect_home(home, town.describe(), [told]).items():
                monkeypatch.setenv(name, value)
            async with open_connections(Settings(home=home)) as connections:
                quick = replace(rules().timing, poll_seconds=0.01, poll_seconds_max=0.05, **timing)
                desk = ReductionDesk(database, replace(rules(), timing=quick), KillSwitch(home))
                standings = AssessedStandings(lambda record: basis_of.prepared("A"))
                await work(Scene(town, database, desk, basis_of, wiring_of(connections), standings))

    asyncio.run(story())


def test_breach_failed_call_plan_approval_orders_and_the_ratio_is_restored(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-47, I-49, G15: and what the venue reports agrees."""

    async def story(s: Scene) -> None:
        initial, equity = await s.margin()
        assert initial > equity, "the venue itself says that the account is in breach"
        record = s.propose(f"call:{failed_call(s.database)}")
        assert record.state == "proposed"
        assert record.figures["ratio_before"] > 1
        assert (await s.desk.send_due(s.wiring, s.standings)).moved == {}
        s.approve(record)
        assert await s.rounds(record) == "restored"
        done = s.database.reductions.get(record.plan_id)
        assert "% of collateral is owed" in done.note
        sold = CONTRACTS - s.position
        orders = s.database.reductions.orders(record.plan_id)
        assert sold == sum(one.filled_lots for one in orders) <= record.intent.leg(1).lots
        assert len(orders) >= 3
        after, left = await s.margin()
        assert after < left, "the venue itself says that it no longer is"
        for order in orders:
            assert s.town.venues["deribit"].book.times_executed(order.order_key) == 1
        s.database.audit.verify()

    at_the_venue(story, database, tmp_path, monkeypatch)


def test_i06_i47_faults_at_the_wire_sell_nothing_twice_and_turn_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F3, F13, F14 and fills in part: what is not clear is looked up by its key."""
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.6)

    async def story(s: Scene) -> None:
        plan = s.town.plan
        for kind, parameters in (
            (FaultKind.RESET_AFTER, {}),
            (FaultKind.BAD_GATEWAY, {"status": 502, "when": "after"}),
            (FaultKind.BROKEN_BODY, {"form": "html"}),
        ):
            plan.inject(Fault(kind=kind, venue="deribit", endpoint="private/sell", times=1,
                              parameters=parameters))  # fmt: skip
        plan.inject(Fault(kind=FaultKind.PARTIAL_FILL, venue="deribit", times=2,
                          channel="BTC-PERPETUAL", parameters={"share": "0.4"}))  # fmt: skip
        record = s.approve(s.propose(f"call:{failed_call(s.database)}"))
        assert await s.rounds(record) == "restored"
        orders = s.database.reductions.orders(record.plan_id)
        assert {one.state for one in orders} <= {"filled", "cancelled", "not_sent"}
        assert sum(one.filled_lots for one in orders) == CONTRACTS - s.position
        events = s.database.reductions.events(record.plan_id)
        assert sum(event.fact == "unclear" for event in events) >= 2

    at_the_venue(story, database, tmp_path, monkeypatch)


def test_i48_the_kill_switch_stops_a_running_reduction_at_once(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(s: Scene) -> None:
        record = s.approve(s.propose(f"call:{failed_call(s.database)}"))
        await s.desk.send_due(s.wiring, s.standings)
        s.desk.kill_switch.arm("dave", "a drill")
        before, n_orders = s.position, len(s.account.orders)
        for _ in range(5):
            await s.desk.send_due(s.wiring, s.standings)
            await s.desk.resolve_due(s.wiring, everything=True)
        assert (s.position, len(s.account.orders)) == (before, n_orders)
        assert s.database.reductions.get(record.plan_id).state == "working"

    at_the_venue(story, database, tmp_path, monkeypatch)


@pytest.mark.slow
def test_i47_a_liquidation_under_way_is_not_topped_up(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F47: the venue takes most of the position itself; the desk sells no more than is left."""

    async def story(s: Scene) -> None:
        from infra.simulator.venues.core.trading import liquidate

        record = s.approve(s.propose(f"call:{failed_call(s.database)}"))
        await s.desk.send_due(s.wiring, s.standings)
        book = s.town.venues["deribit"].book
        liquidate(book, s.account, "BTC-PERPETUAL", Decimal("0.98"))
        left = s.position
        assert await s.rounds(record) in ("restored", "insufficient")
        assert 0 <= s.position <= left
        extra = ReduceOrder(
            key="f" * 32, account_id=PLACE, instrument_id=PERP, side="sell",
            quantity=Decimal(10),
        )  # fmt: skip
        if s.position == 0:
            with pytest.raises(Exception, match="reduce"):
                await s.wiring.venues["deribit"].actions.reduce(extra)

    at_the_venue(story, database, tmp_path, monkeypatch)
