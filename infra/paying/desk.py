"""The payment desk beside the loop: what a call asks for is planned, put on record and sent.

A process of its own with its own database session, so that the loop waits for nothing here. It
plans on what the loop says of its book at that moment, acts under the loop's epoch, and reads from
the record what is to be done: it may be killed anywhere and started again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from engine.errors import (
    InvariantBroken,
    MarginPlatformError,
    MissingDataError,
    StateUnavailable,
)
from engine.transfers.approvals import COLLECTOR
from infra.db.loop_lease import Fenced
from infra.db.transfer_commitments import last_arrival_within, refusals_within
from infra.paying.available import Availability
from infra.paying.collecting import Collector, Seen, collectable
from infra.paying.live import ASKED_MAX, LiveAnswer, LiveBooks
from infra.paying.planning import Payment, Wanted, payment_plan
from infra.paying.reasons import Obstacle, arrival_of, obstacle_of, refusal_of, trusted_places
from infra.paying.settling import settle_paid
from infra.paying.telling import DeskTold, told_of
from infra.paying.valuation import HoldingValuation, holdings_frame
from infra.paying.waiting import OpenDemand, Reason, WaitingCalls

if TYPE_CHECKING:
    from engine.ports import TransferGateway
    from engine.rules import RuleBook
    from infra.connections import AccountConnection
    from infra.db import Database
    from infra.db.intraday_journal import OpenCall
    from infra.db.loop_lease import Lead
    from infra.transfers import TransferDesk, Worked

Duty: TypeAlias = Callable[[], Awaitable[None]]
RESOLVE_SECONDS: Final = 0.5
TELL_SECONDS: Final = 0.5
SCAN_SECONDS: Final = 15.0
"""How often open calls are read anew from the record, whatever was said of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskParts:
    """What a desk works with.

    Attributes
    ----------
    accounts : sequence of AccountConnection
        Places of clients, of which those with the role ``payer`` pay, and of the house.
    rules_of : callable
        Returns the rule book of a close.
    """

    database: Database
    lead: Lead
    books: LiveBooks
    transfers: TransferDesk
    gateways: Mapping[str, TransferGateway]
    accounts: Sequence[AccountConnection]
    rules_of: Callable[[str], RuleBook]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much is done in one go, so that nothing waits long for it."""

    planned: int = 16
    sent: int = 32


@dataclass(slots=True)
class PaymentDesk:
    """One life of the desk: ``run`` until stopped, or until another loop leads."""

    parts: DeskParts
    pace: Pace = field(default_factory=Pace)
    on_told: Callable[[DeskTold], None] | None = None
    more: tuple[tuple[str, Duty], ...] = ()
    """Duties beside payments, by name: each is called again and again while the loop leads."""
    waiting: WaitingCalls = field(default_factory=WaitingCalls)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _to_send: asyncio.Event = field(default_factory=asyncio.Event)
    _rules: tuple[str, RuleBook] | None = None
    _rates: Mapping[str, float] = field(default_factory=dict)
    _scanned: float | None = None
    _said: float = 0.0
    _paid_up_to: dict[str, int] = field(default_factory=dict)
    """Number of the last event of calls of which nothing is left to pay."""
    _unsettled: set[str] | None = None
    """Transfers that have moved and whose calls may not have it yet; None for all."""
    _troubles: dict[str, str] = field(default_factory=dict)

    def called(self, demands: Iterable[OpenDemand]) -> None:
        """Hear of calls that are durable; they are looked at at once."""
        self.waiting.add(demands)
        self._wanted.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Plan, send and resolve until ``stop``.

        Raises
        ------
        Fenced
            If another loop leads: nothing more is begun.
        """
        stopping = asyncio.create_task(stop.wait())
        duties = [
            asyncio.create_task(self._kept(name, duty))
            for name, duty in (
                ("planning", self._plan),
                ("sending", self._send),
                ("resolving", self._resolve),
                *self.more,
            )
        ]
        try:
            await asyncio.wait({stopping, *duties}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stopping, *duties):
                task.cancel()
            ended = await asyncio.gather(*duties, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def _kept(self, name: str, duty: Duty) -> None:
        """Go on with a duty whatever fails but the lead: the record says what is to be done."""
        while True:
            try:
                self._require_lead()
                await duty()
                self._troubles.pop(name, None)
            except Fenced:
                raise
            except MarginPlatformError as error:
                self._troubles[name] = f"{name}: {error}"
                await asyncio.sleep(1.0)

    async def _plan(self) -> None:
        try:
            async with asyncio.timeout(self._pause()):
                await self._wanted.wait()
        except TimeoutError:
            pass
        self._wanted.clear()
        if self._scanned is None or time.monotonic() - self._scanned >= SCAN_SECONDS:
            await self.scan()
        await self.plan_round()
        now = time.monotonic()
        if self.on_told is not None and now - self._said >= TELL_SECONDS:
            self._said = now
            self.on_told(self.told())

    async def _send(self) -> None:
        try:
            async with asyncio.timeout(1.0):
                await self._to_send.wait()
        except TimeoutError:
            pass
        self._to_send.clear()
        if await self.send_round() >= self.pace.sent:
            self._to_send.set()

    async def _resolve(self) -> None:
        await asyncio.sleep(RESOLVE_SECONDS)
        await self.resolve_round()

    async def scan(self) -> None:
        """Read from the record which calls are open; what is at its end waits no more."""
        answer = await self.parts.books.ask(())
        self._rates = answer.rates
        agreements = self._rules_of(answer.close_id).agreements
        opened = self.parts.database.intraday_journal.open_calls()
        found = {
            one.call_id: one
            for name, one in opened.items()
            if one.direction == "call"
            and name in agreements
            and agreements[name].collection == "automatic"
        }
        self._paid_up_to = {
            name: number for name, number in self._paid_up_to.items() if name in found
        }
        self.waiting.keep(found)
        self.waiting.add(
            self._demand(one)
            for name, one in found.items()
            if self._paid_up_to.get(name) != one.n_events
        )
        self._scanned = time.monotonic()

    async def plan_round(self) -> int:
        """Plan calls whose turn it is and put payments on record; return how many were paid."""
        status = self.parts.transfers.kill_switch.status()
        if status.is_armed:
            await asyncio.sleep(0.2)
            return 0
        taken = self.waiting.take(min(self.pace.planned, ASKED_MAX), self._now())
        if not taken:
            return 0
        left = {one.call_id: one for one in taken}
        try:
            answer = await self.parts.books.ask([one.netting_set_id for one in taken])
            self._rates = answer.rates
            available = self._available()
            for one in taken:
                self._settle_turn(one, await self._pay(one, answer, available))
                del left[one.call_id]
                # Sending and resolving have their turn between two calls.
                await asyncio.sleep(0)
        finally:
            for one in left.values():
                self._settle_turn(one, Obstacle("interrupted", "it is taken up again by itself"))
        return len(taken) - len(left)

    async def send_round(self) -> int:
        """Send what is approved, a bounded number; return how many were tried."""
        worked = await self.parts.transfers.send_due(self.parts.gateways, self.pace.sent)
        self._settle(worked)
        return len(worked.moved) + len(worked.waiting)

    async def resolve_round(self) -> int:
        """Ask venues about what is open, and settle calls with what has arrived."""
        worked = await self.parts.transfers.resolve_due(self.parts.gateways)
        self._settle(worked)
        return len(worked.moved)

    def told(self) -> DeskTold:
        """Return what the desk says of itself."""
        status = self.parts.transfers.kill_switch.status()
        trouble = status.sentence if status.is_armed else "; ".join(self._troubles.values())
        return told_of(self.parts.database, self.waiting, trouble)

    def _settle(self, worked: Worked) -> None:
        """Take what has arrived off its calls; what was refused is owed again, and paid anew."""
        if self._unsettled is not None:
            self._unsettled |= set(worked.moved)
        if self._unsettled == set():
            return
        # At first everything: a desk before this one may have been killed right before it.
        settled = settle_paid(self.parts.database, self._unsettled)
        self._unsettled = set()
        if any(one.outcome == "freed" for one in settled):
            self._scanned = None
            self._wanted.set()

    async def _pay(
        self, demand: OpenDemand, answer: LiveAnswer, available: Availability
    ) -> Obstacle | None:
        """Pay one call; return what is in the way, None where nothing is left to be done."""
        parts = self.parts
        record = parts.database.calls.record(demand.call_id)
        seen = Seen(standing=record.standing, n_events=record.call["n_events"])
        amount = collectable(record.standing)
        rules = self._rules_of(answer.close_id)
        agreement = rules.agreements.get(demand.netting_set_id)
        if agreement is None or agreement.collection != "automatic" or not amount:
            self._paid_up_to[demand.call_id] = seen.n_events
            return None
        with parts.database.reading() as connection:
            refusals = refusals_within(connection, demand.call_id, COLLECTOR)
            arrived_at = last_arrival_within(connection, demand.netting_set_id)
        found = (
            refusal_of(refusals)
            or arrival_of(arrived_at, parts.database.clock())
            or obstacle_of(demand.netting_set_id, answer)
        )
        if found is not None:
            return found
        live = answer.standings[demand.netting_set_id]
        places = trusted_places(parts.accounts, agreement.client_id, live, answer.distrusted)
        if isinstance(places, Obstacle):
            return places
        valuation = HoldingValuation(
            netting_set_id=demand.netting_set_id,
            currency=agreement.currency,
            rules=rules,
            rates=places.rates(answer.rates),
            holdings=holdings_frame(demand.netting_set_id, live.holdings),
        )
        wanted = Wanted(
            call_id=demand.call_id,
            owner=agreement.client_id,
            currency=agreement.currency,
            amount=amount,
            sources=places.sources,
            destination=places.destinations[0],
            due_at=record.call["first_due_at"],
            now=parts.database.clock(),
        )
        routed = [replace(wanted, destination=one) for one in places.destinations]
        return await self._paid(routed, seen, valuation, available)

    async def _paid(
        self,
        wishes: Sequence[Wanted],
        seen: Seen,
        valuation: HoldingValuation,
        available: Availability,
    ) -> Obstacle | None:
        parts, wanted, name = self.parts, wishes[0], wishes[0].call_id
        by_hand = f"`plimsoll calls plan {name}` shows what there is; the client funds its places"
        try:
            payment = await self._planned(wishes, valuation, available)
            if not payment.optimum.plan.moves:
                return Obstacle("nothing is free, or limits of the day are used up", by_hand)
            collector = Collector(database=parts.database, lead=parts.lead, desk=parts.transfers)
            legs = collector.collect(payment, seen, valuation)
        except (Fenced, StateUnavailable):
            raise
        except MarginPlatformError as error:
            return Obstacle(str(error), by_hand)
        self._to_send.set()
        if payment.shortfall:
            words = f"{payment.shortfall} {wanted.currency} of it stay unpaid: no more is free"
            return Obstacle(words, by_hand)
        self._paid_up_to[name] = legs[-1].pledge
        return None

    async def _planned(
        self, wishes: Sequence[Wanted], valuation: HoldingValuation, available: Availability
    ) -> Payment:
        """Return the plan to the first destination that anything can be sent to."""
        parts = self.parts
        for number, wanted in enumerate(wishes, start=1):
            try:
                return await payment_plan(
                    wanted,
                    database=parts.database,
                    gateways=parts.gateways,
                    policy=parts.transfers.policy,
                    valuation=valuation,
                    available=available,
                )
            except MissingDataError:
                if number == len(wishes):
                    raise
        raise InvariantBroken("a call was planned without a destination")

    def _settle_turn(self, demand: OpenDemand, obstacle: Obstacle | None) -> None:
        if obstacle is None:
            self.waiting.drop(demand.call_id)
            return
        since = self.parts.database.clock()
        reason = Reason(words=obstacle.words, next_action=obstacle.next_action, since=since)
        self.waiting.postpone(demand.call_id, reason, self._now())

    def _available(self) -> Availability:
        parts = self.parts
        return Availability(
            parts.database, parts.gateways, parts.transfers.policy, parts.database.clock()
        )

    def _rules_of(self, close_id: str) -> RuleBook:
        if self._rules is None or self._rules[0] != close_id:
            self._rules = close_id, self.parts.rules_of(close_id)
        return self._rules[1]

    def _demand(self, one: OpenCall) -> OpenDemand:
        return OpenDemand(
            call_id=one.call_id,
            netting_set_id=one.netting_set_id,
            worth=float(one.amount) * self._rates.get(one.currency, 1.0),
            due_at=one.first_due_at,
        )

    def _pause(self) -> float:
        found = self.waiting.next_at()
        if found is None:
            return 1.0
        return min(max(found - self._now(), 0.0), 1.0) if found else 0.0

    def _now(self) -> float:
        return self.parts.database.clock().timestamp()

    def _require_lead(self) -> None:
        with self.parts.database.reading() as connection:
            self.parts.database.loop_leases.require_within(connection, self.parts.lead)
