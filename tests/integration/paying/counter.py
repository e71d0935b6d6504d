"""A payment desk over the office of the transfer tests, and a loop that says what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from engine.transfers.policy import TransferPolicy
from infra.connections import AccountConnection
from infra.db.loop_lease import Lead
from infra.paying.desk import DeskParts, Pace, PaymentDesk
from infra.paying.live import Distrust, LiveAnswer, LiveHolding, LiveStanding
from infra.paying.waiting import Reason
from tests.integration.db.call_facts import one_call
from tests.integration.transfers.conftest import Office
from tests.integration.transfers.fake_venue import listed, rules, wanted
from tests.worlds import small

RATES = {"BTC": 50.0, "USD": 1.0}
NAMES = ("NS-1", "NS-2", "NS-3")
ACCOUNTS = (
    AccountConnection(
        account_id="vault", place="sim/a", client_id="C-1", netting_set_id="none", role="payer"
    ),
    AccountConnection(
        account_id="house", place="sim/b", client_id="house", netting_set_id="house", role="house"
    ),
)


@dataclass
class Books:
    """A loop that answers: every netting set is short, nothing is in doubt."""

    owed: float = 1_000.0
    status: str = "assessed"
    is_deciding: bool = True
    distrusted: tuple[Distrust, ...] = ()
    asked: list[tuple[str, ...]] = field(default_factory=list)

    async def ask(self, netting_sets: Sequence[str]) -> LiveAnswer:
        self.asked.append(tuple(netting_sets))
        return LiveAnswer(
            close_id="eod-1",
            is_deciding=self.is_deciding,
            rates=RATES,
            distrusted=self.distrusted,
            standings={name: self._standing(name) for name in netting_sets},
        )

    def _standing(self, name: str) -> LiveStanding:
        held = LiveHolding(location="custodian", asset="USD", state="settled", quantity=500.0)
        return LiveStanding(
            netting_set_id=name, owed=self.owed, cover=500.0, status=self.status,
            reason="" if self.status == "assessed" else "stale marks of okx", holdings=(held,),
        )  # fmt: skip


@dataclass
class Counter:
    """Everything that a test of the payment desk needs."""

    office: Office
    books: Books
    desk: PaymentDesk
    lead: Lead

    def round(self) -> None:
        """Let the desk read what is open, plan, send and resolve once."""
        asyncio.run(self._round())

    async def _round(self) -> None:
        await self.desk.scan()
        await self.desk.plan_round()
        await self.desk.send_round()
        await self.desk.resolve_round()

    def plan(self) -> None:
        """Let the desk read what is open, and plan."""

        async def work() -> None:
            await self.desk.scan()
            await self.desk.plan_round()

        asyncio.run(work())

    def reasons(self) -> dict[str, Reason]:
        return {demand.call_id: reason for demand, reason in self.desk.waiting.reasons()}


def policy(unattended: str = "100", **changes: object) -> TransferPolicy:
    """Return the policy of the transfer tests with an amount that needs nobody."""
    found = rules(**changes)  # type: ignore[arg-type]
    rule = replace(found.assets["BTC"], unattended_max=Decimal(unattended))
    return replace(found, assets={"BTC": rule})


def counter(
    office: Office,
    *,
    under: TransferPolicy | None = None,
    collection: str = "automatic",
    holder: str = "one",
) -> Counter:
    """Return a desk that leads, with a listed destination."""
    seen = office.database.loop_leases.look("intraday")
    lead = office.database.loop_leases.take("intraday", holder, seen)
    if not office.database.whitelist.list():
        listed(office.database, wanted())
    books = Books()
    agreements = [small.agreement(name, client_id="C-1", collection=collection) for name in NAMES]
    parts = DeskParts(
        database=office.database,
        lead=lead,
        books=books,
        transfers=office.under(under or policy()),
        gateways={"sim": office.venue},
        accounts=ACCOUNTS,
        rules_of=lambda _: small.rules(*agreements),
    )
    return Counter(office, books, PaymentDesk(parts, Pace(planned=8, sent=8)), lead)


def call_of(office: Office, amount: str = "90") -> str:
    """Return an open call of NS-1."""
    return one_call(office.database, amount)
