"""Lives of payments: a loop calls, its desk pays, the call grows on the way; killed anywhere.

Each start takes the lead with the next epoch, as a loop that comes up again does, and goes on from
the record alone.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sqlalchemy import select

from engine.transfers.policy import TransferPolicy
from infra.connections import AccountConnection
from infra.db import Database
from infra.db.loop_lease import Lead
from infra.db.tables import CallRow
from infra.paying.desk import DeskParts, PaymentDesk
from infra.paying.live import LiveAnswer, LiveHolding, LiveStanding
from tests.fault.outcomes import Wrong
from tests.fault.transfers.books import wrongs as wrong_books
from tests.fault.transfers.lives import A, B, Place, desk_at, gateway_at, open_at, policy
from tests.integration.db.loop_facts import batch
from tests.worlds import small

NAME = "NS-1"
RATE = 50.0
HAIRCUT_MAX = Decimal("0.3")
ROUNDS_MAX = 200
_ENDS = {"settled", "superseded"}
ACCOUNTS = (
    AccountConnection(
        account_id="vault", place=A, client_id="C-1", netting_set_id="none", role="payer"
    ),
    AccountConnection(
        account_id="house", place=B, client_id="house", netting_set_id="house", role="house"
    ),
)


@dataclass(frozen=True)
class Short:
    """A loop whose netting set stays short, whatever is paid."""

    async def ask(self, netting_sets: Sequence[str]) -> LiveAnswer:
        held = LiveHolding(location="custodian", asset="USD", state="settled", quantity=500.0)
        return LiveAnswer(
            close_id="eod-1", is_deciding=True, rates={"BTC": RATE, "USD": 1.0}, distrusted=(),
            standings={
                name: LiveStanding(
                    netting_set_id=name, owed=10_000.0, cover=500.0, status="assessed", reason="",
                    holdings=(held,),
                )
                for name in netting_sets
            },
        )  # fmt: skip


def unattended() -> TransferPolicy:
    """Return rules under which the desk asks nobody."""
    found = policy()
    rules = {
        name: replace(rule, unattended_max=Decimal(1_000)) for name, rule in found.assets.items()
    }
    return replace(found, assets=rules)


def live(place: Place) -> None:
    """Call, pay, call for more, pay the rest; from wherever an earlier life stands."""
    database = open_at(place)
    draw = random.Random(place.hints)
    first, second = draw.randint(60, 90), draw.randint(120, 200)
    try:
        seen = database.loop_leases.look("intraday")
        # Named for the life and not for the process: the crash points are the same each time.
        lead = database.loop_leases.take("intraday", f"life-{os.getpid()}", seen)
        desk = _desk(place, database, lead)
        _call(database, lead, 1, str(first))
        asyncio.run(_drive(place, desk, n_rounds=draw.randint(1, 3)))
        later = _call(database, lead, 2, str(second))
        asyncio.run(_drive(place, desk, until=later))
    finally:
        database.close()


def _call(database: Database, lead: Lead, number: int, amount: str) -> str:
    """Issue a call as the loop does: on top of what is open, if anything is open still."""
    known = database.intraday_journal.open_calls().get(NAME)
    made = batch(database, lead, {NAME: amount}, number, {NAME: known.call_id} if known else None)
    database.intraday_commits.commit(replace(made, lead=lead))
    return str(made.calls[0].wanted.call["call_id"])


def _desk(place: Place, database: Database, lead: Lead) -> PaymentDesk:
    rules = small.rules(small.agreement(NAME, client_id="C-1", collection="automatic"))
    return PaymentDesk(
        DeskParts(
            database=database,
            lead=lead,
            books=Short(),
            transfers=desk_at(replace(place, rules=unattended()), database),
            gateways={"sim": gateway_at(place)},
            accounts=ACCOUNTS,
            rules_of=lambda _: rules,
        )
    )


async def _drive(place: Place, desk: PaymentDesk, n_rounds: int = 0, until: str = "") -> None:
    database = desk.parts.database
    for _ in range(n_rounds or ROUNDS_MAX):
        await desk.scan()
        await desk.plan_round()
        await desk.send_round()
        await desk.resolve_round()
        open_states = ["proposed", "approved", "new", "unknown", "done", "credited", "stuck"]
        is_over = bool(until) and not database.transfers.list(open_states)
        if is_over and database.calls.record(until).standing.state == "settled":
            return
        place.clock.advance(7.0)
    assert n_rounds, "a life did not end"


def wrongs(place: Place) -> list[Wrong]:
    """Return what is wrong after a life: with the books, and with what was paid for the call."""
    database = open_at(place)
    records = database.transfers.list()
    found = wrong_books(replace(place, intents=tuple(one.intent for one in records)))
    standings = database.calls.standings(_calls(database))
    settled = [one for one in standings.values() if one.state == "settled"]
    if len(standings) != 2 or not settled or {one.state for one in standings.values()} - _ENDS:
        found.append(Wrong("lost", f"calls ended as {standings}"))
        return found
    called = sum((one.called for one in settled), start=Decimal(0))
    paid = sum(
        (one.intent.quantity for one in records if one.state == "reconciled"), start=Decimal(0)
    )
    # What the call asks for at the rate, plus haircut, fees and the little that plans aim higher.
    most = called / Decimal(str(RATE)) / (1 - HAIRCUT_MAX) + len(records) * Decimal("0.01")
    if paid > most:
        sentence = f"{paid} BTC were paid for {called}, at most {most:.4f} are needed"
        found.append(Wrong("duplicated", sentence))
    on_its_way = sum((one.in_flight for one in standings.values()), start=Decimal(0))
    if on_its_way:
        found.append(Wrong("in transit", f"{on_its_way} is still on its way"))
    database.close()
    return found


def _calls(database: Database) -> list[str]:
    with database.reading() as connection:
        return [str(row[0]) for row in connection.execute(select(CallRow.call_id))]
