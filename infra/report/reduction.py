"""Plans of a reduction as terminal tables, as markdown and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.reduction import (
    AccountWaterfall,
    PlannedOrder,
    ReductionChoice,
    ReductionPlan,
    ReductionTerms,
)
from infra.report.amounts import exact, percent, short
from infra.report.json_twin import Json

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

SCHEMA = "plimsoll.reduction/2"
_KINDS = {"reduce_only": "reduce only", "hedge_first": "hedge first"}
_HEADLINES = {
    "not_needed": "Nothing to reduce: {before} of collateral is owed, target {target}.",
    "restores": "{n} restore {after} (now {before}, target {target}), at a cost of {cost} USD.",
    "insufficient": "{n} reach {after} (now {before}), not the target {target}: {reason}.",
}


@dataclass(frozen=True, slots=True, eq=False)
class Reduction:
    """The plans of a netting set with what they rest on; ``plan`` is the one that is taken."""

    run_id: str
    business_date: str
    netting_set_id: str
    currency: str
    terms: ReductionTerms
    choice: ReductionChoice
    accounts: Sequence[AccountWaterfall]

    @property
    def plan(self) -> ReductionPlan:
        """Return the plan that is taken."""
        return self.choice.plan


def reduction_json(found: Reduction) -> dict[str, Json]:
    """Return the plan as JSON values: quantities as text, what is unknown as null."""
    plan = found.plan
    return {
        "schema": SCHEMA,
        "run_id": found.run_id,
        "business_date": found.business_date,
        "netting_set_id": found.netting_set_id,
        "currency": found.currency,
        "ratio_target": found.terms.ratio_target,
        "ratio_before": _number(float(plan.before["margin_ratio"])),
        "kind": found.choice.kind,
        "choice": found.choice.reason,
        **_plan_json(plan),
        "plans": {kind: _plan_json(each) for kind, each in found.choice.plans.items()},
        "venue_accounts": [_account_json(account) for account in found.accounts],
    }


def _plan_json(plan: ReductionPlan) -> dict[str, Json]:
    return {
        "status": plan.status,
        "reason": plan.reason,
        "ratio_after": _number(plan.ratio_after),
        "cost_usd": plan.cost,
        "orders": [_order_json(order) for order in plan.orders],
    }


def _order_json(order: PlannedOrder) -> dict[str, Json]:
    return {
        "account_id": order.account_id,
        "instrument_id": order.instrument_id,
        "side": order.side,
        "quantity": str(order.quantity),
        "is_reduce_only": order.is_reduce_only,
        "notional_usd": order.notional,
    }


def reduction_view(found: Reduction) -> RenderableType:
    """Return the plan for people."""
    from rich.console import Group
    from rich.text import Text

    plan = found.plan
    n = len(plan.orders)
    headline = _HEADLINES[plan.status].format(
        n="1 order" if n == 1 else f"{n} orders",
        before=percent(float(plan.before["margin_ratio"])),
        after=percent(plan.ratio_after),
        target=percent(found.terms.ratio_target),
        cost=short(plan.cost),
        reason=plan.reason,
    )
    parts: list[RenderableType] = [
        Text.assemble((found.netting_set_id, "bold"), f" · {found.run_id} · {headline}")
    ]
    if len(found.choice.plans) > 1:
        parts.append(_candidates(found))
    if plan.orders:
        parts.append(_orders(found))
    if found.accounts:
        parts.append(_accounts(found.accounts))
    return Group(*parts)


def _candidates(found: Reduction) -> Table:
    from rich.table import Table

    table = Table(title=f"Taken is the first: {found.choice.reason}", title_justify="left")
    table.add_column("Plan")
    for name in ("Orders", "Owed after", "Cost USD"):
        table.add_column(name, justify="right")
    for kind in sorted(found.choice.plans, key=lambda each: each != found.choice.kind):
        plan = found.choice.plans[kind]
        table.add_row(
            _KINDS[kind], f"{len(plan.orders)}", percent(plan.ratio_after), short(plan.cost)
        )
    return table


def _orders(found: Reduction) -> Table:
    from rich.table import Table

    table = Table(title="Planned, nothing has been sent", title_justify="left")
    for name in ("Account", "Instrument", "Order"):
        table.add_column(name, overflow="fold")
    for name in ("Quantity", "Exposure USD"):
        table.add_column(name, justify="right")
    for order in found.plan.orders:
        kind = "reduce only" if order.is_reduce_only else "hedge"
        table.add_row(
            order.account_id, order.instrument_id, f"{order.side}, {kind}",
            exact(order.quantity), short(order.notional),
        )  # fmt: skip
    return table


def _accounts(accounts: Sequence[AccountWaterfall]) -> Table:
    from rich.table import Table

    table = Table(title="If nobody acts, at the marks of the close", title_justify="left")
    table.add_column("Venue account", overflow="fold")
    for name in ("Maintenance", "Equity"):
        table.add_column(f"{name} USD", justify="right")
    table.add_column("The venue would")
    for account in accounts:
        table.add_row(
            account.account_id, short(account.maintenance_margin), short(account.equity),
            _verdict(account),
        )  # fmt: skip
    return table


def _verdict(account: AccountWaterfall) -> str:
    found = account.waterfall
    if account.standing == "covered":
        return "leave it alone"
    if found is None:
        return f"not known: {account.reason}"
    actions = [step.action for step in found.steps]
    n = actions.count("liquidate")
    cancels = "cancel its orders" if "cancel_orders" in actions else ""
    hedges = "open a hedge" if "hedge" in actions else ""
    takes = f"liquidate {short(found.notional)} USD in {n} steps, fees {short(found.fees)}"
    ends = {"restored": "", "closed_out": ", nothing left", "bankrupt": ", equity below zero"}
    whole = " and ".join(part for part in (cancels, hedges, takes if n else "") if part)
    grade = f" ({account.evidence})" if account.evidence not in (None, "published_example") else ""
    return f"{whole}{ends[found.end]}{grade}"


def _account_json(account: AccountWaterfall) -> Json:
    found = account.waterfall
    told: dict[str, Json] = {
        "account_id": account.account_id,
        "venue": account.venue,
        "standing": account.standing,
        "maintenance_margin_usd": _number(account.maintenance_margin),
        "equity_usd": _number(account.equity),
        "reason": account.reason,
        "evidence": account.evidence,
    }
    if found is not None:
        told["end"] = found.end
        told["fees_usd"] = found.fees
        told["notional_usd"] = found.notional
        told["steps"] = [
            {
                "action": step.action,
                "after_seconds": step.after_seconds,
                "taken": dict(step.taken),
                "fee_usd": step.fee,
                "maintenance_margin_usd": step.maintenance_margin,
                "equity_usd": step.equity,
            }
            for step in found.steps
        ]
    return told


def _number(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
