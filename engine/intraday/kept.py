"""Figures of all netting sets as they were last computed, and what distrust makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.binding import HOUSE, UNKNOWN, VENUE
from engine.intraday.exact import Requirements
from engine.intraday.figures import LiveFigures
from engine.intraday.trust import Trust
from engine.intraday.venue_demands import Demanded
from engine.requirements import ASSESSED, FAILED, HELD


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Figures as a full assessment gives them, all inputs trusted; shape (n_netting_sets,)."""

    requirement: Float64Array1D
    venue_initial_margin: Float64Array1D
    owed: Float64Array1D
    collateral_value: Float64Array1D
    unsettled: Float64Array1D
    status: ObjectArray1D
    reason: ObjectArray1D
    is_demand_unknown: BoolArray1D

    @classmethod
    def of(cls, n: int) -> Kept:
        """Return figures that await their first computation."""
        return cls(
            requirement=np.full(n, np.nan),
            venue_initial_margin=np.full(n, np.nan),
            owed=np.full(n, np.nan),
            collateral_value=np.full(n, np.nan),
            unsettled=np.full(n, np.nan),
            status=np.full(n, "", dtype=object),
            reason=np.full(n, "", dtype=object),
            is_demand_unknown=np.zeros(n, dtype=np.bool_),
        )

    def store(
        self,
        rows: Int64Array1D,
        house: Requirements,
        collateral_value: Float64Array1D,
        demanded: Demanded,
        takes_larger: BoolArray1D,
    ) -> None:
        """Keep the figures of ``rows``; what is owed is the larger side where agreed."""
        exceeds = np.isfinite(house.requirement) & (demanded.initial > house.requirement)
        self.requirement[rows] = house.requirement
        self.status[rows], self.reason[rows] = house.status, house.reason
        self.collateral_value[rows] = collateral_value
        self.venue_initial_margin[rows] = demanded.initial
        self.is_demand_unknown[rows] = demanded.is_unknown
        larger = np.where(exceeds & takes_larger, demanded.initial, house.requirement)
        self.owed[rows] = larger


@dataclass(frozen=True, slots=True, eq=False)
class Circumstances:
    """What decides, beside the figures, whether anything may be released."""

    has_break: BoolArray1D
    takes_larger: BoolArray1D


def figures_of(
    kept: Kept, rows: Int64Array1D, trust: Trust, circumstances: Circumstances
) -> LiveFigures:
    """Return the figures of ``rows``, with what distrust adds."""
    requirement, owed = kept.requirement[rows], kept.owed[rows]
    status, reason = kept.status[rows], kept.reason[rows]
    demanded, value = kept.venue_initial_margin[rows], kept.collateral_value[rows]
    takes_larger = circumstances.takes_larger[rows]
    distrusted = trust.is_distrusted[rows]
    if distrusted.any():
        factor = 1.0 + np.maximum(trust.add_on[rows], 0.0)
        # fmax: what was never fresh, or cannot be computed now, leaves the other.
        least = np.fmax(requirement, trust.floor_requirement[rows]) * factor
        requirement = np.where(distrusted, least, requirement)
        exceeds = (demanded > requirement) & takes_larger
        larger = np.where(exceeds, demanded, requirement)
        least = np.fmax(larger, trust.floor_owed[rows] * factor)
        owed = np.where(distrusted, least, owed)
        is_held = distrusted & np.isfinite(requirement)
        status = np.where(is_held, HELD, status)
        reason = reason.copy()
        for place in np.flatnonzero(distrusted).tolist():
            texts = (str(reason[place]), trust.reasons(int(rows[place])))
            reason[place] = "; ".join(text for text in texts if text)
    unsettled = kept.unsettled[rows]
    cover = np.maximum(value + np.minimum(unsettled, 0.0), 0.0)
    unknown = kept.is_demand_unknown[rows]
    releasable = (status == ASSESSED) & ~circumstances.has_break[rows] & ~distrusted
    releasable &= ~(unknown & takes_larger)
    return LiveFigures(
        row=rows,
        requirement=requirement,
        venue_initial_margin=demanded,
        owed=owed,
        collateral_value=value,
        excess=value - owed,
        margin_ratio=_ratio(owed, value),
        unsettled=unsettled,
        cover=cover,
        status=status,
        reason=reason,
        binding=_binding(requirement, demanded, unknown, status),
        is_releasable=releasable,
    )


def _binding(
    requirement: Float64Array1D,
    demanded: Float64Array1D,
    unknown: BoolArray1D,
    status: ObjectArray1D,
) -> ObjectArray1D:
    is_known = np.isfinite(requirement) & (status != FAILED)
    exceeds = is_known & (demanded > requirement)
    found: ObjectArray1D = np.where(
        is_known & (~unknown | exceeds), np.where(exceeds, VENUE, HOUSE), UNKNOWN
    ).astype(object)
    return found


def _ratio(owed: Float64Array1D, held: Float64Array1D) -> Float64Array1D:
    """Return what is owed over collateral value, as ``engine.decisions`` does."""
    ratio: Float64Array1D = np.divide(owed, held, out=np.full(owed.size, np.inf), where=held > 0.0)
    ratio[owed == 0.0] = 0.0
    ratio[np.isnan(owed)] = np.nan
    return ratio
