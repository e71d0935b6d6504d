"""Issue the margin calls of the close, and take back what it finds covered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from engine.calls.due_dates import due_dates
from engine.calls.terms import cure_terms, escalation_levels
from engine.errors import InvariantBroken
from engine.requirements import FAILED
from engine.rules import Agreement
from infra.calendars import holidays_of
from infra.report.markdown import calls_table
from tasks import artifacts
from tasks.assessments import read_assessment
from tasks.closes import load_basis
from tasks.records import facts_of, run_folder
from tasks.steps import Achievement, achieve, step
from tasks.workplace import Workplace, workplace

# The house's own requirement; venues' margin calls come from the venues.
MARGIN_TYPE = "house"
_COLUMNS = [
    "call_id", "netting_set_id", "margin_type", "direction", "amount", "currency", "due_at",
    "first_due_at", "supersedes", "state",
]  # fmt: skip


@step("call")
def issue_calls(run_id: str) -> None:
    """Issue calls and returns; each follows from snapshot and rules, so it is issued once."""
    facts = achieve(run_id, "call", lambda place: _call(place, run_id))
    assessment = read_assessment(workplace().store, run_id, facts_of(run_id, "require")["hashes"])
    artifacts.show_table(
        "calls",
        calls_table(assessment, rows_max=artifacts.ROWS_MAX),
        f"{facts['calls']:,} calls and {facts['returns']:,} returns issued, "
        f"{facts['withdrawn']:,} earlier ones withdrawn because they are covered.",
    )


def calls_path(run_id: str) -> str:
    """Return where the calls of a run are kept."""
    return f"{run_folder(run_id)}/calls.parquet"


def _call(place: Workplace, run_id: str) -> Achievement:
    basis = load_basis(place, run_id)
    hashes = facts_of(run_id, "require")["hashes"]
    decided = read_assessment(place.store, run_id, hashes).requirements
    is_moving = decided["call_action"].isin(["call", "return"])
    moving = decided[is_moving]
    _require_directions(moving)
    rows = _rows(moving, basis.close.rules.agreements, basis.close.snapshot.as_of)
    calls = place.database.calls
    issued = calls.issue(run_id, rows)
    # A failed netting set has no new decision: what was called before stays called.
    covered = decided[~is_moving & (decided["status"] != FAILED)]["netting_set_id"]
    withdrawn = calls.withdraw(
        run_id, [str(name) for name in covered], f"covered at the close of {run_id}"
    )
    written = place.store.write_frame(calls_path(run_id), issued[_COLUMNS])
    return Achievement(
        {
            "calls": int((moving["call_action"] == "call").sum()),
            "returns": int((moving["call_action"] == "return").sum()),
            "withdrawn": withdrawn,
        },
        written,
    )


def _require_directions(moving: pd.DataFrame) -> None:
    """Stop if an amount does not go the way its action says: a return is never demanded."""
    is_wrong = (moving["call_action"] == "call") != (moving["call_amount"] > 0)
    if is_wrong.any():
        row = moving[is_wrong].iloc[0]
        raise InvariantBroken(
            f"{row['netting_set_id']}: {row['call_action']} of {row['call_amount']}"
        )


def _rows(
    moving: pd.DataFrame, agreements: Mapping[str, Agreement], as_of: datetime
) -> pd.DataFrame:
    terms = [agreements[str(name)] for name in moving["netting_set_id"]]
    # A call is issued at the close, whenever the run itself takes place.
    instants = [due_dates(as_of, cure_terms(one, holidays_of, as_of)) for one in terms]
    return pd.DataFrame(
        {
            "netting_set_id": moving["netting_set_id"].to_numpy(),
            "margin_type": MARGIN_TYPE,
            # To the house > 0, to the client < 0: signed by the decision itself.
            "amount": list(moving["call_amount"]),
            "currency": moving["currency"].to_numpy(),
            "issued_at": [found.issued_at for found in instants],
            "notified_at": [found.notified_at for found in instants],
            "due_at": [found.due_at for found in instants],
            "levels": pd.Series([escalation_levels(one) for one in terms], dtype=object),
            "returns": [one.returns for one in terms],
        }
    )
