"""Calls to act on, and the least that an act needs."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pandas as pd

from engine.calls.terms import EscalationLevel, levels_of
from infra.db import Act, Arrival, Database, PledgedCollateral
from tests.integration.db.facts import CLOSE, DUE, bound, calls


def act(principal: str = "alice", reason: str = "test", **more) -> Act:
    return Act(principal=principal, reason=reason, **more)


def btc(value: str, quantity: str = "1.5", place: str = "deribit/main") -> PledgedCollateral:
    return PledgedCollateral(
        asset="BTC", quantity=Decimal(quantity), place=place, value=Decimal(value)
    )


def came(value: str, pledge: int | None = None, **more) -> Arrival:
    return Arrival(value=Decimal(value), pledge=pledge, **more)


def with_terms(
    rows: pd.DataFrame,
    *,
    returns: str = "automatic",
    levels: tuple[EscalationLevel, ...] | None = None,
    issued_at: datetime = CLOSE,
) -> pd.DataFrame:
    n = len(rows)
    return rows.assign(
        issued_at=[issued_at] * n,
        notified_at=[issued_at + timedelta(hours=1)] * n,
        levels=pd.Series([levels or levels_of("desk@0,risk@2,reduction@4")] * n, dtype=object),
        returns=returns,
    )


def one_call(database: Database, amount: str = "100", due_at: datetime = DUE) -> str:
    """Issue a call (or return, below 0) of NS-1 and return its name."""
    rows = with_terms(calls({"NS-1": amount}, due_at=due_at))
    return str(database.calls.issue(bound(database).run_id, rows)["call_id"][0])
