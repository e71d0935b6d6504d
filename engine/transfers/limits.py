"""How much may leave: per transfer, and per route, asset, day and 24 hours (I-13).

What has been executed counts, and what has perhaps been executed counts as well: an outcome that
is unknown counts for as long as it is unknown, however old.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from engine.errors import ParameterError
from engine.money import MONEY_CONTEXT
from engine.transfers.intent import TransferIntent
from engine.transfers.policy import RouteLimit, TransferPolicy

_WINDOW = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTransfer:
    """What a transfer counts for: executed, or perhaps executed, at ``sent_at``."""

    key: str
    source: str
    destination: str
    asset: str
    quantity: Decimal
    sent_at: datetime
    is_unknown: bool


@dataclass(frozen=True, slots=True)
class LimitUse:
    """What a limit has left at an instant. [asset]"""

    limit: RouteLimit
    day_used: Decimal
    rolling_used: Decimal


def uses_of(
    limits: Iterable[RouteLimit], past: Iterable[PastTransfer], now: datetime
) -> list[LimitUse]:
    """Return how much of each limit is used at ``now``."""
    counted = list(past)
    return [_use(limit, counted, now) for limit in limits]


def require_within_limits(
    intent: TransferIntent, policy: TransferPolicy, past: Iterable[PastTransfer], now: datetime
) -> None:
    """Raise ParameterError if sending the intent at ``now`` would exceed any limit.

    A route without a limit is closed. ``past`` may hold the intent's own earlier sending, which
    does not count twice.
    """
    rule = policy.asset_rule(intent.asset)
    quantity = intent.quantity
    if intent.scale != rule.scale:
        raise _exceeded(intent, f"scale {intent.scale}", f"scale {rule.scale} of {intent.asset}")
    if quantity > rule.transfer_max:
        what = f"{quantity} {intent.asset} in one transfer"
        raise _exceeded(intent, what, f"{rule.transfer_max} {intent.asset}")
    covering = [
        limit
        for limit in policy.limits
        if limit.covers(intent.source, intent.destination, intent.asset)
    ]
    if not covering:
        route = f"{intent.source} to {intent.destination}, {intent.asset}"
        raise _exceeded(intent, f"no limit covers {route}", "a limit in the transfer policy")
    others = [one for one in past if one.key != intent.key]
    for use in uses_of(covering, others, now):
        for name, used, most in (
            ("UTC day", use.day_used, use.limit.day_max),
            ("24 hours", use.rolling_used, use.limit.rolling_max),
        ):
            total = MONEY_CONTEXT.add(used, quantity)
            if total > most:
                what = (
                    f"{quantity} {intent.asset} after {used} on {use.limit.label} in this {name}"
                    if name == "UTC day"
                    else f"{quantity} {intent.asset} after {used} on {use.limit.label} in {name}"
                )
                raise _exceeded(intent, what, f"{most} {intent.asset}")


def _use(limit: RouteLimit, past: list[PastTransfer], now: datetime) -> LimitUse:
    today = now.astimezone(UTC).date()
    day, rolling = Decimal(0), Decimal(0)
    for one in past:
        if not limit.covers(one.source, one.destination, one.asset):
            continue
        if one.is_unknown or one.sent_at.astimezone(UTC).date() == today:
            day = MONEY_CONTEXT.add(day, one.quantity)
        if one.is_unknown or one.sent_at > now - _WINDOW:
            rolling = MONEY_CONTEXT.add(rolling, one.quantity)
    return LimitUse(limit, day, rolling)


def _exceeded(intent: TransferIntent, what: str, limit: str) -> ParameterError:
    return ParameterError(
        f"transfer {intent.key}: {what}, limit: {limit}",
        identifier=intent.key,
        value=str(intent.quantity),
        limit=limit,
    )
