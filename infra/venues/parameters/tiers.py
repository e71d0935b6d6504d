"""Checks that tables of tiers have in common: nothing is missing between, nothing falls back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from engine.margin.tiered import NotionalTiers, Tier
from infra.venues.parameters.importing import BadRow, number

# Venues publish deductions to the cent.
_DEDUCTION_TOLERANCE: Final = 0.01


@dataclass(frozen=True, slots=True)
class PublishedTier:
    """One tier as published: from floor to cap at a rate, with the deduction if it is stated."""

    floor: float
    cap: float
    rate: float
    leverage_max: float | None = None
    deduction: float | None = None


def require_consistent(tiers: Sequence[PublishedTier], identifier: str) -> None:
    """Raise BadRow unless floors meet caps, rates rise, leverage falls and deductions recur.

    ``deduction_n = deduction_(n-1) + floor_n * (rate_n - rate_(n-1))``, which makes the margin
    continuous where the rate jumps.
    """
    if not tiers:
        raise BadRow(identifier, "no tier", "at least one tier", f"{identifier} has no tier")
    previous: PublishedTier | None = None
    for place, tier in enumerate(tiers, start=1):
        name = f"{identifier} tier {place}"
        floor = previous.cap if previous else 0.0
        _require(tier.floor == floor, name, tier.floor, f"floor {floor:g}, the cap before")
        _require(tier.cap > tier.floor, name, tier.cap, f"cap > floor {tier.floor:g}")
        _require(0.0 < tier.rate <= 1.0, name, tier.rate, "rate > 0 and <= 1")
        if previous:
            _require(tier.rate > previous.rate, name, tier.rate, f"rate > {previous.rate:g}")
            if tier.leverage_max is not None and previous.leverage_max is not None:
                limit = f"leverage <= {previous.leverage_max:g}"
                falls = tier.leverage_max <= previous.leverage_max
                _require(falls, name, tier.leverage_max, limit)
        previous = tier
    _require_deductions(tiers, identifier)


def require_rising(floors: Sequence[tuple[float, float | None]], identifier: str) -> None:
    """Raise BadRow unless each floor is the cap before it, the first being 0."""
    expected: float | None = 0.0
    for place, (floor, cap) in enumerate(floors, start=1):
        name = f"{identifier} tier {place}"
        _require(floor == expected, name, floor, f"floor {expected}, the cap before")
        _require(cap is None or cap > floor, name, cap, f"cap > floor {floor:g}")
        expected = cap


def rising_tiers(
    listed: object, floor_key: str, cap_key: str, identifier: str
) -> list[tuple[float, float | None, Mapping[str, Any]]]:
    """Return floor, cap and row of each tier in rising order; no cap is an open end.

    Raises
    ------
    BadRow
        If there is no tier, a bound is no number, or a floor is not the cap before it.
    """
    if not isinstance(listed, list) or not listed:
        raise BadRow(identifier, listed, "at least one tier", f"{identifier} has no tier")
    tiers = sorted(
        (
            (
                number(row, floor_key, identifier),
                number(row, cap_key, identifier) if row.get(cap_key) else None,
                row,
            )
            for row in listed
        ),
        key=itemgetter(0),
    )
    require_rising([(floor, cap) for floor, cap, _ in tiers], identifier)
    return tiers


def notional_tiers(tiers: Sequence[PublishedTier]) -> dict[str, object]:
    """Return the tiers as parameters of the rule ``notional_tiers``."""
    rows = []
    for tier in tiers:
        row = {"notional_floor": tier.floor, "maintenance_margin_rate": tier.rate}
        rows.append(
            row if tier.leverage_max is None else {**row, "leverage_max": tier.leverage_max}
        )
    return {"rule": "notional_tiers", "tiers": rows}


def _require_deductions(tiers: Sequence[PublishedTier], identifier: str) -> None:
    if all(tier.deduction is None for tier in tiers):
        return
    rule = NotionalTiers(
        tiers=tuple(
            Tier(notional_floor=tier.floor, maintenance_margin_rate=tier.rate) for tier in tiers
        )
    )
    wanted = rule.maintenance_deductions()
    for place, (tier, deduction) in enumerate(zip(tiers, wanted, strict=True), start=1):
        name = f"{identifier} tier {place}"
        found = tier.deduction
        is_met = found is not None and abs(found - deduction) <= _DEDUCTION_TOLERANCE
        _require(is_met, name, found, f"deduction {deduction:.10g} by the recursion")


def _require(is_met: bool, identifier: str, value: object, limit: str) -> None:
    if not is_met:
        raise BadRow(identifier, value, limit, f"{identifier}: found {value}, limit: {limit}")
