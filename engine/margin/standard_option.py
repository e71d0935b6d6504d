"""Rule-based margin of single options without offsets (Deribit standard margin and its family)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.errors import ParameterError
from engine.limits import STRICT, Fraction

__all__ = ["StandardOptionParameters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardOptionParameters:
    """Rates of the short-option formulas.

    Attributes
    ----------
    rule : {"mark_floor_put", "mark_floor_all"}
        Which options have their maintenance floored at a fraction of the mark, and their initial
        margin at maintenance: puts (Deribit, BIT), or all (Bybit).
    initial_margin_rate, initial_margin_rate_min : float, optional
        Fraction of the underlying less what is out of the money, and its floor; both or neither,
        without them there is no initial margin. [-]
    maintenance_margin_rate : float
        Fraction of the underlying. [-]
    liquidation_fee_rate : float
        Fraction of the underlying added to maintenance. [-]

    Raises
    ------
    ParameterError
        If an initial rate has no floor.
    """

    __pydantic_config__ = STRICT
    rule: Literal["mark_floor_put", "mark_floor_all"]
    initial_margin_rate: Fraction | None = None
    initial_margin_rate_min: Fraction | None = None
    maintenance_margin_rate: Fraction
    liquidation_fee_rate: Fraction = 0.0

    def __post_init__(self) -> None:
        if self.initial_margin_rate is not None and self.initial_margin_rate_min is None:
            raise ParameterError(
                f"initial_margin_rate is {self.initial_margin_rate} without "
                "initial_margin_rate_min, limit: both or neither",
                identifier="initial_margin_rate_min",
                value=None,
                limit="needed with initial_margin_rate",
            )
