"""The least that a run needs before it can call, post or reconcile."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd

from infra.db import Database, RunHandle

DAY = date(2026, 11, 20)
NEXT_DAY = date(2026, 11, 21)
CLOSE = datetime(2026, 11, 21, tzinfo=UTC)
DUE = datetime(2026, 11, 21, 12, tzinfo=UTC)


def begin(database: Database, day: date = DAY, *, force: bool = False, **inputs: str) -> RunHandle:
    return database.runs.begin("eod", day, {"market": "sample", **inputs}, "1.0", force)


def bound(database: Database, day: date = DAY, *, force: bool = False) -> RunHandle:
    """Return a run with a snapshot and a rule book."""
    run = begin(database, day, force=force)
    name = f"snapshot-{day}-{run.sequence}"
    database.records.record_snapshot(run.run_id, name, day, CLOSE, {"marks": "00"})
    database.records.record_rule_book(run.run_id, "rules-1", date(2019, 1, 1), "file", "text")
    return database.runs.get(run.run_id)


def requirements(*netting_sets: str, amount: str = "100.25", status: str = "assessed"):
    n = len(netting_sets)
    return pd.DataFrame(
        {
            "netting_set_id": pd.Series(list(netting_sets), dtype="str"),
            "client_id": pd.Series(["C-1"] * n, dtype="str"),
            "currency": pd.Series(["USD"] * n, dtype="str"),
            "status": pd.Series([status] * n, dtype="str"),
            "reason": pd.Series([""] * n, dtype="str"),
            "core_margin": [100.123456789] * n,
            "requirement": [100.2499999] * n,
            "margin_ratio": [float("inf")] * n,
            "excess": [float("nan")] * n,
            "n_positions": [3] * n,
            "requirement_amount": [Decimal(amount)] * n,
            "collateral_amount": [Decimal("0.00")] * n,
            "call_amount": [Decimal(amount)] * n,
            "call_action": pd.Series(["call"] * n, dtype="str"),
        }
    )


def calls(amounts: dict[str, str], due_at: datetime = DUE) -> pd.DataFrame:
    n = len(amounts)
    return pd.DataFrame(
        {
            "netting_set_id": pd.Series(list(amounts), dtype="str"),
            "margin_type": pd.Series(["house"] * n, dtype="str"),
            "amount": pd.Series([Decimal(amount) for amount in amounts.values()], dtype=object),
            "currency": pd.Series(["USD"] * n, dtype="str"),
            "due_at": pd.Series([due_at] * n, dtype="datetime64[ms, UTC]"),
        }
    )


def settlements(rows: list[tuple[str, str, str, str, str]]) -> pd.DataFrame:
    names = ["netting_set_id", "account_id", "kind", "asset", "amount_exact"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(amount_exact=[Decimal(row[4]) for row in rows])


def breaks(*rows: tuple[str, float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "break_id": pd.Series([row[0] for row in rows], dtype="str"),
            "kind": pd.Series(["quantity"] * len(rows), dtype="str"),
            "difference": pd.Series([row[1] for row in rows], dtype="float64"),
            "owner": pd.Series(["operations"] * len(rows), dtype="str"),
        }
    )


def venue_margins(*accounts: str, margin: float = 100.25, status: str = "assessed"):
    """Return margins of accounts as an assessment holds them."""
    n = len(accounts)
    texts = {
        "account_id": list(accounts),
        "venue": ["binance"] * n,
        "client_id": ["C-1"] * n,
        "netting_set_id": ["NS-1"] * n,
        "account_mode": ["single_asset"] * n,
        "status": [status] * n,
        "reason": ["" if status == "assessed" else "no parameters"] * n,
        "currency": ["USD"] * n,
        "evidence": ["documented"] * n,
    }
    return pd.DataFrame(
        {name: pd.Series(values, dtype="str") for name, values in texts.items()}
    ).assign(initial_margin=margin, maintenance_margin=margin / 2, margin_ratio=float("inf"))


def drift(*rows: tuple[str, float, str]) -> pd.DataFrame:
    """Return the drift of accounts: account, relative difference, class."""
    return pd.DataFrame(list(rows), columns=["account_id", "relative_difference", "drift_class"])
