"""Lives of calls: a seeded script that may be killed anywhere and is then run again from its start.

Every act carries a key, as a message or a desk gives it one; so a rerun finds what was done.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import select

from engine.calls.disputes import DisputeReason
from infra.db import Database, open_database
from infra.db.call_tables import CallFactRow, WebhookDeliveryRow
from infra.db.tables import CallEventRow, CallRow
from infra.messages.webhook_delivery import Subscriber, deliver_due
from infra.messages.webhook_signing import WebhookSecret
from tests.integration.db.call_facts import act, btc, came, with_terms
from tests.integration.db.facts import DAY, DUE, NEXT_DAY, bound, calls, requirements

NETTING_SETS = ("NS-1", "NS-2", "NS-3")
SUBSCRIBER = Subscriber("client", "http://127.0.0.1:1/hook", (WebhookSecret(b"s" * 32),))
NOW = datetime(2026, 11, 25, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Life:
    """Where a life is lived, by which seed, and the file of what its subscriber has heard."""

    url: str
    seed: int
    heard: Path
    has_fresh_keys: bool = False
    """The planted bug: a key that a rerun does not make again."""


_opened: dict[str, Database] = {}


def open_at(life: Life) -> Database:
    """Return the database of a life.

    A closed one is kept: what SQLAlchemy has compiled in this process serves its children too.
    """
    if life.url not in _opened:
        _opened[life.url] = open_database(life.url, wait_seconds=20.0, actor="life")
    return _opened[life.url]


def live(life: Life) -> None:
    """Live the life from its start; what a run before has done is found and not done again."""
    database = open_at(life)
    try:
        _live(database, life)
    finally:
        database.close()


def _live(database: Database, life: Life) -> None:
    dice = random.Random(life.seed)
    acts = database.call_actions
    amounts = {name: str(dice.randint(50, 100)) for name in NETTING_SETS}
    run = bound(database, DAY)
    database.requirements.save(run.run_id, requirements("NS-4"))
    amounts_asked = {**amounts, "NS-4": f"-{dice.randint(10, 30)}"}
    asked = with_terms(calls(amounts_asked), returns="on_request")
    issued = database.calls.issue(run.run_id, asked)
    one, two, _, back = (str(name) for name in issued["call_id"])

    def by(step: str):
        tail = os.urandom(4).hex() if life.has_fresh_keys else ""
        return act(f"person {dice.randint(1, 3)}", f"step {step}", key=f"{life.seed}-{step}{tail}")

    _deliver(database, life, 0)
    acts.agree(one, by("agree"))
    undisputed = Decimal(dice.randint(10, 40))
    acts.dispute(two, undisputed, DisputeReason.EXPOSURE, by("dispute"))
    first = acts.pledge(one, btc(amounts["NS-1"]), by("pledge"))
    wrong = acts.pledge(two, btc(str(undisputed)), by("wrong pledge"))
    acts.reject_pledge(two, wrong.number, by("reject"))
    acts.pledge(two, btc(str(undisputed), "0.7"), by("pledge two"))
    part = str(dice.randint(1, 40))
    acts.settle(one, came(part, first.number), by("part"))
    acts.withdraw_dispute(two, by("withdraw"))
    half = Decimal(part) / 2
    worse = acts.propose_substitution(one, first.number, half, btc(str(half), "9"), by("worse"))
    acts.move_substitution(one, worse.number, "rejected", by("rejected"))
    instead = btc(part, "1.6")
    other = acts.propose_substitution(one, first.number, Decimal(part), instead, by("instead"))
    for step in ("agreed", "received", "released"):
        acts.move_substitution(one, other.number, step, by(step))
    acts.request_return(back, by("ask for the return"))
    sent = acts.pledge(back, btc(amounts_asked["NS-4"][1:], "0.2"), by("send back"))
    acts.settle(back, came(amounts_asked["NS-4"][1:], sent.number), by("sent back"))
    database.call_ageing.age(DUE, "plimsoll")
    _deliver(database, life, 1)
    if not database.runs.get(run.run_id).is_finished:
        database.runs.finish(run.run_id, "completed", {})
    # The next close replaces what is open; what is on its way goes over.
    following = bound(database, NEXT_DAY)
    later = with_terms(calls(dict.fromkeys(NETTING_SETS, "90"), due_at=DUE + timedelta(days=1)))
    new = {
        str(row["netting_set_id"]): str(row["call_id"])
        for row in database.calls.issue(following.run_id, later).to_dict("records")
    }
    database.call_ageing.age(DUE + timedelta(hours=3), "plimsoll")
    rest = Decimal(amounts["NS-1"]) - Decimal(part)
    acts.settle(new["NS-1"], came(str(rest), 3), by("carried"))
    acts.settle(new["NS-3"], came("90"), by("silent"))
    left = Decimal(90) - rest
    if left > 0:
        acts.settle(new["NS-1"], came(str(left)), by("rest"))
    database.call_ageing.age(DUE + timedelta(days=2), "plimsoll")
    _deliver(database, life, 2)


def _deliver(database: Database, life: Life, days: int) -> None:
    def hear(_: object, headers: Mapping[str, str], body: bytes) -> int:
        with life.heard.open("a", encoding="utf-8") as file:
            event = json.loads(body)["data"]
            file.write(f"{headers['webhook-id']} {event['call_id']} {event['event']}\n")
        return 204

    deliver_due(database, SUBSCRIBER, NOW + timedelta(days=days), hear)


def record_of(life: Life) -> dict[str, Any]:
    """Return what a life has left behind, call by call.

    Left out are clocks, hashes that chain over them, and the order between calls: a life that is
    begun anew looks at its first deadline a second time, when there are more calls to see.
    """
    database = open_at(life)
    try:
        with database.reading() as connection:
            facts = [
                (row.call_id, row.number, row.kind, row.amount, row.pledge, row.level,
                 row.principal, row.reason, str(sorted(row.details.items())))
                for row in connection.execute(
                    select(CallFactRow.__table__).order_by(CallFactRow.call_id, CallFactRow.number)
                )
            ]  # fmt: skip
            events = [
                (row.call_id, row.number, row.state, row.reason)
                for row in connection.execute(
                    select(CallEventRow.__table__).order_by(
                        CallEventRow.call_id, CallEventRow.number
                    )
                )
            ]
            states = sorted(connection.execute(select(CallRow.call_id, CallRow.state)).tuples())
            statuses = [
                row.status for row in connection.execute(select(WebhookDeliveryRow.__table__))
            ]
        standings = database.calls.standings([name for name, _ in states])
        database.audit.verify()
    finally:
        database.close()
    return {
        "facts": facts,
        "events": events,
        "states": states,
        "outstanding": {name: one.outstanding for name, one in sorted(standings.items())},
        "settled": {name: one.settled for name, one in sorted(standings.items())},
        "deliveries": statuses,
        "heard": _heard(life),
    }


def _heard(life: Life) -> list[str]:
    """Return the events that were told: each at least once, under one id however often."""
    told = {tuple(line.split(" ", 1)) for line in life.heard.read_text("utf-8").splitlines()}
    events = sorted(event for _, event in told)
    assert len(set(events)) == len(told) == len({name for name, _ in told})
    return events
