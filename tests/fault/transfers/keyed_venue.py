"""A small venue in a process of its own: exact balances in its own SQLite file, JSON over a socket.

It keeps every key and executes it at most once (or keeps none, when asked to), and mistreats
requests by a seeded plan. Time is the caller's: each request says what time it is.
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.errors import NotSent, OutcomeUnknown, VenueRejected, VenueUnavailable
from engine.ports import HeldBalance, Reading, RouteGuarantees, TransferOrder, TransferReport

REQUEST_EXPIRY_SECONDS = 20.0
REPLY_TIMEOUT_SECONDS = 0.15
LATE_SECONDS = 0.25
SCALE = 8
UNIT = Decimal(10) ** SCALE
FAULTS = (
    "reset_before", "reset_after", "late", "error_after", "delayed", "missing_credit",
    "refused_at_once",
)  # fmt: skip
# After a sending that may have worked, a refusal proves something only if nothing else moves there.
FAULTS_ALONE = (*FAULTS, "refused")
# Nobody listens there.
CLOSED_PORT = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS balances (place TEXT, asset TEXT, units INTEGER NOT NULL,
    PRIMARY KEY (place, asset), CHECK (units >= 0)) STRICT;
CREATE TABLE IF NOT EXISTS transfers (number INTEGER PRIMARY KEY, key TEXT NOT NULL,
    source TEXT NOT NULL, destination TEXT NOT NULL, asset TEXT NOT NULL, units INTEGER NOT NULL,
    fee INTEGER NOT NULL, state TEXT NOT NULL, credit_at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS queue (number INTEGER PRIMARY KEY, order_json TEXT NOT NULL,
    accept_at REAL NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS ix_key ON transfers (key);
"""


class Venue:
    """The book of the venue, and how it treats requests."""

    def __init__(self, path: str) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        # The machine is not what is killed here; the venue outlives its clients.
        self.db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;" + SCHEMA)
        self.plan: dict[str, Any] = {"seed": 0, "share": 0.0, "faults": list(FAULTS), "keyed": True}
        self.requests = 0
        self.seen: set[str] = set()

    def settle(self, now: float) -> None:
        """Carry out what is due: late acceptances first, then credits."""
        due = self.db.execute(
            "SELECT number, order_json, accept_at FROM queue WHERE accept_at <= ? "
            "ORDER BY accept_at, number",
            (now,),
        ).fetchall()
        for number, order, accept_at in due:
            self.execute(json.loads(order), accept_at, 0.0)
            self.db.execute("DELETE FROM queue WHERE number = ?", (number,))
        self.db.execute("BEGIN IMMEDIATE")
        rows = self.db.execute(
            "SELECT number, destination, asset, units, fee FROM transfers "
            "WHERE state = 'pending' AND credit_at <= ?",
            (now,),
        ).fetchall()
        for number, destination, asset, units, fee in rows:
            self._add(destination, asset, units - fee)
            self._add("sim/fees", asset, fee)
            self.db.execute("UPDATE transfers SET state = 'credited' WHERE number = ?", (number,))
        self.db.execute("COMMIT")

    def execute(self, order: dict[str, Any], now: float, credit_delay: float) -> dict[str, Any]:
        """Execute an order, once per key where keys are kept."""
        if self.plan["keyed"] and (found := self.find(order["key"])):
            return found
        self.db.execute("BEGIN IMMEDIATE")
        held = self.db.execute(
            "SELECT units FROM balances WHERE place = ? AND asset = ?",
            (order["source"], order["asset"]),
        ).fetchone()
        if held is None or held[0] < order["units"]:
            self.db.execute("ROLLBACK")
            return {"error": "funds"}
        self._add(order["source"], order["asset"], -order["units"])
        self.db.execute(
            "INSERT INTO transfers (key, source, destination, asset, units, fee, state, credit_at) "
            "VALUES (?, ?, ?, ?, ?, ?, 'pending', ?)",
            (order["key"], order["source"], order["destination"], order["asset"], order["units"],
             order["fee"], now + credit_delay),
        )  # fmt: skip
        self.db.execute("COMMIT")
        return {"state": "pending", "id": order["key"][:8], "units": order["units"], "fee": 0}

    def find(self, key: str) -> dict[str, Any] | None:
        """Return the transfer of a key."""
        row = self.db.execute(
            "SELECT number, units, fee, state FROM transfers WHERE key = ? LIMIT 1", (key,)
        ).fetchone()
        if row is None:
            return None
        number, units, fee, state = row
        return {"id": f"T-{number}", "units": units, "fee": fee, "state": state}

    def fault(self, order: dict[str, Any]) -> str:
        """Return what happens to this request; the same seed gives the same answers."""
        self.requests += 1
        draw = random.Random(f"{self.plan['seed']}:{order['key']}:{self.requests}")
        return draw.choice(self.plan["faults"]) if draw.random() < self.plan["share"] else ""

    def _add(self, place: str, asset: str, units: int) -> None:
        changed = self.db.execute(
            "UPDATE balances SET units = units + ? WHERE place = ? AND asset = ?",
            (units, place, asset),
        )
        if changed.rowcount == 0:
            self.db.execute("INSERT INTO balances VALUES (?, ?, ?)", (place, asset, units))


async def serve_client(
    venue: Venue, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer one request per connection."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        line = await reader.readline()
        if line:
            await _answer(venue, json.loads(line), writer)
    writer.close()


async def _answer(venue: Venue, request: dict[str, Any], writer: asyncio.StreamWriter) -> None:
    operation = request["do"]
    if "now" in request:
        venue.settle(request["now"])
    answer: dict[str, Any] = {}
    if operation == "plan":
        venue.plan.update(request["plan"])
    elif operation == "put":
        venue._add(request["place"], request["asset"], request["units"])
    elif operation == "find":
        answer = {"found": venue.find(request["key"]) if venue.plan["keyed"] else None}
    elif operation == "balance":
        row = venue.db.execute(
            "SELECT units FROM balances WHERE place = ? AND asset = ?",
            (request["place"], request["asset"]),
        ).fetchone()
        answer = {"units": row[0] if row else 0}
    elif operation == "book":
        answer = {
            "balances": venue.db.execute("SELECT place, asset, units FROM balances").fetchall(),
            "transfers": venue.db.execute(
                "SELECT key, source, destination, units, fee, state FROM transfers"
            ).fetchall(),
        }
    elif operation == "submit":
        reply = await _submit(venue, request, writer)
        if reply is None:
            return
        answer = reply
    writer.write(json.dumps(answer).encode() + b"\n")
    await writer.drain()


async def _submit(
    venue: Venue, request: dict[str, Any], writer: asyncio.StreamWriter
) -> dict[str, Any] | None:
    order, now = request["order"], request["now"]
    fault = venue.fault(order)
    is_first = order["key"] not in venue.seen
    venue.seen.add(order["key"])
    if fault == "refused" or (fault == "refused_at_once" and is_first):
        # What has been executed is answered as it was; what still waits in a gateway is not known.
        return venue.find(order["key"]) or {"error": "funds"}
    if fault == "reset_before":
        writer.transport.abort()
        return None
    if fault == "delayed":
        # Waits in a gateway and is accepted just before the request expires.
        venue.db.execute(
            "INSERT INTO queue (order_json, accept_at) VALUES (?, ?)",
            (json.dumps(order), now + 0.9 * REQUEST_EXPIRY_SECONDS),
        )
        writer.transport.abort()
        return None
    answer = venue.execute(order, now, 300.0 if fault == "missing_credit" else 0.0)
    if fault == "reset_after":
        writer.transport.abort()
        return None
    if fault == "late":
        await asyncio.sleep(LATE_SECONDS)
    return {"error": "503"} if fault == "error_after" else answer


async def _main(path: str) -> None:
    venue = Venue(path)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve_client(venue, reader, writer)

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


@contextmanager
def running_venue(path: Path) -> Iterator[int]:
    """Run a venue over ``path`` in another process and yield its port."""
    command = [sys.executable, "-m", "tests.fault.transfers.keyed_venue", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


async def ask(port: int, request: dict[str, Any], timeout: float = 5.0) -> dict[str, Any]:
    """Send one request and return its answer; an empty reply is an error of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**27)
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        await writer.drain()
        line = await asyncio.wait_for(reader.readline(), timeout)
    finally:
        writer.close()
    if not line:
        raise ConnectionResetError("the connection ended without an answer")
    found: dict[str, Any] = json.loads(line)
    return found


def tell(port: int, **request: Any) -> dict[str, Any]:
    """Ask from outside an event loop."""
    return asyncio.run(ask(port, request))


@dataclass
class SocketGateway:
    """The venue's adapter: one request, one attempt. ``forgets_keys`` is the planted bug.

    ``closed`` is the share of sendings that find the venue's port closed.
    """

    port: int
    clock: Callable[[], datetime]
    is_keyed: bool = True
    fee: Decimal = Decimal("0.00001")
    forgets_keys: bool = False
    closed: float = 0.0

    def guarantees(self, order: TransferOrder) -> RouteGuarantees:
        """Return what the venue promises."""
        return RouteGuarantees(
            is_keyed=self.is_keyed,
            duplicate_answer="original" if self.is_keyed else "none",
            has_lookup=self.is_keyed,
            request_expiry=timedelta(seconds=REQUEST_EXPIRY_SECONDS),
            settle_window=timedelta(seconds=1),
            fee_max=self.fee,
        )

    async def submit(self, order: TransferOrder) -> TransferReport:
        """Send once."""
        key = order.key
        if self.forgets_keys:
            # What a client library does that makes a new id for every try.
            key = random.SystemRandom().randbytes(16).hex()
        body = {
            "key": key, "source": order.source, "destination": order.destination,
            "asset": order.asset, "units": int(order.quantity * UNIT), "fee": int(self.fee * UNIT),
        }  # fmt: skip
        now = self._now()
        is_closed = random.Random(f"{order.key}:{now}").random() < self.closed
        try:
            answer = await ask(
                CLOSED_PORT if is_closed else self.port,
                {"do": "submit", "order": body, "now": now}, REPLY_TIMEOUT_SECONDS,
            )  # fmt: skip
        except ConnectionRefusedError as error:
            raise NotSent(f"the venue refuses connections: {error}") from error
        except (OSError, TimeoutError) as error:
            raise OutcomeUnknown(f"no clear answer: {error!r}") from error
        if answer.get("error") == "funds":
            raise VenueRejected("not enough there", cause="funds")
        if "error" in answer:
            raise OutcomeUnknown(f"answered {answer['error']}")
        return self._report(order, answer)

    async def find(self, order: TransferOrder) -> TransferReport | None:
        """Look up by key."""
        try:
            answer = await ask(self.port, {"do": "find", "key": order.key, "now": self._now()})
        except (OSError, TimeoutError) as error:
            raise VenueUnavailable(f"no answer: {error!r}") from error
        return self._report(order, answer["found"]) if answer["found"] else None

    async def balance(self, place: str, asset: str) -> HeldBalance:
        """Return what is held."""
        request = {"do": "balance", "place": place, "asset": asset, "now": self._now()}
        try:
            answer = await ask(self.port, request)
        except (OSError, TimeoutError) as error:
            raise VenueUnavailable(f"no answer: {error!r}") from error
        return HeldBalance(asset=asset, quantity=Decimal(answer["units"]) / UNIT)

    def _report(self, order: TransferOrder, answer: dict[str, Any]) -> TransferReport:
        return TransferReport(
            key=order.key,
            venue_transfer_id=answer["id"],
            status=answer["state"],
            quantity=Decimal(answer["units"]) / UNIT,
            reading=Reading(source="sim", received_at=datetime.now(UTC)),
            fee=Decimal(answer["fee"]) / UNIT if answer["state"] == "credited" else Decimal(0),
            is_debited=True,
            is_credited=answer["state"] == "credited",
        )

    def _now(self) -> float:
        return self.clock().timestamp()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
