"""How the calls of a moment are paid: transfers that have gone out, and what is still to be done.

The payment desk beside the loop does not wait for this. What it has put on record is shown here as
it stands; only what nobody pays is planned, and nothing of it moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from prefect import task
from prefect.cache_policies import NO_CACHE

from engine.errors import MarginPlatformError
from infra.db.transfers import TransferRecord
from infra.report.amounts import exact
from tasks import artifacts
from tasks.paying import plan_call, sentence
from tasks.reconcile_now import is_connected
from tasks.records import facts_of
from tasks.transfers import transfers
from tasks.workplace import workplace

if TYPE_CHECKING:
    from infra.db.calls import CallRecord

PLANS_MAX: Final = 20
"""Calls whose payment is planned on the run's page; the others are planned by hand."""
_NEXT: Final[Mapping[str, str]] = {
    "proposed": "another person: plimsoll transfers approve",
    "approved": "leaves when the source has the amount",
    "new": "leaves now",
    "unknown": "the desk asks the venue until two proofs agree",
    "done": "the venue has accepted it; its arrival comes off the call",
    "credited": "arrived",
    "reconciled": "arrived for good",
    "stuck": "a person: plimsoll transfers resolve",
}


def calls_of(run_id: str) -> list[dict[str, Any]]:
    """Return the calls of a moment's netting sets: what is open, and what the loop saw paid."""
    facts = facts_of(run_id, "recompute")
    names, calls = set(facts["netting_sets"]), workplace().database.calls
    opened = calls.open_calls()
    found = opened[opened["netting_set_id"].isin(names)].to_dict("records")
    if facts["loop_run_id"]:
        made = calls.of_run(facts["loop_run_id"])
        is_paid = made["netting_set_id"].isin(names) & (made["state"] == "settled")
        found += made[is_paid].to_dict("records")
    return sorted(
        ({str(name): value for name, value in row.items()} for row in found),
        key=lambda row: (row["netting_set_id"], row["call_id"]),
    )


@task(name="transfer", cache_policy=NO_CACHE)
def show_transfers(run_id: str) -> int:
    """Show the transfers that pay the calls, and a plan for what nobody pays; return how many."""
    database = workplace().database
    calls = [row for row in calls_of(run_id) if row["direction"] == "call"]
    by_key = {one.transfer_key: one for one in transfers()}
    rows: list[dict[str, str]] = []
    n_planned = n_moving = 0
    for row in calls:
        record = database.calls.record(row["call_id"])
        found = _transfers_of(record, by_key)
        n_moving += len(found)
        rows += [_shown(row["call_id"], one, value) for one, value in found]
        standing = record.standing
        if standing.outstanding > standing.in_flight and n_planned < PLANS_MAX:
            n_planned += 1
            rows.append(_planned(row["call_id"]))
    artifacts.show_table(
        "transfer",
        rows[: artifacts.ROWS_MAX],
        f"{n_moving:,} transfers pay {len(calls):,} calls, as they stand now; what nobody pays is "
        "planned here and not moved: `plimsoll calls pay CALL` pledges and proposes.",
        len(rows),
    )
    return n_moving


def _transfers_of(
    record: CallRecord, by_key: Mapping[str, TransferRecord]
) -> list[tuple[TransferRecord, str]]:
    """Return the transfers of a call's pledges and their values, carried ones too."""
    pledged = [fact for fact in record.facts if fact["kind"] == "pledged"]
    return [
        (by_key[fact["details"]["transfer"]], exact(fact["amount"]))
        for fact in pledged
        if fact["details"].get("transfer") in by_key
    ]


def _shown(call_id: str, record: TransferRecord, value: str) -> dict[str, str]:
    intent = record.intent
    return {
        "call": call_id,
        "transfer": record.transfer_key[:12],
        "state": record.state,
        "moves": f"{exact(intent.quantity)} {intent.asset}",
        "from": intent.source,
        "to": intent.destination,
        "pledged for": value,
        "by": record.proposer,
        "next": _NEXT.get(record.state, record.note or "nothing"),
    }


def _planned(call_id: str) -> dict[str, str]:
    plan = {**dict.fromkeys(("transfer", "moves", "from", "to", "pledged for", "by"), "")}
    if not is_connected():
        return {"call": call_id, **plan, "state": "", "next": "no venue or custodian is connected"}
    try:
        words = sentence(plan_call(call_id))
    except MarginPlatformError as error:
        words = f"cannot be planned: {error}"
    return {"call": call_id, **plan, "state": "a plan", "next": words}
