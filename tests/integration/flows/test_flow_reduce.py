"""The flow that sees reductions through: what it does is read from the database first."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from infra.db.reduction_records import NewReduction
from infra.outbound import KillSwitch
from infra.reduction import ReductionDesk
from tasks.workplace import workplace
from tests.worlds.reductions import intent, policy


def test_a_plan_that_has_nowhere_to_go_waits_and_the_run_says_why(new_home: Path) -> None:
    from flows.reduce import reduce

    database = workplace().database
    database.prepare()
    assert reduce(rounds_max=1, pause_seconds=0.0) == {}
    desk = ReductionDesk(database, policy(), KillSwitch(new_home))
    record = desk.propose(
        NewReduction(
            intent=intent(cause="hand:1"), mode="automatic", status="restores", cost=Decimal(1),
            figures={}, proposer="alice", reason="test",
            valid_until=database.clock() + timedelta(hours=1),
        )
    )  # fmt: skip
    assert reduce(rounds_max=1, pause_seconds=0.0) == {"working": 1}
    assert "has no place in the connections file" in database.reductions.get(record.plan_id).note
    assert database.reductions.orders(record.plan_id) == []
