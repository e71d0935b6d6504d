"""Parameter sets to record: small, of real types, told apart by one rate."""

from __future__ import annotations

from datetime import date
from typing import Any

from engine.venue_rules import ParameterSet
from infra.db import NewSet
from infra.rule_layers import new_set
from infra.venues.parameters.models import parameter_set, parse_parameters


def tiers(rate: float) -> dict[str, object]:
    tier = {"notional_floor": 0.0, "maintenance_margin_rate": rate}
    return {"rule": "notional_tiers", "tiers": [tier]}


def a_set(scope: str, rate: float, effective: date, **facts: Any) -> ParameterSet:
    venue = facts.pop("venue", "binance")
    parameters = parse_parameters("tiered", tiers(rate), scope)
    stated = {"source": "test", "evidence": "documented", **facts}
    return parameter_set(
        venue, "tiered", scope, effective_date=effective, parameters=parameters, **stated
    )


def recorded(scope: str, rate: float | None, effective: date, **facts: Any) -> NewSet:
    """Return what the registry records; without a rate the set is withdrawn."""
    if rate is not None:
        return new_set(a_set(scope, rate, effective, **facts))
    return NewSet(
        venue=facts.get("venue", "binance"),
        model="tiered",
        scope=scope,
        effective_date=effective,
        state="withdrawn",
        source="test",
        evidence="documented",
        parameters_hash=None,
        body=None,
    )
