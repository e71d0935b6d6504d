"""Whole lives of transfers in processes that are killed, and what must be true afterwards."""

from __future__ import annotations

import asyncio
import mmap
import random
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.ports import Reading, TransferReport
from engine.transfers import TransferIntent
from engine.transfers.policy import ApprovalTier, AssetRule, RouteLimit, Timing, TransferPolicy
from engine.transfers.whitelist import WhitelistEntry
from infra.db import Database, open_database
from infra.db.ledger import Entry, Posting
from infra.transfers import KillSwitch, TransferDesk
from tests.fault.forks import in_child
from tests.fault.transfers.keyed_venue import SocketGateway, tell

START = datetime(2026, 11, 21, 6, tzinfo=UTC)
ASSET = "BTC"
SCALE = 8
A, B = "sim/a", "sim/b"
STORED = 10**15
FEE = 1_000
ROUNDS_MAX = 400

TIMING = Timing(
    skew_seconds=1.0,
    poll_seconds=2.0,
    poll_seconds_max=30.0,
    ask_after_seconds=600.0,
    credit_due_seconds=3600.0,
    final_after_seconds=5.0,
    send_timeout_seconds=2.0,
    send_delay_seconds_max=2.0,
    attempts_max=10,
    balance_tolerance=0.0,
)


def policy(limit: str = "100000", approvers: int = 1) -> TransferPolicy:
    """Return rules under which the lives are lived."""
    amount = Decimal(limit)
    return TransferPolicy(
        effective_date=date(2019, 1, 1),
        source="tests",
        environment="sim",
        approval_lifetime_hours=240.0,
        whitelist_cool_off_hours=0.0,
        timing=TIMING,
        assets={
            ASSET: AssetRule(
                scale=SCALE,
                transfer_max=Decimal(1000),
                fee_max=Decimal("0.001"),
                tiers=(ApprovalTier(above=Decimal(0), approvers=approvers),),
            )
        },
        limits=(RouteLimit("*", "*", ASSET, amount, amount),),
    )


class SharedClock:
    """A clock that the next process finds where the killed one has left it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)
        self._write(0.0)

    def __call__(self) -> datetime:
        """Return the time; it never stands still."""
        self.advance(0.001)
        return START + timedelta(seconds=self._read())

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._write(self._read() + seconds)

    def _read(self) -> float:
        found: float = struct.unpack("d", self._memory[:8])[0]
        return found

    def _write(self, seconds: float) -> None:
        self._memory[:8] = struct.pack("d", seconds)


@dataclass(frozen=True)
class Place:
    """Where a life takes place; ``planted`` makes a new id for every sending."""

    url: str
    port: int
    home: Path
    clock: SharedClock
    planted: bool = False
    rules: TransferPolicy = policy()  # noqa: RUF009 - a frozen value
    intents: tuple[TransferIntent, ...] = ()
    hints: int = 0
    """Seed of repeated webhooks; 0 for none."""
    closed: float = 0.0
    """Share of sendings that find nobody who takes the connection."""


def intent(number: int, amount: int = 5_000_000) -> TransferIntent:
    """Return the intent of a life."""
    return TransferIntent(
        purpose=f"call-{number}", leg=1, source=A, destination=B, asset=ASSET, amount=amount,
        scale=SCALE,
    )  # fmt: skip


_opened: dict[str, Database] = {}


def open_at(place: Place) -> Database:
    """Return the database of a place under its clock.

    A closed one is kept: what SQLAlchemy has compiled in this process serves its children too.
    """
    if place.url not in _opened:
        _opened[place.url] = open_database(
            place.url, wait_seconds=20.0, actor="test", clock=place.clock
        )
    return _opened[place.url]


def desk_at(place: Place, database: Database) -> TransferDesk:
    """Return the desk of a place."""
    return TransferDesk(database, place.rules, KillSwitch(place.home, place.clock))


def gateway_at(place: Place, **changes: Any) -> SocketGateway:
    """Return the venue's gateway under the place's clock."""
    gateway = SocketGateway(
        place.port, place.clock, forgets_keys=place.planted, closed=place.closed
    )
    return replace(gateway, **changes)


def prepare(place: Place) -> None:
    """List the destination, and put the same assets in the ledger and at the venue."""
    database = open_at(place)
    wanted = WhitelistEntry(
        entry_id="", destination=B, asset=ASSET, network="", address="", memo=""
    )
    listed = database.whitelist.propose(wanted, "carol", "test")
    if listed.active_from is None:
        database.whitelist.approve(listed.entry_id, "dave", "test", timedelta(0))
    database.ledger.register_assets({ASSET: SCALE})
    database.ledger.post(
        Entry("opening", "test", START.date(), None,
              (Posting("outside:world", f"location:{A}", ASSET, STORED),))
    )  # fmt: skip
    database.close()
    tell(place.port, do="put", place=A, asset=ASSET, units=STORED)


def live(place: Place) -> None:
    """Live the intents of a place from wherever they stand to their ends."""
    database = open_at(place)
    desk = desk_at(place, database)
    done = {one.transfer_key for one in database.transfers.list()
            if one.state != "proposed"}  # fmt: skip
    for one in place.intents:
        if one.key in done:
            continue
        record = desk.propose(one, "alice", "test")
        if record.state == "proposed":
            desk.approve(record.transfer_key, "bob", record.payload_hash)
    asyncio.run(_drive(place, desk))
    database.close()


async def _drive(place: Place, desk: TransferDesk) -> None:
    gateways = {"sim": gateway_at(place)}
    draw = random.Random(place.hints)
    for _ in range(ROUNDS_MAX):
        await desk.send_due(gateways)
        await desk.resolve_due(gateways)
        if not desk.database.transfers.list(["new", "unknown", "done", "credited", "stuck"]):
            return
        if place.hints:
            _hint(desk, place.intents, draw)
        place.clock.advance(draw.uniform(1.0, 8.0))
    raise AssertionError("a life did not end")


def _hint(desk: TransferDesk, intents: Sequence[TransferIntent], draw: random.Random) -> None:
    """Deliver webhooks twice, out of order and with nonsense in them."""
    for one in draw.choices(intents, k=3):
        report = TransferReport(
            key=one.key, venue_transfer_id="W", quantity=one.quantity,
            status=draw.choice(["pending", "done", "credited", "rejected"]),
            reading=Reading(source="webhook", received_at=desk.database.clock()),
        )  # fmt: skip
        assert desk.ingest(report)
        assert desk.ingest(report)


def killed_life(place: Place, kill_at: int, seed: int) -> Counter[str]:
    """Live, be killed at a point, be killed again while recovering, then live to the end.

    Returns
    -------
    Counter of str
        The crash points at which it was killed.
    """
    draw = random.Random(f"{seed}:{kill_at}")
    died: Counter[str] = Counter()
    for point in (kill_at, draw.randint(1, 12)):
        ended = in_child(live, place, point)
        if ended.is_killed:
            died[ended.points[-1]] += 1
        place.clock.advance(draw.choice([0.01, 1.0, 15.0, 60.0]))
    in_child(live, place)
    return died
