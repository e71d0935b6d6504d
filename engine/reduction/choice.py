"""Reduce only, or hedge first where the venue lets a hedge count: the cheaper plan that restores.

Both are planned and both are shown. A hedge has its own limits and is chosen only where it costs
less, or where reducing alone does not restore the ratio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from engine.reduction.hedging import hedge_instruments, portfolio_accounts
from engine.reduction.intent import ReductionKind
from engine.reduction.plan import ReductionPlan, plan_reduction
from engine.reduction.terms import PlannedOrder, ReductionTerms
from engine.whatif import PreparedBook


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReductionChoice:
    """The plans that there are, and which one is taken.

    Attributes
    ----------
    plans : mapping
        By kind; a hedge comes first only where one is allowed and helps.
    kind : {"reduce_only", "hedge_first"}
        The one that is taken.
    reason : str
        Why it, in a sentence.
    """

    plans: Mapping[ReductionKind, ReductionPlan]
    kind: ReductionKind
    reason: str

    @property
    def plan(self) -> ReductionPlan:
        """Return the plan that is taken."""
        return self.plans[self.kind]


def choose_reduction(
    book: PreparedBook, terms: ReductionTerms, hedge_notional_max: float
) -> ReductionChoice:
    """Return the plans for a netting set and the cheaper one that restores its ratio.

    Parameters
    ----------
    book : PreparedBook
        Fresh inputs and no open break.
    terms : ReductionTerms
        Target and limits; hedges that it names are ignored: the modes of the accounts decide.
    hedge_notional_max : float
        Most exposure of all hedges together. [USD]
    """
    plain = plan_reduction(book, replace(terms, hedges=(), hedge_accounts=None))
    plans: dict[ReductionKind, ReductionPlan] = {"reduce_only": plain}
    if plain.status == "not_needed":
        return ReductionChoice(plans=plans, kind="reduce_only", reason="nothing is to be reduced")
    hedged, why_not = _hedged(book, terms, hedge_notional_max)
    if hedged is None:
        return ReductionChoice(plans=plans, kind="reduce_only", reason=why_not)
    plans["hedge_first"] = hedged
    kind, reason = _chosen(plain, hedged)
    return ReductionChoice(plans=plans, kind=kind, reason=reason)


def _hedged(
    book: PreparedBook, terms: ReductionTerms, notional_max: float
) -> tuple[ReductionPlan | None, str]:
    accounts = portfolio_accounts(book)
    hedges = {
        name for account, venue in accounts for name in hedge_instruments(book, account, venue)
    }
    if not hedges:
        return None, "no account is margined by portfolio with options in it: no hedge would count"
    allowed = tuple(account for account, _ in accounts)
    plan = plan_reduction(
        book, replace(terms, hedges=tuple(sorted(hedges)), hedge_accounts=allowed)
    )
    orders = sorted(plan.orders, key=lambda order: order.is_reduce_only)
    opened = [order for order in orders if not order.is_reduce_only]
    if not opened:
        return None, "no hedge brings the ratio nearer per dollar than a reduction does"
    notional = _notional(opened)
    if notional > notional_max:
        return None, f"the hedge would be {notional:,.0f} USD, limit {notional_max:,.0f}"
    return replace(plan, orders=tuple(orders)), ""


def _chosen(plain: ReductionPlan, hedged: ReductionPlan) -> tuple[ReductionKind, str]:
    costs = f"{hedged.cost:,.0f} USD with a hedge first, {plain.cost:,.0f} USD by reducing alone"
    if (hedged.status == "restores") != (plain.status == "restores"):
        if hedged.status == "restores":
            return "hedge_first", f"reducing alone does not restore the ratio: {costs}"
        return "reduce_only", f"a hedge first does not restore the ratio: {costs}"
    if plain.status == "restores":
        kind: ReductionKind = "hedge_first" if hedged.cost < plain.cost else "reduce_only"
        return kind, f"both restore the ratio: {costs}"
    nearer = np.nan_to_num(hedged.ratio_after, nan=np.inf) < plain.ratio_after
    return ("hedge_first" if nearer else "reduce_only"), f"neither restores the ratio: {costs}"


def _notional(orders: list[PlannedOrder]) -> float:
    return sum(order.notional for order in orders)
