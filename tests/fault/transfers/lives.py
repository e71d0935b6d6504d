"""Whole lives of transfers in processes that are killed, and what must be true afterwards."""

from __future__ import annotations

import asyncio
import mmap
import os
import random
import signal
import struct
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.ports import Reading, TransferReport
from engine.transfers import TransferIntent
from engine.transfers.policy import ApprovalTier, AssetRule, RouteLimit, Timing, TransferPolicy
from engine.transfers.whitelist import WhitelistEntry
from infra import crashpoints
from infra.db import Database, open_database
from infra.db.ledger import Entry, Posting
from infra.transfers import KillSwitch, TransferDesk
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
    gateway = SocketGateway(place.port, place.clock, forgets_keys=place.planted)
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


def in_child(work: Callable[[Place], None], place: Place, kill_at: int = 0) -> int:
    """Run ``work`` in a forked process that dies at its ``kill_at``-th crash point.

    Returns
    -------
    int
        0 if it was killed, else the number of points that it reached.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reader)
            os.environ[crashpoints.VARIABLE] = f"#{kill_at}"
            work(place)
            os.write(writer, str(next(crashpoints._numbers)).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writer)
    answer = os.read(reader, 100)
    os.close(reader)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return 0
    assert os.WEXITSTATUS(status) == 0, "the process failed, see its traceback"
    return int(answer)


def killed_life(place: Place, kill_at: int, seed: int) -> int:
    """Live, be killed at a point, be killed again while recovering, then live to the end.

    Returns
    -------
    int
        How often it was killed.
    """
    draw = random.Random(f"{seed}:{kill_at}")
    kills = int(in_child(live, place, kill_at) == 0)
    place.clock.advance(draw.choice([0.01, 1.0, 15.0, 60.0]))
    kills += int(in_child(live, place, draw.randint(1, 12)) == 0)
    place.clock.advance(draw.choice([0.01, 1.0, 15.0, 60.0]))
    in_child(live, place)
    return kills


def wrongs(place: Place, *, at_end: bool = True) -> list[str]:
    """Return what is wrong with the books: lost, doubled, in transit, or not adding up.

    Held against the invariants: I-06 (executions per key are 0 or 1, and as the state says), I-08
    (in transit is the sum of open transfers), I-11 (out = in + fee), I-15 (counted once).
    """
    database = open_at(place)
    book = tell(place.port, do="book", now=place.clock().timestamp())
    records = {one.transfer_key: one for one in database.transfers.list()}
    units = {
        row["account"]: int(row["amount"].scaleb(SCALE))
        for row in database.ledger.balances().to_dict(orient="records")
    }
    database.audit.verify()
    database.close()
    venue = {name: held for name, asset, held in book["balances"] if asset == ASSET}
    executed: dict[str, list[Any]] = {}
    for row in book["transfers"]:
        executed.setdefault(row[0], []).append(row)
    found = _wrong_executions(records, executed, place, at_end)
    transit = {name: held for name, held in units.items() if name.startswith("transit:") and held}
    open_keys = {
        f"transit:{key}": one.intent.amount
        for key, one in records.items()
        if one.debited_at is not None and one.credited_at is None and one.state != "rejected"
    }
    if transit != open_keys:
        found.append(f"I-08 in transit {transit}, open transfers {open_keys}")
    unseen_debits = sum(
        row[3] for rows in executed.values() for row in rows
        if row[0] not in records or records[row[0]].debited_at is None
    )  # fmt: skip
    unseen_credits = sum(
        row[3] - row[4] for rows in executed.values() for row in rows
        if row[5] == "credited"
        and (row[0] not in records or records[row[0]].credited_at is None)
    )  # fmt: skip
    if units.get(f"location:{A}", 0) - venue.get(A, 0) != unseen_debits:
        found.append(f"I-15 source: ledger {units.get(f'location:{A}')}, venue {venue.get(A)}")
    if venue.get(B, 0) - units.get(f"location:{B}", 0) != unseen_credits:
        found.append(f"I-15 target: ledger {units.get(f'location:{B}')}, venue {venue.get(B)}")
    inside = sum(held for name, held in units.items() if name != "outside:world")
    if inside != STORED or inside != -units["outside:world"]:
        found.append(f"I-01 {inside} of {STORED} are inside")
    if at_end and transit:
        found.append(f"left in transit: {transit}")
    return found


def _wrong_executions(
    records: dict[str, Any], executed: dict[str, list[Any]], place: Place, at_end: bool
) -> list[str]:
    found = []
    for one in place.intents:
        n = len(executed.get(one.key, []))
        record = records.get(one.key)
        if n > 1:
            found.append(f"I-06 {one.key} was executed {n} times")
        if not at_end:
            continue
        if record is None or record.state != "reconciled":
            found.append(f"lost: {one.key} is {record.state if record else 'not recorded'}")
        elif n != 1:
            found.append(f"I-06 {one.key} is reconciled and was executed {n} times")
        elif executed[one.key][0][3] != one.amount or executed[one.key][0][4] != FEE:
            found.append(f"I-11 {one.key}: {executed[one.key]}")
    strangers = set(executed) - set(records)
    if strangers:
        found.append(f"I-06 executed under keys that nobody recorded: {sorted(strangers)}")
    return found
