"""The policy of reductions: modes, limits, approvals, waits; dated, with limits on the types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal, TypeAlias

from annotated_types import Ge, Gt, Le, Lt, MinLen

from engine.approvals import ApprovalTier, approvers_for, require_tiers
from engine.errors import ParameterError
from engine.limits import STRICT, NonNegative, Positive
from engine.reduction.terms import ReductionTerms
from engine.sending import Environment, PositiveAmount, SendTiming

ReductionMode: TypeAlias = Literal["shadow", "approval", "automatic"]
MODES: Final[Sequence[ReductionMode]] = ("shadow", "approval", "automatic")
"""From planned and shown only, over waiting for people, to acting within limits."""
Share = Annotated[float, Gt(0.0), Le(1.0)]
Band = Annotated[float, Gt(0.0), Lt(1.0)]


@dataclass(frozen=True, slots=True)
class OrderTiming(SendTiming):
    """How long to wait for what."""

    order_seconds_max: Positive
    """An order that is still open after this is cancelled."""


@dataclass(frozen=True, slots=True)
class Caps:
    """What one order, a minute and a day may hold (I-49). Options count whole. [USD]"""

    __pydantic_config__ = STRICT
    slice_notional_max: PositiveAmount
    slice_volume_share_max: Share
    """Of the underlying's average daily volume."""
    slice_seconds_min: NonNegative
    """Between two orders of a leg."""
    orders_per_minute_max: Annotated[int, Ge(1), Le(600)]
    """At one account."""
    day_notional_max: PositiveAmount
    """Of one netting set in a UTC day; what is unknown counts as sent."""
    house_day_notional_max: PositiveAmount
    """Of all netting sets together."""
    hedge_slice_notional_max: PositiveAmount
    """Of one order that opens a hedge."""
    hedge_notional_max: PositiveAmount
    """Of all hedges of a plan."""
    failures_max: Annotated[int, Ge(1), Le(100)]
    """Orders of a leg in a row without any effect, after which the leg is given up."""


@dataclass(frozen=True, slots=True)
class PriceLimits:
    """How far from the venue's mark an order may fill, and how far that from the plan's."""

    __pydantic_config__ = STRICT
    band: Band
    option_band: Band
    mark_move_max: Band
    """A mark that has moved further since the plan was made stops it."""
    option_mark_move_max: Positive

    def band_of(self, *, is_option: bool) -> Decimal:
        """Return the price band of an order, as a fraction of the mark."""
        return Decimal(repr(self.option_band if is_option else self.band))

    def move_of(self, *, is_option: bool) -> Decimal:
        """Return how far a mark may have moved, as a fraction of the plan's."""
        return Decimal(repr(self.option_mark_move_max if is_option else self.mark_move_max))


@dataclass(frozen=True, slots=True)
class ReductionPolicy:
    """All rules of reductions in force from one date."""

    __pydantic_config__ = STRICT
    effective_date: date
    source: str
    environment: Environment
    """Networks that these limits were made for."""
    mode: ReductionMode
    """Of agreements that name none."""
    mode_ceiling: ReductionMode
    """The most that an agreement, or whoever asks for a plan, may have."""
    automatic_notional_max: PositiveAmount
    """Plans of more notional wait for people in the automatic mode too. [USD]"""
    plan_lifetime_minutes: Positive
    """A plan that was not approved by then is void, one at work stops: its figures are old."""
    terms: ReductionTerms
    caps: Caps
    price: PriceLimits
    timing: OrderTiming
    tiers: Annotated[tuple[ApprovalTier, ...], MinLen(1)]
    """By the notional of the whole plan. [USD]"""

    def __post_init__(self) -> None:
        require_tiers(self.tiers)
        if self.terms.hedges:
            raise ParameterError(
                f"terms.hedges is {self.terms.hedges}, limit: none; hedges follow from the mode of "
                "each account",
                identifier="terms.hedges",
                value=self.terms.hedges,
            )
        if MODES.index(self.mode) > MODES.index(self.mode_ceiling):
            raise ParameterError(
                f"mode is {self.mode}, limit: mode_ceiling {self.mode_ceiling}",
                identifier="mode",
                value=self.mode,
                limit=self.mode_ceiling,
            )

    @property
    def lifetime(self) -> timedelta:
        """Return how long a plan is of use."""
        return timedelta(minutes=self.plan_lifetime_minutes)

    def mode_of(self, agreed: str, asked: ReductionMode | None = None) -> ReductionMode:
        """Return the mode of a plan: what was asked or agreed, never beyond the ceiling.

        Parameters
        ----------
        agreed : str
            Of the agreement; empty for the house's own.
        asked : optional
            By whoever wants the plan; it makes the plan more cautious, never less.
        """
        own = next((mode for mode in MODES if mode == agreed), self.mode)
        ranks = [MODES.index(mode) for mode in (own, self.mode_ceiling)]
        ranks += [MODES.index(asked)] if asked is not None else []
        return MODES[min(ranks)]

    def approvers_for(self, mode: ReductionMode, notional: Decimal) -> int:
        """Return how many people beside the proposer a plan needs; 0 lets it go by itself."""
        if mode == "automatic" and notional <= self.automatic_notional_max:
            return 0
        return max(approvers_for(self.tiers, notional), 1)
