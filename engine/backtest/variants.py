"""Which parameters a back-test varies: tools on and off, one parameter at a time, and the grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from types import MappingProxyType
from typing import Final

from engine.backtest.walk_forward import Variant, over_one_day, testable
from engine.rules import AntiProcyclicality, Filter, HouseParameters

HOUSE, ONE_DAY = "house", "one day"
SHIPPED: Final = "shipped"
NO_TOOL: Final = "no tool"
BUFFER_RATE: Final = 0.25
# What a parameter is set to, beside its shipped value.
VALUES: Final[Mapping[str, tuple[float, ...]]] = MappingProxyType(
    {
        "decay": (0.94, 0.96, 0.97, 0.98, 0.99),
        "lookback_days": (500, 750, 1000, 1500, 2000),
        "ratio_cap": (1.5, 2.0, 2.5, 4.0),
        "ratio_floor": (0.25, 0.5, 0.75, 1.0),
        "long_run_floor": (0, 1),
        "stress_weight": (0.0, 0.25, 0.5),
        "buffer_rate": (0.0, 0.25, 0.5),
        "gap_share": (0.0, 0.25, 0.5, 1.0),
        "offset_cap": (0.5, 0.8, 1.0),
        "confidence": (0.975, 0.99, 0.995),
        "mpor_days": (1, 2, 3, 5),
    }
)
# Small on purpose: the more points, the more the best one owes to luck.
GRID_DECAY: Final = (0.94, 0.96, 0.97, 0.98, 0.99)
GRID_LOOKBACK: Final = (500, 1000, 1500)
GRID_BOUNDS: Final = ((0.5, 2.5), (0.75, 1.5), (0.25, 4.0))


@dataclass(frozen=True, slots=True)
class ParameterValue:
    """One parameter at one value; ``variant`` names the walk that has it."""

    parameter: str
    value: float
    is_shipped: bool
    variant: str


def base_variants(house: HouseParameters, confidence: float) -> tuple[Variant, ...]:
    """Return the shipped parameters over their own margin periods of risk, and over one day."""
    whole = testable(house)
    return (
        Variant(HOUSE, whole, confidence, keeps_tail=True),
        Variant(ONE_DAY, over_one_day(whole), confidence, keeps_tail=True),
    )


def tool_variants(house: HouseParameters, confidence: float) -> tuple[Variant, ...]:
    """Return the anti-procyclicality tools one by one, none of them, and as shipped."""
    one_day = over_one_day(testable(house))
    shipped = one_day.anti_procyclicality
    off = replace(
        shipped, stress_weight=0.0, buffer_rate=0.0, buffer_released=False, long_run_floor=False
    )
    tools: dict[str, AntiProcyclicality] = {
        NO_TOOL: off,
        "long-run floor": replace(off, long_run_floor=True),
        "stress weight": replace(off, stress_weight=shipped.stress_weight or BUFFER_RATE),
        "buffer": replace(off, buffer_rate=shipped.buffer_rate or BUFFER_RATE),
        SHIPPED: shipped,
    }
    return tuple(
        Variant(name, replace(one_day, anti_procyclicality=tool), confidence)
        for name, tool in tools.items()
    )


def parameter_values(house: HouseParameters, confidence: float) -> tuple[ParameterValue, ...]:
    """Return every value of every parameter, the shipped one among them, in order."""
    found = []
    for name, values in VALUES.items():
        shipped = _shipped(name, house, confidence)
        for value in sorted({*values, shipped}):
            is_shipped = value == shipped
            variant = SHIPPED if is_shipped else f"{name} {value:g}"
            found.append(ParameterValue(name, value, is_shipped, variant))
    return tuple(found)


def sensitivity_variants(house: HouseParameters, confidence: float) -> tuple[Variant, ...]:
    """Return the shipped parameters over one day, and each with one value changed."""
    one_day = over_one_day(testable(house))
    variants = [Variant(SHIPPED, one_day, confidence)]
    for one in parameter_values(house, confidence):
        if one.is_shipped:
            continue
        if one.parameter == "confidence":
            variants.append(Variant(one.variant, one_day, one.value))
        else:
            changed = _CHANGES[one.parameter](one_day, one.value)
            variants.append(Variant(one.variant, changed, confidence))
    return tuple(variants)


def grid_variants(house: HouseParameters, confidence: float) -> tuple[Variant, ...]:
    """Return the filters that the tuning chooses from, the shipped one first."""
    one_day = over_one_day(testable(house))
    variants = [Variant(SHIPPED, one_day, confidence)]
    for decay, lookback, (low, high) in product(GRID_DECAY, GRID_LOOKBACK, GRID_BOUNDS):
        chosen = replace(
            one_day.filter, decay=decay, lookback_days=lookback, ratio_floor=low, ratio_cap=high
        )
        if chosen != one_day.filter:
            variants.append(Variant(grid_name(chosen), replace(one_day, filter=chosen), confidence))
    return tuple(variants)


def grid_name(chosen: Filter) -> str:
    """Return what a filter is called in tables."""
    return (
        f"decay {chosen.decay:g}, {chosen.lookback_days} days, "
        f"ratio {chosen.ratio_floor:g} to {chosen.ratio_cap:g}"
    )


def _shipped(name: str, house: HouseParameters, confidence: float) -> float:
    tools = house.anti_procyclicality
    known = {
        "long_run_floor": float(tools.long_run_floor),
        "stress_weight": tools.stress_weight,
        "buffer_rate": tools.buffer_rate,
        "gap_share": house.gap.share,
        "offset_cap": house.offset_cap,
        "confidence": confidence,
        "mpor_days": 1.0,
    }
    return float(known[name]) if name in known else float(getattr(house.filter, name))


_Change = Callable[[HouseParameters, float], HouseParameters]


def _of_filter(change: Callable[[Filter, float], Filter]) -> _Change:
    return lambda house, value: replace(house, filter=change(house.filter, value))


def _of_tools(change: Callable[[AntiProcyclicality, float], AntiProcyclicality]) -> _Change:
    return lambda house, value: replace(
        house, anti_procyclicality=change(house.anti_procyclicality, value)
    )


def _mpor(house: HouseParameters, value: float) -> HouseParameters:
    days = int(value)
    mpor = replace(house.mpor, spot=days, perpetual=days, future=days, option=days)
    return replace(house, mpor=mpor)


_CHANGES: Final[Mapping[str, _Change]] = MappingProxyType(
    {
        "decay": _of_filter(lambda was, value: replace(was, decay=value)),
        "lookback_days": _of_filter(lambda was, value: replace(was, lookback_days=int(value))),
        "ratio_cap": _of_filter(lambda was, value: replace(was, ratio_cap=value)),
        "ratio_floor": _of_filter(lambda was, value: replace(was, ratio_floor=value)),
        "long_run_floor": _of_tools(lambda was, value: replace(was, long_run_floor=bool(value))),
        "stress_weight": _of_tools(lambda was, value: replace(was, stress_weight=value)),
        "buffer_rate": _of_tools(lambda was, value: replace(was, buffer_rate=value)),
        "gap_share": lambda house, value: replace(house, gap=replace(house.gap, share=value)),
        "offset_cap": lambda house, value: replace(house, offset_cap=value),
        "mpor_days": _mpor,
    }
)
