"""Orders at least cost that restore a margin ratio, and what the venue would do if nobody acts."""

from engine.reduction.accounts import LIQUIDATION, AccountWaterfall, account_waterfalls
from engine.reduction.choice import ReductionChoice, choose_reduction
from engine.reduction.costs import trading_costs
from engine.reduction.hedging import hedge_instruments, is_portfolio_margined, portfolio_accounts
from engine.reduction.intent import (
    Covered,
    Leg,
    ReductionIntent,
    ReductionKind,
    intent_from,
    order_key,
)
from engine.reduction.legs import legs_of
from engine.reduction.plan import ReductionPlan, plan_reduction
from engine.reduction.policy import (
    MODES,
    Caps,
    OrderTiming,
    PriceLimits,
    ReductionMode,
    ReductionPolicy,
)
from engine.reduction.resolution import (
    OrderDecision,
    OrderEvidence,
    SentOrder,
    judge_report,
    quiet_at,
    resolve_order,
)
from engine.reduction.slicing import CapUse, LegProgress, Seen, Slice, exposure_left, next_slice
from engine.reduction.terms import PlannedOrder, ReductionTerms
from engine.reduction.waterfall import (
    AccountState,
    LiquidationRules,
    LiquidationStep,
    Waterfall,
    waterfall,
)

__all__ = [
    "LIQUIDATION",
    "MODES",
    "AccountState",
    "AccountWaterfall",
    "CapUse",
    "Caps",
    "Covered",
    "Leg",
    "LegProgress",
    "LiquidationRules",
    "LiquidationStep",
    "OrderDecision",
    "OrderEvidence",
    "OrderTiming",
    "PlannedOrder",
    "PriceLimits",
    "ReductionChoice",
    "ReductionIntent",
    "ReductionKind",
    "ReductionMode",
    "ReductionPlan",
    "ReductionPolicy",
    "ReductionTerms",
    "Seen",
    "SentOrder",
    "Slice",
    "Waterfall",
    "account_waterfalls",
    "choose_reduction",
    "exposure_left",
    "hedge_instruments",
    "intent_from",
    "is_portfolio_margined",
    "judge_report",
    "legs_of",
    "next_slice",
    "order_key",
    "plan_reduction",
    "portfolio_accounts",
    "quiet_at",
    "resolve_order",
    "trading_costs",
    "waterfall",
]
