"""Plan a reduction for a netting set and record it, from whatever has led to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from engine.errors import MissingDataError
from engine.market import PreparedMarket, prepare
from engine.portfolio import Portfolio, portfolio
from engine.reduction import (
    ReductionChoice,
    ReductionIntent,
    ReductionKind,
    ReductionMode,
    ReductionTerms,
    account_waterfalls,
    choose_reduction,
    legs_of,
    plan_reduction,
)
from engine.rules import RuleBook
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from engine.whatif import PreparedBook, prepare_book
from infra.db.reduction_queries import (
    LADDER_CAUSE,
    latest_attempt_within,
    open_reduction_within,
)
from infra.db.reduction_records import NewReduction, ReductionRecord
from infra.outbound.worked import DESK
from infra.reduction.policy_files import ReductionPolicyInForce
from infra.reduction.recording import record_plan
from infra.report.reduction import Reduction, reduction_json

if TYPE_CHECKING:
    from infra.db import Database

_BY_ITSELF: Final = frozenset({"expired", "insufficient", "stopped"})
"""Ends after which a plan is made anew by itself, unless a person has brought it there."""


@dataclass(slots=True, kw_only=True, eq=False)
class ReductionBasis:
    """What plans rest on: a close, or the book as the loop has it now, and the policy in force.

    Market and books are prepared on first use, once for all netting sets.
    """

    run_id: str
    snapshot: Snapshot
    positions: PositionSet
    collateral: CollateralSet
    rules: RuleBook
    policy: ReductionPolicyInForce
    _market: PreparedMarket | None = field(default=None, init=False)
    _book: Portfolio | None = field(default=None, init=False)

    def prepared(self, netting_set_id: str) -> PreparedBook:
        """Return a netting set ready for planning.

        Raises
        ------
        MissingDataError
            If there is none, or it could not be margined.
        StaleMarkError, OpenBreak
            If inputs are not fresh, or sources disagree: nobody trades on a guess.
        """
        if self._market is None or self._book is None:
            self._market = prepare(self.snapshot, self.rules)
            self._book = portfolio(self._market, self.positions, self.collateral, self.rules)
        return prepare_book(
            self.snapshot, self._market, self._book, self.positions, self.rules, netting_set_id
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReductionWish:
    """Who wants a plan and why.

    Attributes
    ----------
    mode : optional
        More cautious than the agreement's, never less.
    is_again : bool
        A person wants it anew although it was refused or stopped.
    within : callable, optional
        Called in the transaction that records a new plan; what it raises keeps it off the record.
    """

    principal: str
    reason: str
    mode: ReductionMode | None = None
    is_again: bool = False
    within: Callable[[Connection, ReductionRecord], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """What has come of a wish.

    ``record`` is None where nothing is to be reduced or nothing can be; ``is_new`` is False where
    the plan was there before; ``words`` says which of it.
    """

    netting_set_id: str
    record: ReductionRecord | None
    is_new: bool
    words: str
    found: Reduction | None = None


def propose_reduction(
    database: Database,
    netting_set_id: str,
    cause: str,
    basis: ReductionBasis,
    wish: ReductionWish,
) -> Proposed:
    """Plan a reduction and record it under its cause; the same cause again finds the first plan.

    In shadow mode it is recorded and shown, with what the venues themselves would do, and does
    nothing. Else it waits for people, or goes by itself where mode and limits allow it.

    Parameters
    ----------
    cause : str
        ``call:<call_id>``, or another name that will not be used twice, such as
        ``ladder:<event>``.

    Raises
    ------
    MissingDataError
        If the netting set is absent, or something that caps are held to.
    StaleMarkError, OpenBreak
        If inputs are not fresh, or sources disagree: nobody trades on a guess.
    StateError
        If another plan of the netting set is open.
    """
    policy = basis.policy.policy
    agreement = basis.rules.agreements.get(netting_set_id)
    if agreement is None:
        raise MissingDataError(
            f"{netting_set_id} has no agreement in {basis.run_id}", identifier=netting_set_id
        )
    mode = policy.mode_of(agreement.reduction, wish.mode)
    with database.reading() as connection:
        latest = latest_attempt_within(connection, netting_set_id, cause)
        other = open_reduction_within(connection, netting_set_id)
    if latest is not None:
        by = database.reductions.events(latest.plan_id)[-1].actor
        words = _obstacle(latest, by, mode, basis.run_id, wish)
        if words:
            return _told(netting_set_id, words, latest)
    if other is not None and mode != "shadow":
        return _told(netting_set_id, f"another reduction of it is {other.state}", other)
    found = plan_of(basis, netting_set_id)
    if not found.plan.orders:
        return _told(netting_set_id, found.plan.reason or "nothing is to be reduced", None, found)
    new = NewReduction(
        intent=_intent(basis, found, cause, 1 if latest is None else latest.intent.attempt + 1),
        mode=mode,
        status=found.plan.status,
        cost=Decimal(f"{found.plan.cost:.4f}"),
        figures=reduction_json(found),
        proposer=wish.principal,
        reason=wish.reason,
        valid_until=database.clock() + policy.lifetime,
    )
    record, is_new = record_plan(database, policy, new, wish.within)
    return _told(netting_set_id, found.choice.reason, record, found, is_new=is_new)


def plan_of(
    basis: ReductionBasis, netting_set_id: str, terms: ReductionTerms | None = None
) -> Reduction:
    """Return the plans for a netting set, and what its venues would do. Nothing is recorded.

    ``terms`` with hedges that a person has named are planned as they are; else those of the policy
    are, with a hedge first where the venue lets one count.
    """
    policy = basis.policy.policy
    wanted = policy.terms if terms is None else terms
    held = basis.prepared(netting_set_id)
    if wanted.hedges:
        unknown = [name for name in wanted.hedges if name not in held.instruments.row_of]
        if unknown:
            raise MissingDataError(
                f"hedge {unknown[0]} is no instrument of the snapshot", identifier=unknown[0]
            )
        plan = plan_reduction(held, wanted)
        is_hedged = any(not order.is_reduce_only for order in plan.orders)
        kind: ReductionKind = "hedge_first" if is_hedged else "reduce_only"
        choice = ReductionChoice(plans={kind: plan}, kind=kind, reason="with the hedges named")
    else:
        choice = choose_reduction(held, wanted, float(policy.caps.hedge_notional_max))
    return Reduction(
        run_id=basis.run_id,
        business_date=basis.snapshot.business_date.isoformat(),
        netting_set_id=netting_set_id,
        currency=held.agreement.currency,
        terms=wanted,
        choice=choice,
        accounts=account_waterfalls(held),
    )


def _obstacle(
    latest: ReductionRecord, by: str, mode: ReductionMode, run_id: str, wish: ReductionWish
) -> str:
    """Return why no plan is made after the latest of the same cause; empty if one is."""
    if latest.is_open:
        return f"it is {latest.state} already"
    if wish.is_again:
        return ""
    if latest.state == "shadow":
        return "it was planned in shadow" if mode == "shadow" else ""
    # A rung that is still entered may be passed again; a call that was restored is done with.
    is_rung = latest.intent.cause.startswith(LADDER_CAUSE)
    if latest.state == "restored" and not (is_rung and latest.intent.run_id != run_id):
        return "it was restored"
    if latest.state not in (*_BY_ITSELF, "restored") or by != DESK:
        return f"it was {latest.state} by {by}: a person may ask for it again"
    if latest.state != "expired" and latest.intent.run_id == run_id:
        return f"it was {latest.state}, and there are no newer figures to plan on"
    return ""


def _told(
    netting_set_id: str,
    words: str,
    record: ReductionRecord | None,
    found: Reduction | None = None,
    *,
    is_new: bool = False,
) -> Proposed:
    return Proposed(
        netting_set_id=netting_set_id, record=record, is_new=is_new, words=words, found=found
    )


def _intent(basis: ReductionBasis, found: Reduction, cause: str, attempt: int) -> ReductionIntent:
    held = basis.prepared(found.netting_set_id)
    return ReductionIntent(
        netting_set_id=found.netting_set_id,
        cause=cause,
        attempt=attempt,
        kind=found.choice.kind,
        run_id=basis.run_id,
        snapshot_id=str(basis.snapshot.snapshot_id),
        rule_book_hash=basis.rules.rule_book_hash,
        policy_hash=basis.policy.policy_hash,
        ratio_target=Decimal(repr(found.terms.ratio_target)),
        legs=legs_of(held, found.plan.orders),
    )
