"""Reductions typed by hand: a policy, legs and an intent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from engine.approvals import ApprovalTier
from engine.reduction import (
    Caps,
    Covered,
    Leg,
    OrderTiming,
    PriceLimits,
    ReductionIntent,
    ReductionPolicy,
    ReductionTerms,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PERP, CALL = "sim:BTC-PERP", "sim:BTC-26JUN26-60000-C"
ACCOUNT = "NS-1-sim"
TIMING = OrderTiming(
    skew_seconds=1.0, poll_seconds=2.0, poll_seconds_max=30.0, ask_after_seconds=300.0,
    send_timeout_seconds=2.0, send_delay_seconds_max=2.0, order_seconds_max=10.0,
)  # fmt: skip
CAPS = Caps(
    slice_notional_max=Decimal(100_000), slice_volume_share_max=0.001, slice_seconds_min=5.0,
    orders_per_minute_max=10, day_notional_max=Decimal(5_000_000),
    house_day_notional_max=Decimal(20_000_000), hedge_slice_notional_max=Decimal(50_000),
    hedge_notional_max=Decimal(1_000_000), failures_max=3,
)  # fmt: skip
PRICE = PriceLimits(
    band=0.005, option_band=0.25, mark_move_max=0.1, option_mark_move_max=0.5
)  # fmt: skip


def policy(**changes: Any) -> ReductionPolicy:
    """Return rules under which plans wait for people; ``caps`` and others may be replaced."""
    caps = replace(CAPS, **changes.pop("caps", {}))
    facts: dict[str, Any] = {
        "effective_date": date(2019, 1, 1), "source": "tests", "environment": "sim",
        "mode": "approval", "mode_ceiling": "automatic",
        "automatic_notional_max": Decimal(1_000_000), "plan_lifetime_minutes": 60.0,
        "terms": ReductionTerms(), "caps": caps, "price": PRICE, "timing": TIMING,
        "tiers": (ApprovalTier(Decimal(0), 1), ApprovalTier(Decimal(500_000), 2)),
    }  # fmt: skip
    return ReductionPolicy(**{**facts, **changes})


def leg(**changes: Any) -> Leg:
    """Return a leg that sells 10 of a perpetual at 60,000 in lots of a tenth."""
    facts: dict[str, Any] = {
        "number": 1, "account_id": ACCOUNT, "instrument_id": PERP, "side": "sell", "lots": 100,
        "lot": Decimal("0.1"), "tick": Decimal("0.5"), "is_reduce_only": True, "is_option": False,
        "notional": Decimal(60_000), "exposure": Decimal(60_000), "mark_price": Decimal(60_000),
        "daily_volume": Decimal("2e10"),
    }  # fmt: skip
    return Leg(**{**facts, **changes})


def hedge(**changes: Any) -> Leg:
    """Return a leg that buys the perpetual against short calls of half their notional each."""
    facts: dict[str, Any] = {
        "side": "buy", "is_reduce_only": False,
        "covers": (Covered(instrument_id=CALL, exposure=Decimal(30_000)),),
    }  # fmt: skip
    return leg(**{**facts, **changes})


def intent(*legs: Leg, **changes: Any) -> ReductionIntent:
    """Return a reduction of these legs, one that sells 10 perpetuals if none is given."""
    facts: dict[str, Any] = {
        "netting_set_id": "NS-1", "cause": "call:call-1", "attempt": 1, "kind": "reduce_only",
        "run_id": "eod-2026-11-20-1", "snapshot_id": "snapshot", "rule_book_hash": "rules",
        "policy_hash": "policy", "ratio_target": Decimal("0.95"), "legs": legs or (leg(),),
    }  # fmt: skip
    return ReductionIntent(**{**facts, **changes})
