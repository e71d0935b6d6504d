"""At least one row in every table of history."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd

from engine.transfers import TransferIntent, WhitelistEntry
from infra.alerts import AlertDesk
from infra.db import Attestation, Database, Hold, Posting
from infra.db.executions import OpeningLine, Reported, Unreadable
from infra.db.funding import FundingCheck
from infra.db.ledger import Entry
from infra.db.ledger_attestations import attest
from infra.db.reduction_records import NewReduction
from infra.db.web_tables import UserRow  # noqa: F401  (its tables are compared)
from infra.reduction import ReductionDesk
from infra.rules import DEFAULT_PARAMETERS, read_house_parameters
from infra.transfers import KillSwitch
from tests.integration.db.call_facts import act, with_terms
from tests.integration.db.executions import execution
from tests.integration.db.facts import (
    CLOSE,
    DAY,
    DUE,
    bound,
    breaks,
    calls,
    drift,
    requirements,
    venue_margins,
)
from tests.integration.db.loop_facts import batch, lead, message
from tests.integration.db.sets import recorded
from tests.worlds.reductions import intent, policy


def fill(database: Database) -> Database:
    run = bound(database)
    database.runs.record_step(run.run_id, "freeze", {}, "00")
    database.requirements.save(run.run_id, requirements("NS-1"))
    issued = database.calls.issue(run.run_id, with_terms(calls({"NS-1": "100.25"})))
    database.call_actions.agree(issued["call_id"][0], act())
    with database.writing() as connection:
        database.webhooks.receive_within(connection, "client", "msg-1", DUE, b"{}")
    database.ledger.register_assets({"USD": 2})
    database.ledger.post(
        Entry("k-1", "test", DAY, run.run_id, (Posting("a:1", "b:1", "USD", 10025),))
    )
    database.ledger.hold(Hold("h-1", "a:1", "b:1", "USD", 5, DAY))
    database.ledger.void_hold("h-1", "test")
    held = Attestation(asset="USD", place="okx/a", quantity=1, as_of=CLOSE, source="venue")
    with database.writing() as connection:
        attest(connection, CLOSE, [held])
    database.breaks.update(run.run_id, breaks(("B-1", 1.0)))
    database.venue_margins.save(
        run.run_id, venue_margins("NS-1-a"), drift(("NS-1-a", 0.1, "model_only"))
    )
    one = recorded("BTCUSDT", 0.01, DAY)
    file = "venues/binance.toml"
    database.parameters.take_over("shipped", {file: "00"}, {file: [one]})
    fill_transfers(database)
    within_the_day = batch(database, lead(database), {"NS-9": "5"})
    done = database.intraday_commits.commit(replace(within_the_day, messages=[message(1)]))
    assert (len(done.issued), done.inbox_position, done.n_events) == (1, 1, 1)
    fill_order_management(database)
    fill_reductions(database)
    fill_alerts(database)
    proposal = database.proposals.propose("brackets", "alice", [one], {})
    database.proposals.shadowed(proposal.proposal_id, "alice", {"run_id": run.run_id})
    return database


def fill_reductions(database: Database) -> None:
    """Add a plan that somebody has approved."""
    desk = ReductionDesk(database, policy(), KillSwitch(Path(tempfile.mkdtemp())))
    plan = desk.propose(
        NewReduction(
            intent=intent(), mode="approval", status="restores", cost=Decimal(1), figures={},
            proposer="alice", reason="test", valid_until=database.clock() + timedelta(hours=1),
        )
    )  # fmt: skip
    desk.approve(plan.plan_id, "bob", plan.payload_hash)


def fill_alerts(database: Database) -> None:
    """Take the events there are in, and take up the alert that comes of them."""
    terms = read_house_parameters(DEFAULT_PARAMETERS, DAY)[0].quiet
    assert terms is not None
    AlertDesk(database, (), terms).round()
    assert database.alerts.acknowledge(database.alerts.latest()[0].alert_id, "alice", "seen")


def fill_order_management(database: Database) -> None:
    """Add an execution, a conflict, a bad message, an opening, a file, an event, a check."""
    for quantity in (1, 2):
        reported = Reported(
            executions=(execution("E-1", quantity=Decimal(quantity)),),
            openings=(
                OpeningLine(account_id="a", as_of=CLOSE, instrument_id="x", quantity=Decimal(1)),
            ),
            unreadable=(Unreadable(identifier="E-2", reason="no side", raw="{}"),),
        )
        database.executions.record("desk", "csv", reported)
    with database.writing() as connection:
        database.oms_channels.take_file_within(connection, "00", "desk", "a.csv", {})
    database.oms_channels.order_sequence("desk", "alice", "test", next_sender=2)
    check = FundingCheck(
        place="binance/a", instrument_id="x", asset="USDT", funded_at=CLOSE, booked=None,
        due_low=Decimal(1), due_high=Decimal(2), quantity=Decimal(1), verdict="missing", why="",
    )  # fmt: skip
    assert database.funding.record([check]) == 1
    run = database.runs.begin("reconcile", DAY, {}, "test", force=True)
    facts = {"break_id": "B-9", "owner": "risk", "scope": "funding", "evidence": "00"}
    database.breaks.update(run.run_id, pd.DataFrame([facts]))
    database.break_acceptances.accept("B-9", "alice", "seen")


def fill_transfers(database: Database) -> None:
    """Add a transfer with an approval, a listed destination and a touched kill switch."""
    entry = WhitelistEntry(
        entry_id="", destination="okx/a", asset="USD", network="", address="", memo=""
    )
    database.whitelist.propose(entry, "alice", "test")
    intent = TransferIntent(
        purpose="call-1", leg=1, source="okx/b", destination="okx/a", asset="USD", amount=1, scale=2
    )
    with database.writing() as connection:
        record, _ = database.transfers.record_within(connection, intent, "alice", "test")
        database.transfers.approve_within(connection, record, "bob")
    switch = KillSwitch(Path(tempfile.mkdtemp(prefix="plimsoll-kill-")))
    switch.arm("alice", "test")
    switch.tell(database)
