"""Who may take new risk, asked of the record: fails closed wherever something is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd

from infra.db import Database
from infra.db.restrictions import standing_of
from infra.outbound import KillSwitch
from tasks.pre_trade import with_leave
from tests.integration.alerts.events import NOW
from tests.integration.db.call_facts import with_terms
from tests.integration.db.facts import bound, calls
from tests.worlds import small


def publish(database: Database, at: datetime = NOW, level: str = "none", **changes: Any) -> None:
    """Put netting set NS-1 on the board."""
    row = {
        "netting_set_id": "NS-1", "client_id": "C", "currency": "USD",
        "requirement": Decimal(100), "venue_margin": None, "collateral_value": Decimal(200),
        "excess": Decimal(100), "margin_ratio": 0.5, "binding": "house", "level": level,
        "status": "assessed", "as_of": at, "run_id": "r", "snapshot_id": "s",
    }  # fmt: skip
    database.clock = lambda: at
    database.board.publish(pd.DataFrame([{**row, **changes}]), pd.DataFrame())


def test_who_is_not_on_the_board_has_no_standing(database: Database) -> None:
    assert standing_of(database, "NS-1", NOW) is None
    publish(database)
    assert standing_of(database, "NS-2", NOW) is None


def test_the_board_and_late_calls_make_the_standing(database: Database) -> None:
    run = bound(database)
    issued = database.calls.issue(run.run_id, with_terms(calls({"NS-1": "100.25"})))
    due = issued["first_due_at"][0].to_pydatetime()
    publish(database, due, level="warn")
    early = standing_of(database, "NS-1", due)
    late = standing_of(database, "NS-1", due + timedelta(seconds=1), "stopped by ann")
    assert early is not None and late is not None
    assert (early.level, early.status, early.n_calls_late) == ("warn", "assessed", 0)
    assert (late.n_calls_late, late.stopped) == (1, "stopped by ann")
    assert late.said_at == due


def answer(**candidate: Any) -> dict[str, Any]:
    """Return a what-if's answer with one candidate."""
    after = {
        "answer": "answered", "reason": "", "requirement_amount": "120.00", "owed_amount": None,
        "collateral_amount": "200.00",
    }  # fmt: skip
    return {
        "netting_set_id": "NS-1",
        "before": {"requirement_amount": "100.00"},
        "candidates": [{**after, **candidate}],
    }


def asked(database: Database, switch: KillSwitch, **candidate: Any) -> tuple[str, str, str]:
    """Return the answers for the netting set and for the candidate, and why."""
    agreement = replace(small.agreement("A"), netting_set_id="NS-1")
    rules = replace(small.rules(small.agreement("A")), agreements={"NS-1": agreement})
    found = with_leave(database, switch, answer(**candidate), rules)
    said = found["candidates"][0]["pre_trade"]
    return found["new_risk"]["answer"], said["answer"], said["reason"]


def test_a_what_if_says_whether_it_may_be_traded(sqlite_database: Database, tmp_path: Path) -> None:
    switch = KillSwitch(tmp_path)

    def ask(**candidate: Any) -> tuple[str, str, str]:
        return asked(sqlite_database, switch, **candidate)

    assert ask()[:2] == ("refused", "refused")  # Nothing is on the board.
    publish(sqlite_database)
    assert ask() == ("allowed", "allowed", "utilisation would be 0.6")
    assert ask(requirement_amount="200.00")[:2] == ("allowed", "refused")
    assert ask(owed_amount="250.00")[:2] == ("allowed", "refused")
    assert ask(answer="refused", reason="no such lot")[1:] == ("refused", "no such lot")
    publish(sqlite_database, level="restrict")
    assert ask()[:2] == ("refused", "refused")
    assert ask(requirement_amount="90.00")[:2] == ("refused", "allowed")
    switch.arm("ann", "drill")
    found = ask(requirement_amount="90.00")
    assert found[:2] == ("refused", "refused")
    assert "kill switch is armed by ann" in found[2]


def test_a_board_that_is_old_gives_no_leave(sqlite_database: Database, tmp_path: Path) -> None:
    publish(sqlite_database)
    sqlite_database.clock = lambda: NOW + timedelta(seconds=11)
    switch = KillSwitch(tmp_path)
    assert asked(sqlite_database, switch)[:2] == ("refused", "refused")
    assert "11 s away" in asked(sqlite_database, switch, requirement_amount="1.00")[2]
