"""Whole lives of a reduction in processes that are killed, and what must be true afterwards."""

from __future__ import annotations

import asyncio
import pickle
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.order_ports import HedgeOrder, OrderReport, ReduceOrder
from engine.ports import AccountSnapshot
from engine.reduction import ReductionIntent
from engine.reduction.states import ORDER_ENDS, PLAN_ENDS
from infra.db import Database, open_database
from infra.db.reduction_records import NewReduction
from infra.outbound import KillSwitch
from infra.reduction import ReductionDesk
from tests.fault.databases import Template, in_memory
from tests.fault.forks import in_child
from tests.fault.outcomes import Outcome, Wrong
from tests.fault.transfers.lives import SharedClock
from tests.integration.reduction.fake_venue import Markets
from tests.worlds.reductions import PERP, intent, leg, policy

Tell = Callable[[Outcome], None]
HELD, LOTS = Decimal(5), 40
ROUNDS_MAX = 400
MIX = (
    "clean", "clean", "partial", "not_sent", "reset_before", "reset_after", "delayed", "slow",
    "broken_adapter",
)  # fmt: skip
RULES = policy(caps={"failures_max": 50}, plan_lifetime_minutes=6_000.0)


@dataclass
class KeptVenue(Markets):
    """The venue, whose books a killed client leaves as they are; it treats orders by a seed."""

    file: Path = Path()
    seed: int = 0
    forgets_keys: bool = False
    """The planted bug: what a client library does that makes a new id for every try."""
    kept: tuple[str, ...] = field(default=("positions", "orders", "queue", "n_submitted"))

    def read(self) -> None:
        """Take the books up where they are."""
        if self.file.exists():
            for name, value in pickle.loads(self.file.read_bytes()).items():
                setattr(self, name, value)

    def write(self) -> None:
        """Keep the books, whole or not at all."""
        new = self.file.with_suffix(".new")
        new.write_bytes(pickle.dumps({name: getattr(self, name) for name in self.kept}))
        new.replace(self.file)

    async def snapshot(self, account_id: str) -> AccountSnapshot:
        self.read()
        found = await super().snapshot(account_id)
        self.write()
        return found

    async def find_order(
        self, account_id: str, key: str, instrument_id: str = ""
    ) -> OrderReport | None:
        self.read()
        found = await super().find_order(account_id, key, instrument_id)
        self.write()
        return found

    async def cancel_order(self, account_id: str, order_id: str, instrument_id: str) -> None:
        self.read()
        await super().cancel_order(account_id, order_id, instrument_id)
        self.write()

    def _submit(self, order: ReduceOrder | HedgeOrder, *, is_reduce_only: bool) -> OrderReport:
        self.read()
        draw = random.Random(f"{self.seed}:{self.n_submitted}")
        self.treatment = draw.choice(MIX) if self.seed else "clean"
        try:
            return super()._submit(order, is_reduce_only=is_reduce_only)
        finally:
            if self.forgets_keys and self.orders and self.orders[-1].key == order.key:
                self.orders[-1].key = random.SystemRandom().randbytes(16).hex()
            self.write()


@dataclass(frozen=True)
class Life:
    """One reduction: where its database and its venue are."""

    url: str
    folder: Path
    clock: SharedClock
    seed: int
    is_planted: bool = False

    @property
    def intent(self) -> ReductionIntent:
        """Return what is to be reduced: four of five perpetuals."""
        return intent(leg(lots=LOTS), cause=f"hand:{self.seed}")

    def venue(self) -> KeptVenue:
        """Return the venue with its books."""
        found = KeptVenue(
            self.clock, positions={PERP: HELD}, file=self.folder / "venue", seed=self.seed,
            forgets_keys=self.is_planted,
        )  # fmt: skip
        found.read()
        return found


_opened: dict[str, Database] = {}


def open_at(life: Life) -> Database:
    """Return the database of a life; what is compiled in this process serves its children too."""
    if life.url not in _opened:
        _opened[life.url] = open_database(life.url, wait_seconds=20.0, actor="test")
    _opened[life.url].clock = life.clock
    return _opened[life.url]


def live(life: Life) -> None:
    """Live from wherever the reduction stands to its end."""
    database = open_at(life)
    desk = ReductionDesk(database, RULES, KillSwitch(life.folder, life.clock))
    new = NewReduction(
        intent=life.intent, mode="approval", status="restores", cost=Decimal(1), figures={},
        proposer="alice", reason="test", valid_until=_END,
    )  # fmt: skip
    record = desk.propose(new)
    for who in ("bob", "carol"):
        known = database.reductions.approvals(record.plan_id)
        if database.reductions.get(record.plan_id).state == "proposed" and who not in known:
            desk.approve(record.plan_id, who, record.payload_hash)
    asyncio.run(_drive(life, desk, record.plan_id))
    database.close()


async def _drive(life: Life, desk: ReductionDesk, plan_id: str) -> None:
    wiring = life.venue().wiring
    for _ in range(ROUNDS_MAX):
        await desk.send_due(wiring)
        await desk.resolve_due(wiring)
        if desk.database.reductions.get(plan_id).state in PLAN_ENDS:
            return
        life.clock.advance(3.0)
    raise AssertionError("a life did not end")


def wrongs(life: Life, name: str) -> list[Wrong]:
    """Return what is wrong: sent twice, lost, turned round, beyond the leg, or not recorded.

    I-06 (one execution per key, and as the state says), I-47 (children within the parent, the
    position never grows or turns), I-51 (the chain verifies).
    """
    database, venue = open_at(life), life.venue()
    record = database.reductions.list()[0]
    orders = {one.order_key: one for one in database.reductions.orders(record.plan_id)}
    database.audit.verify()
    database.close()
    found: list[Wrong] = []

    def wrong(kind: Any, sentence: str) -> None:
        found.append(Wrong(kind, f"{name}: {sentence}"))

    if record.state not in PLAN_ENDS:
        wrong("lost", f"the plan is {record.state}")
    executed = Counter(one.key for one in venue.orders)
    for key, n in executed.items():
        if n > 1:
            wrong("duplicated", f"I-06 {key} was executed {n} times")
        if key not in orders:
            wrong("duplicated", f"I-06 {key} was executed and nobody recorded it")
    by_key = {one.key: one for one in venue.orders}
    lot = record.intent.leg(1).lot
    for key, order in orders.items():
        filled = by_key[key].filled if key in by_key else Decimal(0)
        if order.state not in ORDER_ENDS:
            wrong("lost", f"order {key} is {order.state}")
        if order.filled_lots * lot != filled:
            wrong("lost", f"order {key} has {order.filled_lots} lots, the venue {filled}")
        if key not in by_key and order.state in ("filled", "cancelled"):
            wrong("lost", f"order {key} is {order.state} and was never there")
    sold = sum(one.filled for one in venue.orders)
    if sold > LOTS * lot or not 0 <= venue.positions[PERP] == HELD - sold:
        wrong("books", f"I-47 {sold} were sold, {venue.positions[PERP]} are left of {HELD}")
    if sold != LOTS * lot:
        wrong("lost", f"{sold} were sold, not {LOTS * lot}")
    return found


def sweep(
    template: Template,
    seed: int,
    every: int = 1,
    tell: Tell | None = None,
    *,
    planted: bool = False,
) -> Outcome:
    """Kill at every ``every``-th point of a seed's life, with a second kill in recovery."""
    total = Outcome()
    with in_memory() as folder, template.copies(folder) as copy:

        def new_life() -> Life:
            (folder / "venue").unlink(missing_ok=True)
            return Life(copy(), folder, SharedClock(), seed, planted)

        if not planted:
            # Lived here too, so that the children need not compile their statements.
            live(new_life())
        points = in_child(_live_a_while, new_life()).points
        dice = random.Random(seed)
        for point in range(1 + seed % every, len(points) + 1, every):
            second = dice.randint(1, max(len(points) - point, 12))
            found = _killed(new_life(), point, second, dice)
            total += found
            if tell is not None:
                tell(found)
    return total


def _killed(life: Life, point: int, second: int, dice: random.Random) -> Outcome:
    name = f"seed {life.seed}, killed at point {point} and at {second} of its recovery"
    died: Counter[str] = Counter()
    for kill_at in (point, second):
        ended = in_child(_live_a_while, life, kill_at)
        died.update(ended.points[-1:] if ended.is_killed else ())
        life.clock.advance(dice.choice([0.01, 1.0, 15.0, 60.0]))
    try:
        live(life)
        wrong = tuple(wrongs(life, name))
    except AssertionError as error:
        wrong = (Wrong("lost", f"{name}: {error}"), *wrongs(life, name))
    return Outcome(1, died.total(), dict(died), wrong)


def _live_a_while(life: Life) -> None:
    """Live, but let a life that cannot end be left where it is."""
    try:
        live(life)
    except AssertionError as error:
        assert "did not end" in str(error)


_END: datetime = datetime(2027, 1, 1, tzinfo=UTC)
