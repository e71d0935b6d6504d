"""A house with one close on record, calls, transfers, breaks and people of every role."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
from fastapi import FastAPI

from engine.assess import assess
from engine.assessment import Assessment
from engine.attribution import Close
from engine.calls.terms import levels_of
from engine.market import known_rates
from infra.db import Database, RunHandle, open_database
from infra.db.reduction_records import NewReduction
from infra.db.users import By, NewUser
from infra.messages.webhook_inbound import Sender
from infra.messages.webhook_signing import WebhookSecret
from infra.oms import OmsEndpoint
from infra.oms.naming import Naming
from infra.outbound import KillSwitch
from infra.reduction import ReductionDesk
from infra.transfers import TransferDesk
from infra.web import WebSettings, create_app
from infra.web.views.signs import DiskRoom, LoopWord, disk_room
from tasks.web_services import HouseServices, loop_word_of
from tests.integration.transfers.fake_venue import FakeVenue, listed, rules, stock, wanted
from tests.worlds import reductions, small

SCRIPT = "<script>document.title='taken over'</script>"
PASSWORD = "correct horse battery"
OWN, FOREIGN = "client-amber-1", "client-birch-1"
PEOPLE = {
    "vera": "viewer", "olga": "operator", "abe": "approver", "ann": "approver", "ada": "admin",
    "cora": "viewer", "odo": "operator",
}  # fmt: skip
BOUND = {"cora": (OWN,), "odo": (OWN,)}
SECRET = WebhookSecret.parse("whsec_" + base64.b64encode(b"k" * 32).decode())
START = datetime(2026, 3, 11, 1, tzinfo=UTC)


class Clock:
    """A clock that runs, from a start that is moved by hand."""

    def __init__(self, skew: timedelta | None = None) -> None:
        self.skew = START - datetime.now(UTC) if skew is None else skew

    def __call__(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC) + self.skew

    def advance(self, **span: float) -> None:
        """Let time pass."""
        self.skew += timedelta(**span)


class SmallServices(HouseServices):
    """The services of a host, with the small market instead of the files of a run."""

    def __init__(self, house: House, folder: Path) -> None:
        super().__init__(SimpleNamespace(database=house.database))  # type: ignore[arg-type]
        self.house, self.decided = house, list[tuple[str, str, str]]()
        self.switch, self.home = KillSwitch(folder, house.clock), folder

    def policy(self) -> Any:
        """Return a policy in which everything takes two people."""
        return rules()

    def desk(self) -> TransferDesk:
        """Return a desk under it."""
        return TransferDesk(self.house.database, rules(), self.switch)

    def reduction_desk(self) -> ReductionDesk:
        """Return a desk under a policy for tests."""
        return ReductionDesk(self.house.database, reductions.policy(), self.switch)

    def kill_switch(self) -> KillSwitch:
        """Return the switch of this house."""
        return self.switch

    def transfer_decided(self, key: str, approver: str, state: str) -> str:
        """Note what a waiting run would be told."""
        self.decided.append((key, approver, state))
        return "1 waiting run resumed."

    def client_sender(self, client_id: str) -> Sender | None:
        """Return the one secret of the one client that has any."""
        return Sender(client_id, [SECRET]) if client_id == OWN else None

    def value_of(
        self, call: Mapping[str, Any], asset: str, quantity: Decimal, place: str
    ) -> Decimal:
        """Value everything at one."""
        return quantity

    def oms_endpoint(self) -> OmsEndpoint | None:
        """Return an order management that signs with the same secret."""
        return OmsEndpoint("oms", [SECRET], Naming({}, {}))

    def loop_metrics(self) -> str:
        """Return nothing: no loop runs."""
        return ""

    def loop_word(self) -> LoopWord | None:
        """Return what a loop that a test runs in this home has said."""
        return loop_word_of(self.home, self.house.clock)

    def disk(self) -> DiskRoom | None:
        """Return the room on the home's disk."""
        return disk_room(self.home)

    def run_pages(self) -> str:
        """Return where the runs would be."""
        return "http://127.0.0.1:4200"

    def report(self, run_id: str) -> str | None:
        """Return a report with a script of its own."""
        return "<!doctype html><title>report</title><script>document.title='ran'</script>"

    def _last_run(self) -> str:
        return self.house.run.run_id

    def _read_closed(self, run_id: str) -> Any:
        return SimpleNamespace(close=self.house.close, assessment=self.house.assessment)

    def _read_rates(self, run_id: str) -> dict[str, float]:
        return {"USD": 1.0, **known_rates(self.house.close.snapshot, self.house.close.rules)}


@dataclass
class House:
    """Everything that a test of the pages needs."""

    database: Database
    clock: Clock
    close: Close
    assessment: Assessment
    run: RunHandle
    calls: dict[str, str]
    tokens: dict[str, str]
    transfer_key: str = ""
    plans: dict[str, str] = field(default_factory=dict)

    def app(self, folder: Path, **changes: Any) -> FastAPI:
        """Return the application over this house."""
        settings = WebSettings(
            requests_per_second=10_000.0, requests_burst=10_000, approver_cool_off=timedelta(0)
        )
        return create_app(self.database, replace(settings, **changes), SmallServices(self, folder))


def build_house(path: Path, clock: Clock | None = None) -> House:
    """Return a house whose database is at ``path``, created if it is not there."""
    clock = clock or Clock()
    database = open_database(f"sqlite:///{path}", wait_seconds=5.0, actor="test", clock=clock)
    database.prepare()
    close, assessment = _closed()
    run = _record(database, assessment)
    frame = database.calls.of_run(run.run_id)
    calls = dict(zip(frame["netting_set_id"], frame["call_id"], strict=True))
    house = House(database, clock, close, assessment, run, calls, _people(database))
    house.transfer_key = propose(house, calls["amber-1"])
    house.plans = {name: plan(house, name) for name in ("amber-1", "birch-1")}
    return house


def plan(house: House, netting_set_id: str) -> str:
    """Propose a reduction by olga and return its name."""
    intent = reductions.intent(
        netting_set_id=netting_set_id, cause="hand:1", run_id=house.run.run_id
    )
    switch = KillSwitch(Path(os.devnull).parent, house.clock)
    desk = ReductionDesk(house.database, reductions.policy(), switch)
    new = NewReduction(
        intent=intent, mode="approval", status="restores", cost=Decimal("12.5"), figures={},
        proposer="olga", reason="test", valid_until=house.clock() + timedelta(days=1),
    )  # fmt: skip
    return desk.propose(new).plan_id


def propose(house: House, purpose: str, quantity: str = "1.25", leg: int = 1) -> str:
    """Propose a transfer by olga and return its key."""
    intent = wanted(quantity, purpose=purpose, leg=leg)
    listed(house.database, intent)
    desk = TransferDesk(house.database, rules(), KillSwitch(Path(os.devnull).parent, house.clock))
    return desk.propose(intent, "olga", f"pays it {SCRIPT}").transfer_key


def _closed() -> tuple[Close, Assessment]:
    close = Close(
        small.snapshot(),
        small.position_set(
            ("amber-1", "binance:BTCUSDT", 5.0),
            ("amber-1", "deribit:BTC-26JUN26-60000-C", -3.0),
            ("birch-1", "binance:ETHUSDT", -40.0),
            ("birch-2", "binance:SOLUSDT", 500.0),
        ),
        small.collateral_set(
            ("amber-1", "USDT", 20_000.0), ("birch-1", "BTC", 0.3), ("birch-2", "USDC", 90_000.0)
        ),
        small.rules(*(small.agreement(name) for name in ("amber-1", "birch-1", "birch-2"))),
    )
    return close, assess(close.snapshot, close.positions, close.collateral, close.rules)


def _record(database: Database, assessment: Assessment) -> RunHandle:
    inputs = {"market": "small"}
    run = database.runs.begin("eod", small.BUSINESS_DATE, inputs, "1.0")
    database.records.record_snapshot(
        run.run_id, "small", small.BUSINESS_DATE, small.AS_OF, {"marks": "00"}
    )
    database.records.record_rule_book(run.run_id, "small", date(2019, 1, 1), "file", "text")
    database.requirements.save(run.run_id, assessment.requirements)
    called = assessment.requirements[assessment.requirements["call_action"] == "call"]
    n = len(called)
    due = [small.AS_OF + timedelta(hours=4)] * n
    database.calls.issue(
        run.run_id,
        pd.DataFrame(
            {
                "netting_set_id": called["netting_set_id"].to_numpy(),
                "margin_type": pd.Series(["house"] * n, dtype="str"),
                "amount": called["call_amount"].to_numpy(),
                "currency": called["currency"].to_numpy(),
                "due_at": pd.Series(due, dtype="datetime64[ms, UTC]"),
                "issued_at": [small.AS_OF] * n,
                "notified_at": [small.AS_OF] * n,
                "levels": pd.Series([levels_of("desk@0,risk@2,reduction@4")] * n, dtype=object),
                "returns": "automatic",
            }
        ),
    )
    database.breaks.update(run.run_id, _breaks())
    return database.runs.finish(run.run_id, "completed", {"netting_sets": 3, "calls": n})


def _breaks() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "break_id": ["brk-1", "brk-2"],
            "kind": ["quantity", "sign"],
            "scope": "position",
            "netting_set_id": ["amber-1", "birch-1"],
            "account_id": [SCRIPT, "birch-1-a"],
            "item": ["binance:BTCUSDT", "binance:ETHUSDT"],
            "oms_quantity": [5.0, -40.0],
            "venue_quantity": [4.5, 40.0],
            "clearing_quantity": [5.0, -40.0],
            "difference": [0.5, 80.0],
            "owner": "trading operations",
        }
    )


def _people(database: Database) -> dict[str, str]:
    from argon2 import PasswordHasher

    # As strong as a test needs: the strength is written in the hash.
    digest = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    by, tokens = By(principal="host", reason="test", role="host"), {}
    for name, role in PEOPLE.items():
        new = NewUser(username=name, role=role, password_hash=digest, clients=BOUND.get(name, ()))
        database.users.add(new, by, approver_cool_off=timedelta(0))
        scopes = ("read", "act", "approve")
        _, tokens[name] = database.users.issue_token(name, "test", scopes, timedelta(days=30), by)
    stock(database, FakeVenue(database.clock))
    return tokens
