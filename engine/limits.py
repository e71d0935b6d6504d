"""The limits that parameter types declare, and the parts that several of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from annotated_types import Ge, Gt, Le, Lt

__all__ = [
    "STRICT",
    "Confidence",
    "Fraction",
    "HaircutTier",
    "NonNegative",
    "Positive",
]

Fraction = Annotated[float, Ge(0.0), Le(1.0)]
NonNegative = Annotated[float, Ge(0.0)]
Positive = Annotated[float, Gt(0.0)]
Confidence = Annotated[float, Ge(0.9), Lt(1.0)]
STRICT: Final = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
"""How a reader from outside checks a parameter type: no unknown key, no text for a number."""


@dataclass(frozen=True, slots=True)
class HaircutTier:
    """Marginal haircut from ``floor`` on. [USD, or units where the tiers say so]"""

    __pydantic_config__ = STRICT
    floor: NonNegative
    haircut: Fraction
