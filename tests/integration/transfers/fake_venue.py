"""A venue in this process, exact and obedient: what it does to each request is said beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from engine.errors import Maintenance, NotSent, OutcomeUnknown, VenueRejected, VenueUnavailable
from engine.ports import HeldBalance, Reading, RouteGuarantees, TransferOrder, TransferReport
from engine.transfers import TransferIntent, TransferPolicy, WhitelistEntry
from engine.transfers.policy import ApprovalTier, AssetRule, RouteLimit, Timing
from infra.db import Database
from infra.db.ledger import Entry, Posting

EXPIRY = timedelta(seconds=20)
FEE = Decimal("0.00001000")
TREATMENTS = (
    "clean", "not_sent", "maintenance", "reset_before", "reset_after", "delayed", "refused",
    "broken_adapter",
)  # fmt: skip
TIMING = Timing(
    skew_seconds=1.0,
    poll_seconds=2.0,
    poll_seconds_max=30.0,
    ask_after_seconds=300.0,
    credit_due_seconds=900.0,
    final_after_seconds=5.0,
    send_timeout_seconds=2.0,
    send_delay_seconds_max=2.0,
    attempts_max=3,
    balance_tolerance=0.0,
)


@dataclass
class Clock:
    """A clock that is turned by hand."""

    now: datetime

    def __call__(self) -> datetime:
        """Return the time; two readings are never the same."""
        self.now += timedelta(microseconds=1)
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


@dataclass
class FakeVenue:
    """Balances, executions by key, and requests that wait to be accepted."""

    clock: Callable[[], datetime]
    balances: dict[str, Decimal] = field(default_factory=dict)
    executed: list[TransferOrder] = field(default_factory=list)
    credited: set[str] = field(default_factory=set)
    queue: list[tuple[datetime, TransferOrder]] = field(default_factory=list)
    is_keyed: bool = True
    has_lookup: bool = True
    treatment: str = "clean"
    lookups_fail: bool = False
    credits_wait: bool = False
    n_submitted: int = 0
    key_lifetime: timedelta | None = None
    on_submit: Callable[[], None] = lambda: None

    def guarantees(self, order: TransferOrder) -> RouteGuarantees:
        """Return what the venue promises."""
        return RouteGuarantees(
            is_keyed=self.is_keyed,
            duplicate_answer="original" if self.is_keyed else "none",
            has_lookup=self.has_lookup,
            request_expiry=EXPIRY,
            settle_window=timedelta(seconds=1),
            key_lifetime=self.key_lifetime,
            fee_max=FEE,
        )

    async def submit(self, order: TransferOrder) -> TransferReport:
        """Treat a request as said."""
        self.n_submitted += 1
        self.on_submit()
        self._settle()
        if self.treatment == "not_sent":
            raise NotSent("connection refused")
        if self.treatment == "maintenance":
            raise Maintenance("settlement", retry_after_seconds=30.0)
        if self.treatment == "reset_before":
            raise OutcomeUnknown("reset by peer")
        if self.treatment == "refused":
            raise VenueRejected("the venue does not want it", cause="policy")
        if self.treatment == "delayed":
            self.queue.append((self.clock() + EXPIRY * 0.9, order))
            raise OutcomeUnknown("timed out")
        if not self._execute(order):
            raise VenueRejected("not enough there", cause="funds")
        if self.treatment == "reset_after":
            raise OutcomeUnknown("reset by peer")
        if self.treatment == "broken_adapter":
            raise KeyError("result")
        return self._report(order)

    async def find(self, order: TransferOrder) -> TransferReport | None:
        """Look up by key."""
        if self.lookups_fail:
            raise VenueUnavailable("503")
        self._settle()
        keys = [one.key for one in self.executed]
        if not self.has_lookup or order.key not in keys:
            return None
        return self._report(order)

    async def balance(self, place: str, asset: str) -> HeldBalance:
        """Return what is held."""
        self._settle()
        return HeldBalance(asset=asset, quantity=self.balances.get(place, Decimal(0)))

    def n_executions(self, key: str) -> int:
        """Return how often a key was executed, whatever is still waiting."""
        return sum(1 for one in self.executed if one.key == key)

    def _settle(self) -> None:
        now = self.clock()
        due = [order for at, order in self.queue if at <= now]
        self.queue = [(at, order) for at, order in self.queue if at > now]
        for order in due:
            self._execute(order)
        for order in self.executed:
            if order.key not in self.credited and not self.credits_wait:
                self.credited.add(order.key)
                there = self.balances.get(order.destination, Decimal(0))
                self.balances[order.destination] = there + order.quantity - FEE

    def _execute(self, order: TransferOrder) -> bool:
        if self.is_keyed and self.n_executions(order.key):
            return True
        held = self.balances.get(order.source, Decimal(0))
        if held < order.quantity:
            return False
        self.balances[order.source] = held - order.quantity
        self.executed.append(order)
        return True

    def _report(self, order: TransferOrder) -> TransferReport:
        is_credited = order.key in self.credited
        return TransferReport(
            key=order.key,
            venue_transfer_id=f"T-{order.key[:6]}",
            status="credited" if is_credited else "pending",
            quantity=order.quantity,
            reading=Reading(source="fake", received_at=self.clock()),
            fee=FEE if is_credited else Decimal(0),
            is_debited=True,
            is_credited=is_credited,
        )


def rules(
    *, limit: str = "1000", tiers: tuple[tuple[str, int], ...] = (("0", 1),), cool_off: float = 0.0
) -> TransferPolicy:
    """Return a policy for BTC."""
    amount = Decimal(limit)
    steps = tuple(ApprovalTier(above=Decimal(above), approvers=n) for above, n in tiers)
    return TransferPolicy(
        effective_date=date(2019, 1, 1),
        source="tests",
        environment="sim",
        approval_lifetime_hours=24.0,
        whitelist_cool_off_hours=cool_off,
        timing=TIMING,
        assets={
            "BTC": AssetRule(
                scale=8, transfer_max=Decimal(500), fee_max=Decimal("0.001"), tiers=steps
            )
        },
        limits=(RouteLimit("*", "*", "BTC", amount, amount),),
    )


def wanted(quantity: str = "1", **changes: object) -> TransferIntent:
    """Return an intent from sim/a to sim/b."""
    amount = int(Decimal(quantity).scaleb(8))
    first = TransferIntent(
        purpose="call-1", leg=1, source="sim/a", destination="sim/b", asset="BTC", amount=amount,
        scale=8,
    )  # fmt: skip
    return replace(first, **changes)  # type: ignore[arg-type]


def stock(
    database: Database, venue: FakeVenue, quantity: str = "100", place: str = "sim/a"
) -> None:
    """Put the same amount in the ledger and at the venue."""
    units = int(Decimal(quantity).scaleb(8))
    database.ledger.register_assets({"BTC": 8})
    posting = Posting("outside:world", f"location:{place}", "BTC", units)
    database.ledger.post(Entry(f"stock-{place}", "test", date(2026, 11, 21), None, (posting,)))
    venue.balances[place] = Decimal(quantity)


def listed(database: Database, intent: TransferIntent) -> WhitelistEntry:
    """Put an intent's destination on the list, without a cool-off."""
    content = WhitelistEntry(
        entry_id="", destination=intent.destination, asset=intent.asset, network=intent.network,
        address=intent.address, memo=intent.memo,
    )  # fmt: skip
    found = database.whitelist.propose(content, "carol", "test")
    if found.active_from is None:
        found = database.whitelist.approve(found.entry_id, "dave", "test", timedelta(0))
    return found
