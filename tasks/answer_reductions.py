"""How books of netting sets that have come to `reduce` could be made smaller, on present inputs.

Shown for people: nothing is recorded and nothing is sent. Who proposes does so in their own name,
and a call that fails its cure leads to a proposal by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prefect import task
from prefect.cache_policies import NO_CACHE

from engine.errors import MarginPlatformError
from engine.policies.ladder_parameters import LEVEL_NAMES, REDUCE
from infra.clock import utc_now
from infra.reduction import ReductionBasis, reduction_policy_in_force
from infra.reduction.proposing import plan_of
from infra.report.amounts import percent, short
from tasks import artifacts
from tasks.answering import base_of, book_now, events_of, grounds_of, moment_of
from tasks.records import facts_of
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from infra.db.intraday_events import RecordedEvent

PLANS_MAX: Final = 20


@task(name="reduce", cache_policy=NO_CACHE)
def plan_smaller_books(run_id: str) -> int:
    """Show a plan for each netting set that has come to `reduce`; return how many there are."""
    place = workplace()
    moment = moment_of(place.database.runs.get(run_id).inputs)
    events = events_of(place, moment)
    known = set(facts_of(run_id, "recompute")["netting_sets"])
    names = [name for name in at_reduce(events) if name in known]
    if not names:
        return 0
    artifacts.show_table(
        "reduction",
        plans_of(place, events, names[:PLANS_MAX]),
        f"{len(names):,} netting sets have come to reduce. Nothing is proposed by this: "
        '`plimsoll reduce propose NETTING_SET --reason "..."` does so.',
        len(names),
    )
    return len(names)


def at_reduce(events: list[RecordedEvent]) -> list[str]:
    """Return the netting sets whose breach has reached the last rung, sorted."""
    found = {
        event.payload["netting_set_id"]
        for event in events
        if event.payload.get("level") == LEVEL_NAMES[REDUCE]
        and event.payload.get("netting_set_id")
        and event.name == "plimsoll.breach"
    }
    return sorted(found)


def plans_of(
    place: Workplace, events: list[RecordedEvent], names: list[str]
) -> list[dict[str, str]]:
    """Return a row per netting set: orders, cost and what they reach, or what stands in the way."""
    grounds = grounds_of(place, events)
    base = base_of(place, grounds)
    snapshot, positions, collateral = book_now(place.database, base, grounds.loop_run_id).inputs()
    basis = ReductionBasis(
        run_id=grounds.close_id,
        snapshot=snapshot,
        positions=positions,
        collateral=collateral,
        rules=base.rules,
        policy=reduction_policy_in_force(utc_now().date(), place.settings.parameters),
    )
    rows = []
    for name in names:
        try:
            plan = plan_of(basis, name).plan
        except MarginPlatformError as error:
            # Stale, broken or unknown: nobody trades on a guess, and the others have their plans.
            rows.append({"netting set": name, "plan": f"cannot be planned: {error}"})
            continue
        rows.append(
            {
                "netting set": name,
                "plan": plan.status.replace("_", " "),
                "orders": f"{len(plan.orders):,}",
                "cost USD": short(plan.cost),
                "owed after": percent(plan.ratio_after),
                "why": plan.reason,
            }
        )
    return rows
