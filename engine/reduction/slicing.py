"""The next order of a leg: how much, at what price, when, and why not (I-47, I-49).

Everything is decided anew before each order, from what the venue says is held: a position that
somebody else has made smaller is not sold twice, and one that is gone or has turned is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Literal, TypeAlias

from engine.money import MONEY_CONTEXT
from engine.reduction.intent import Leg
from engine.reduction.policy import ReductionPolicy

SliceVerdict: TypeAlias = Literal["send", "wait", "end", "stale"]
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegProgress:
    """What has become of a leg so far.

    Attributes
    ----------
    filled_lots : int
        Filled by orders at their end.
    live_lots : int
        Of orders that may still act: they count in full.
    n_slices : int
        Orders so far.
    n_failures : int
        Orders in a row, the latest last, that had no effect.
    last_sent_at : datetime, optional
        Of the latest order.
    """

    filled_lots: int = 0
    live_lots: int = 0
    n_slices: int = 0
    n_failures: int = 0
    last_sent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the venue says ``at`` an instant: contracts by instrument (absent is none), the mark."""

    held: Mapping[str, Decimal]
    mark_price: Decimal | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CapUse:
    """What is used of the caps; what is unknown counts as sent. [USD]"""

    orders_last_minute: int = 0
    day_notional: Decimal = Decimal(0)
    house_day_notional: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The next order, or why there is none.

    Attributes
    ----------
    verdict : {"send", "wait", "end", "stale"}
        ``end``: the leg is through. ``stale``: the whole plan no longer fits the market.
    lots : int
        Of the order. [lots]
    limit_price : Decimal
        Worst price at which it may fill. [quote unit]
    notional : Decimal
        What caps count of it, at the mark where that is dearer than the plan's. [USD]
    until : datetime, optional
        When to look again.
    """

    verdict: SliceVerdict
    reason: str
    lots: int = 0
    limit_price: Decimal = Decimal(0)
    notional: Decimal = Decimal(0)
    until: datetime | None = None


def next_slice(
    leg: Leg, progress: LegProgress, seen: Seen, use: CapUse, policy: ReductionPolicy
) -> Slice:
    """Return the next order of a leg, as large as what is held, the leg and all caps allow.

    Never more than the leg has left, never more than makes the position flat (a hedge: than is to
    be hedged), never a wrong side, none while an earlier order may still act.
    """
    if progress.live_lots:
        return _no("wait", f"order {progress.n_slices} of the leg may still act")
    left = leg.lots - progress.filled_lots
    if left <= 0:
        return _no("end", f"all {leg.lots} lots are filled")
    if progress.n_failures >= policy.caps.failures_max:
        return _no("end", f"given up after {progress.n_failures} orders without effect")
    room, why = _room(leg, seen)
    if room <= 0:
        return _no("end", why)
    stale = _staleness(leg, seen, policy)
    if stale:
        return _no("stale", stale)
    mark = seen.mark_price
    if mark is None or not mark.is_finite() or mark <= 0:
        return _no("wait", f"the venue has no mark of {leg.instrument_id}")
    pause = _rate(progress, use, policy, seen.at)
    if pause is not None:
        return pause
    lot_notional = leg.lot_notional * max(Decimal(1), mark / leg.mark_price)
    capped = _capped(leg, lot_notional, use, policy)
    lots = min(left, room, capped.lots)
    if lots < 1:
        return capped
    price = _limit_price(leg, mark, policy)
    if price <= 0:
        return _no("wait", f"a mark of {mark} leaves no price on a step of {leg.tick}")
    return Slice(
        verdict="send",
        reason=f"{leg.side} {lots * leg.lot} of {leg.instrument_id}, {left} lots were left",
        lots=lots,
        limit_price=price,
        notional=_cents(lots * lot_notional),
    )


def exposure_left(leg: Leg, held: Mapping[str, Decimal]) -> Decimal:
    """Return the exposure that a hedge stands against, with what is hedged already. [USD]

    At the exposures of the plan; signed, long > 0.
    """
    total = held.get(leg.instrument_id, Decimal(0)) * leg.exposure
    for one in leg.covers:
        total += held.get(one.instrument_id, Decimal(0)) * one.exposure
    return total


def _room(leg: Leg, seen: Seen) -> tuple[int, str]:
    """Return how many lots may be traded by what is held, and why none may."""
    held = seen.held.get(leg.instrument_id, Decimal(0))
    if leg.is_reduce_only:
        if held * leg.sign >= 0:
            return 0, f"{held} {leg.instrument_id} are held: nothing is left to {leg.side}"
        return _whole(abs(held), leg.lot), f"{held} {leg.instrument_id} are held: less than a lot"
    open_exposure = exposure_left(leg, seen.held)
    per_lot = leg.exposure * leg.lot * leg.sign
    if not per_lot or open_exposure * per_lot >= 0:
        return 0, f"an exposure of {_cents(open_exposure)} USD is left: nothing to {leg.side}"
    return _whole(abs(open_exposure), abs(per_lot)), "less than a lot is left to hedge"


def _staleness(leg: Leg, seen: Seen, policy: ReductionPolicy) -> str:
    mark = seen.mark_price
    if mark is None or not mark.is_finite() or mark <= 0:
        return ""
    moved = abs(mark / leg.mark_price - 1)
    most = policy.price.move_of(is_option=leg.is_option)
    if moved <= most:
        return ""
    return (
        f"the mark of {leg.instrument_id} is {mark}, {float(moved):.1%} from {leg.mark_price} of "
        f"the plan, limit {float(most):.1%}: plan anew"
    )


def _rate(
    progress: LegProgress, use: CapUse, policy: ReductionPolicy, now: datetime
) -> Slice | None:
    caps = policy.caps
    if progress.last_sent_at is not None:
        free = progress.last_sent_at + timedelta(seconds=caps.slice_seconds_min)
        if now < free:
            return _no("wait", f"{caps.slice_seconds_min:g} s pass between orders", free)
    if use.orders_last_minute >= caps.orders_per_minute_max:
        why = f"{use.orders_last_minute} orders in a minute, limit {caps.orders_per_minute_max}"
        return _no("wait", why, now + _MINUTE)
    return None


def _capped(leg: Leg, lot_notional: Decimal, use: CapUse, policy: ReductionPolicy) -> Slice:
    """Return a slice with the most lots by the caps, or with none and the cap that forbids one."""
    caps = policy.caps
    share = Decimal(repr(caps.slice_volume_share_max))
    each = caps.slice_notional_max if leg.is_reduce_only else caps.hedge_slice_notional_max
    day = min(caps.day_notional_max - use.day_notional,
              caps.house_day_notional_max - use.house_day_notional)  # fmt: skip
    whole = _whole(day, lot_notional)
    if whole < 1:
        words = f"the notional of a day is used up, {_cents(max(day, Decimal(0)))} USD are left"
        return _no("wait", words)
    by_name = (
        ("slice_notional_max" if leg.is_reduce_only else "hedge_slice_notional_max", each),
        ("slice_volume_share_max", share * leg.daily_volume),
    )
    for name, most in by_name:
        lots = _whole(most, lot_notional)
        if lots < 1:
            lot = f"one lot is {_cents(lot_notional)} USD"
            return _no("end", f"{lot}, limit {_cents(most)} by {name}: nothing may be sent")
        whole = min(whole, lots)
    return Slice(verdict="send", reason="", lots=whole)


def _limit_price(leg: Leg, mark: Decimal, policy: ReductionPolicy) -> Decimal:
    """Return the worst price, on a step of prices within the band."""
    band = policy.price.band_of(is_option=leg.is_option)
    steps = mark * (1 + leg.sign * band) / leg.tick
    # Towards the mark; a band narrower than a step still leaves the next step.
    inside = steps.to_integral_value(rounding=ROUND_FLOOR if leg.sign > 0 else ROUND_CEILING)
    nearest = (mark / leg.tick).to_integral_value(
        rounding=ROUND_CEILING if leg.sign > 0 else ROUND_FLOOR
    )
    best = max(inside, nearest) if leg.sign > 0 else min(inside, nearest)
    return MONEY_CONTEXT.multiply(best, leg.tick)


def _whole(amount: Decimal, unit: Decimal) -> int:
    return int((amount / unit).to_integral_value(rounding=ROUND_FLOOR)) if amount > 0 else 0


def _cents(amount: Decimal) -> Decimal:
    # Figures of caps and words, not money that is booked.
    return round(amount, 2)


def _no(verdict: SliceVerdict, reason: str, until: datetime | None = None) -> Slice:
    return Slice(verdict=verdict, reason=reason, until=until)
