"""Reductions as people work on them: planned, approved, sent, resolved; without Prefect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from engine.errors import MarginPlatformError, ParameterError
from engine.reduction.states import PLAN_STATES
from engine.whatif import PreparedBook
from infra import listings
from infra.clock import utc_now
from infra.connections import has_connections, open_connections
from infra.dated_policies import require_network
from infra.db.reduction_queries import CALL_CAUSE
from infra.db.reduction_records import OrderRecord, ReductionRecord
from infra.db.reduction_tables import PLAN_OPEN
from infra.listings import ShownReduction, reduction_as_json
from infra.listings import plan_as_json as record_as_json
from infra.outbound import KillSwitch, Worked
from infra.reduction import (
    AssessedStandings,
    OrderDecision,
    Proposed,
    ReductionBasis,
    ReductionDesk,
    ReductionWish,
    Wiring,
    propose_reduction,
    reduction_policy_in_force,
    wiring_of,
)
from infra.reduction.proposing import plan_of
from infra.reduction.standing import LeftToTheLoop
from infra.report.reduction import Reduction, reduction_json, reduction_view
from infra.telemetry import Step, progress
from tasks.closes import load_basis
from tasks.lookup import chosen_run
from tasks.principals import principal
from tasks.workplace import Workplace, workplace

if TYPE_CHECKING:
    from rich.console import RenderableType

    from infra.reduction import ReductionPolicyInForce
    from infra.settings import Settings

__all__ = [
    "Proposed",
    "ReductionRecord",
    "ShownReduction",
    "Worked",
    "approve",
    "book_of",
    "decide",
    "in_flight",
    "planned",
    "propose",
    "propose_for_calls",
    "record_as_json",
    "reduction_as_json",
    "reduction_policy",
    "reductions",
    "reject",
    "resolve_due",
    "send_due",
    "shown",
    "shown_as_json",
    "shown_reduction",
    "stop",
]

PROGRAM = "plimsoll"


def planned(
    netting_set_id: str, run_id: str | None, ratio: float | None, hedges: Sequence[str]
) -> Reduction:
    """Return the plans of a netting set of ``run_id``, or of the last run. Nothing is recorded.

    Raises
    ------
    MissingDataError
        If there is no such run, netting set or hedge, or the netting set could not be margined.
    ParameterError
        If the ratio is out of range.
    StaleMarkError, OpenBreak
        If inputs are not fresh, or sources disagree: nobody trades on a guess.
    """
    if ratio is not None and not 0.0 < ratio <= 1.0:
        raise ParameterError(
            f"ratio is {ratio:g}, limit above 0, at most 1", identifier="ratio", value=ratio
        )
    place = workplace()
    basis = _basis(place, run_id)
    terms = basis.policy.policy.terms
    if ratio is not None:
        terms = replace(terms, ratio_target=ratio)
    progress().report(Step("plan", 0, 1))
    found = plan_of(basis, netting_set_id, replace(terms, hedges=tuple(hedges)))
    progress().report(Step("plan", 1, 1, note=f"{len(found.plan.orders)} orders"))
    return found


def shown(found: Reduction) -> RenderableType:
    """Return plans for people."""
    return reduction_view(found)


def shown_as_json(found: Reduction) -> dict[str, Any]:
    """Return plans as JSON values."""
    return dict(reduction_json(found))


def propose(netting_set_id: str, reason: str, run_id: str | None, *, again: bool) -> Proposed:
    """Propose a plan in one's own name: for the open call of a netting set, else by hand."""
    place = _prepared()
    calls = place.database.calls.open_calls()
    mine = calls[(calls["netting_set_id"] == netting_set_id) & (calls["direction"] == "call")]
    basis = _basis(place, run_id)
    cause = f"{CALL_CAUSE}{mine['call_id'].iloc[0]}" if len(mine) else f"hand:{basis.run_id}"
    wish = ReductionWish(principal=principal(), reason=reason, is_again=again)
    return propose_reduction(place.database, netting_set_id, cause, basis, wish)


def propose_for_calls(netting_sets: Sequence[str] | None = None) -> list[Proposed]:
    """Propose a plan for every call that has been escalated to reduction; each once.

    What cannot be planned is told by name, with the reason, and does not keep the others waiting.
    """
    place = _prepared()
    calls = place.database.calls.open_calls()
    due = calls[(calls["state"] == "reduction") & (calls["direction"] == "call")]
    if netting_sets is not None:
        due = due[due["netting_set_id"].isin(list(netting_sets))]
    found: list[Proposed] = []
    basis: ReductionBasis | None = None
    for row in due.sort_values("call_id").to_dict(orient="records"):
        cause = f"{CALL_CAUSE}{row['call_id']}"
        wish = ReductionWish(principal=PROGRAM, reason=f"call {row['call_id']} has failed its cure")
        try:
            basis = basis or _basis(place, None)
            one = propose_reduction(place.database, str(row["netting_set_id"]), cause, basis, wish)
        except MarginPlatformError as error:
            one = Proposed(
                netting_set_id=str(row["netting_set_id"]), record=None, is_new=False,
                words=str(error),
            )  # fmt: skip
        found.append(one)
    return found


def reductions(states: Sequence[str] = (), *, only_open: bool = False) -> list[ReductionRecord]:
    """Return plans, the earliest first; those in ``states``, or only open ones."""
    for state in states:
        if state not in PLAN_STATES:
            raise ParameterError(
                f"--state {state}, limit: {', '.join(sorted(PLAN_STATES))}", identifier="state",
                value=state,
            )  # fmt: skip
    wanted = tuple(states) or (PLAN_OPEN if only_open else None)
    return _prepared().database.reductions.list(wanted)


def shown_reduction(plan_id: str) -> ShownReduction:
    """Return one plan with everything that is known of it."""
    place = _prepared()
    return listings.shown_reduction(place.database, reduction_policy(place).policy, plan_id)


def approve(plan_id: str, payload_hash: str, reason: str = "") -> ReductionRecord:
    """Approve a plan's payload in one's own name."""
    return _desk(_prepared()).approve(plan_id, principal(), payload_hash, reason)


def reject(plan_id: str, reason: str) -> ReductionRecord:
    """Refuse a plan that is proposed."""
    return _desk(_prepared()).reject(plan_id, principal(), reason)


def stop(plan_id: str, reason: str) -> ReductionRecord:
    """Stop a plan at work."""
    return _desk(_prepared()).stop(plan_id, principal(), reason)


def decide(order_key: str, filled_lots: int, reason: str) -> OrderRecord:
    """Decide about a stuck order by hand."""
    decision = OrderDecision(filled_lots=filled_lots, principal=principal(), reason=reason)
    return _desk(_prepared()).decide(order_key, decision)


def send_due() -> Worked:
    """Send the next slices of plans at work, once each."""
    place = _prepared()
    standings = LeftToTheLoop(AssessedStandings(lambda record: book_of(place, record)))

    async def work(wiring: Wiring) -> Worked:
        return await _desk(place).send_due(wiring, standings)

    return _wired(place, work)


def resolve_due(*, everything: bool = False) -> Worked:
    """Ask the venues about orders that may still act; all of them, or those that are due."""
    place = _prepared()

    async def work(wiring: Wiring) -> Worked:
        return await _desk(place).resolve_due(wiring, everything=everything)

    return _wired(place, work)


def in_flight() -> list[OrderRecord]:
    """Return orders that may still act."""
    return _desk(_prepared()).in_flight()


def book_of(place: Workplace, record: ReductionRecord) -> PreparedBook:
    """Return the netting set of a plan as the plan saw it; kept from one round to the next."""
    return _book(place.settings, record.intent.run_id, record.intent.netting_set_id)


@lru_cache(maxsize=64)
def _book(settings: Settings, run_id: str, netting_set_id: str) -> PreparedBook:
    # What a run rests on never changes: only the settings say where it is.
    return _basis(workplace(), run_id).prepared(netting_set_id)


def _wired(place: Workplace, work: Callable[[Wiring], Awaitable[Worked]]) -> Worked:
    async def run() -> Worked:
        if not has_connections(place.settings):
            return await work(Wiring({}, {}))
        async with open_connections(place.settings) as connections:
            return await work(wiring_of(connections))

    return asyncio.run(run())


def _basis(place: Workplace, run_id: str | None) -> ReductionBasis:
    run = chosen_run(run_id)
    progress().report(Step("load", 0, 1))
    close = load_basis(place, run.run_id).close
    progress().report(Step("load", 1, 1, note=run.run_id))
    return ReductionBasis(
        run_id=run.run_id,
        snapshot=close.snapshot,
        positions=close.positions,
        collateral=close.collateral,
        rules=close.rules,
        policy=reduction_policy(place),
    )


def _prepared() -> Workplace:
    place = workplace()
    place.database.prepare()
    return place


def reduction_policy(place: Workplace) -> ReductionPolicyInForce:
    """Return the policy in force; one for simulated networks is none where money is real."""
    found = reduction_policy_in_force(utc_now().date(), place.settings.parameters)
    require_network(found, place.settings.venue_network)
    return found


def _desk(place: Workplace) -> ReductionDesk:
    switch = KillSwitch(place.settings.home_path)
    return ReductionDesk(place.database, reduction_policy(place).policy, switch)
