"""Who answers the calls of a drill: each client pays from its reserve, two people approve.

Planner, pledges, transfer desk and adapters are those that every payment takes. Only people are
made up: they need some minutes of the day before a transfer is approved.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.errors import MarginPlatformError, MissingDataError
from engine.transfers import WhitelistEntry
from engine.transfers.whitelist import entry_id
from infra.connections import open_connections
from infra.drill.clients import DrillClient
from infra.outbound import KillSwitch
from infra.paying.live import LiveHolding
from infra.paying.planning import Wanted, payment_plan
from infra.paying.pledging import Payers, pledge_and_propose
from infra.paying.settling import settle_paid
from infra.paying.valuation import HoldingValuation, holdings_frame
from infra.settings import Settings
from infra.transfers import TransferDesk, policy_in_force
from infra.venues.pace import Pace, paced

if TYPE_CHECKING:
    from engine.rules import RuleBook
    from infra.clock import Clock
    from infra.connections import Connections
    from infra.db import Database
    from infra.intraday.core import LoopCore

CLIENT: Final = "client"
TREASURY: Final = "treasury"
APPROVERS: Final = ("anna", "ben", "carla")
_REASON: Final = "a drill on simulated venues"
_NO_WAIT: Final = timedelta(0)
_AGAIN: Final = timedelta(minutes=1)
_ROUND_SECONDS_MAX: Final = 120.0
_PACE: Final = Pace(times=1_000.0, slack=60.0)
_OPEN: Final = ("proposed", "approved", "new", "unknown", "done", "credited", "stuck")
_TO_BE_RESOLVED: Final = ("unknown", "done", "credited", "stuck")


@dataclass(frozen=True, slots=True)
class Cover:
    """What counts as collateral just now, as the loop says it: holdings and dollar prices."""

    holdings: Mapping[str, tuple[LiveHolding, ...]]
    rates: Mapping[str, float]
    rules: RuleBook


def cover_of(core: LoopCore) -> Cover:
    """Return the present collateral of a loop's book, and the prices that count."""
    from engine.market import known_rates

    snapshot, _, collateral = core.book.inputs()
    holdings: dict[str, list[LiveHolding]] = {}
    for row in collateral.holdings.to_dict(orient="records"):
        holdings.setdefault(str(row["netting_set_id"]), []).append(
            LiveHolding(
                location=str(row["location"]), asset=str(row["asset"]), state=str(row["state"]),
                quantity=float(row["quantity"]),
            )
        )  # fmt: skip
    found = {name: tuple(rows) for name, rows in holdings.items()}
    return Cover(found, known_rates(snapshot, core.base.rules), core.base.rules)


@dataclass(slots=True)
class Treasury:
    """Rounds of payment, in a thread with connections of its own, as a process beside the loop."""

    database: Database
    home: Path
    clients: Mapping[str, DrillClient]
    clock: Clock
    approval: timedelta
    troubles: dict[str, str] = field(default_factory=dict)
    """What kept a call from being paid last, by call."""
    _again: dict[str, datetime] = field(default_factory=dict)
    _loop: asyncio.AbstractEventLoop | None = None
    _connections: Connections | None = None
    _ready: threading.Event = field(default_factory=threading.Event)
    _stop: asyncio.Event | None = None
    _thread: threading.Thread | None = None
    _failed: BaseException | None = None

    def __enter__(self) -> Treasury:
        """Open the connections."""
        self._thread = threading.Thread(target=self._serve, daemon=True, name="treasury")
        self._thread.start()
        self._ready.wait(_ROUND_SECONDS_MAX)
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(self, *_: object) -> None:
        """Close them."""
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_ROUND_SECONDS_MAX)

    def list_destinations(self, known: Sequence[Mapping[str, str]]) -> None:
        """Put the clients' own accounts on the whitelist, two people as always."""
        chains = {(one["place"], one["asset"]): one for one in known}
        for client in self.clients.values():
            if not client.payer:
                continue
            told = chains.get((client.place, client.reserve))
            is_internal = client.payer.partition("/")[0] == client.venue
            network, address = "", ""
            if not is_internal and told is not None:
                network, address = told["network"], told["address"]
            name = entry_id(client.place, client.reserve, network, address, "")
            entry = WhitelistEntry(
                entry_id=name, destination=client.place, asset=client.reserve, network=network,
                address=address, memo="",
            )  # fmt: skip
            self.database.whitelist.propose(entry, TREASURY, _REASON)
            self.database.whitelist.approve(name, APPROVERS[0], _REASON, _NO_WAIT)

    def round(self, cover: Cover) -> Future[int]:
        """Begin one round; it gives how many pledges came to their end in it."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(self._round(cover), self._loop)

    def do(self, work: Any) -> Any:
        """Run a coroutine made from the open connections and return what it gives."""
        assert self._loop is not None
        made = work(self._connections)
        return asyncio.run_coroutine_threadsafe(made, self._loop).result(_ROUND_SECONDS_MAX)

    def is_idle(self) -> bool:
        """Return whether no call is open and no transfer on its way."""
        is_called = any(
            one.direction == "call" for one in self.database.intraday_journal.open_calls().values()
        )
        return not is_called and not self.database.transfers.list(_OPEN)

    def _serve(self) -> None:
        async def work() -> None:
            with paced(_PACE):
                async with open_connections(Settings(home=self.home), self.clock) as opened:
                    self._connections = opened
                    self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
                    self._ready.set()
                    await self._stop.wait()

        try:
            asyncio.run(work())
        except BaseException as error:  # noqa: BLE001  (told to whoever waits)
            self._failed = error
            self._ready.set()

    def _desk(self) -> TransferDesk:
        policy = policy_in_force(self.clock().date(), self.home / "parameters").policy
        return TransferDesk(self.database, policy, KillSwitch(self.home, self.clock))

    async def _round(self, cover: Cover) -> int:
        assert self._connections is not None
        opened = self._connections
        gateways = {name: venue.transfers for name, venue in opened.venues.items()}
        gateways |= {name: one.transfers for name, one in opened.custodians.items()}
        desk = self._desk()
        for call in self.database.intraday_journal.open_calls().values():
            now = self.clock()
            if call.direction != "call" or now < self._again.get(call.call_id, now):
                continue
            try:
                await self._pay(call.call_id, call.netting_set_id, cover, desk, gateways)
                self.troubles.pop(call.call_id, None)
            except MarginPlatformError as error:
                # Taken up again with the next round: a venue may be gone, or the loop have called
                # anew meanwhile.
                self.troubles[call.call_id] = str(error)
                self._again[call.call_id] = now + _AGAIN
        self._approve(desk)
        await desk.send_due(gateways)
        if self.database.transfers.list(_TO_BE_RESOLVED):
            await desk.resolve_due(gateways)
        return len(settle_paid(self.database))

    async def _pay(
        self,
        call_id: str,
        netting_set_id: str,
        cover: Cover,
        desk: TransferDesk,
        gateways: Mapping[str, Any],
    ) -> None:
        from infra.db import Act

        client, record = self.clients[netting_set_id], self.database.calls.record(call_id)
        standing = record.standing
        amount = standing.uncovered or max(standing.outstanding - standing.in_flight, Decimal(0))
        if not amount or not client.payer:
            return
        if standing.unanswered:
            agreeing = Act(principal=CLIENT, reason="the figure is ours too")
            self.database.call_actions.agree(call_id, agreeing)
        valuation = HoldingValuation(
            netting_set_id=netting_set_id,
            currency=str(record.call["currency"]),
            rules=cover.rules,
            rates=cover.rates,
            holdings=holdings_frame(netting_set_id, cover.holdings.get(netting_set_id, ())),
        )
        wanted = Wanted(
            call_id=call_id, owner=client.client_id, currency=str(record.call["currency"]),
            amount=amount, sources=(client.payer,), destination=client.place,
            due_at=record.call["first_due_at"], now=self.clock(),
        )  # fmt: skip
        payers = Payers(pledger=CLIENT, proposer=TREASURY, reason=_REASON)
        payment = await payment_plan(
            wanted, database=self.database, gateways=gateways, policy=desk.policy,
            valuation=valuation,
        )  # fmt: skip
        if not payment.optimum.plan.moves:
            raise MissingDataError(
                f"call {call_id}: nothing of {client.payer} pays {amount} in time",
                identifier=call_id,
                value=amount,
            )
        tuple(
            pledge_and_propose(
                payment, payers, database=self.database, desk=desk, valuation=valuation
            )
        )

    def _approve(self, desk: TransferDesk) -> None:
        now: datetime = self.clock()
        for record in self.database.transfers.list(("proposed",)):
            if now - record.recorded_at < self.approval:
                continue
            for name in APPROVERS:
                if self.database.transfers.get(record.transfer_key).state != "proposed":
                    break
                desk.approve(record.transfer_key, name, record.payload_hash, _REASON)
