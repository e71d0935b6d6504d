"""Haircuts of collateral: flat, tiered by size, by the standard schedule, and their adjustments.

A haircut is the fraction of an asset's value that does not count, 0 to 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

import numpy as np

from engine.arrays import Float64Array1D
from engine.errors import ModelInputError
from engine.rules import HaircutTier
from engine.ticks import round_to_tick

AssetClass: TypeAlias = Literal["cash", "sovereign", "corporate", "equity_main_index", "gold"]
CreditQualityStep: TypeAlias = Literal["1", "2-3"]

# BCBS-IOSCO d499 (April 2020), appendix B; residual maturity up to 1 year, up to 5, beyond.
_BOND_HAIRCUTS: Final[Mapping[tuple[str, str], tuple[float, float, float]]] = {
    ("sovereign", "1"): (0.005, 0.02, 0.04),
    ("sovereign", "2-3"): (0.01, 0.03, 0.06),
    ("corporate", "1"): (0.01, 0.04, 0.08),
    ("corporate", "2-3"): (0.02, 0.06, 0.12),
}
_OTHER_HAIRCUTS: Final[Mapping[str, float]] = {"cash": 0.0, "equity_main_index": 0.15, "gold": 0.15}
# Drift protocol v2, margin_calculation.rs: the free part of the size penalty.
_SIZE_PENALTY_ALLOWANCE: Final = 1.1


def tiered_haircut(basis: float, tiers: Sequence[HaircutTier]) -> float:
    """Return the effective haircut of marginal tiers, like an income tax's effective rate.

    Each tier's haircut applies to the part of the basis inside the tier; the last tier is
    open-ended. A basis of 0 takes the first tier's haircut.

    Parameters
    ----------
    basis : float
        Value or quantity that the tiers' floors are expressed in, >= 0.
    tiers : sequence of HaircutTier
        Floors from 0 on, strictly increasing.

    Returns
    -------
    float
        Effective haircut, 0 to 1. [-]

    Raises
    ------
    ModelInputError
        If there is no tier, the first floor is not 0 or the floors do not increase.

    Examples
    --------
    Of 45 units, 30 count at full value and 15 at half: a sixth is lost.

    >>> tiers = (HaircutTier(floor=0.0, haircut=0.0), HaircutTier(floor=30.0, haircut=0.5))
    >>> round(tiered_haircut(45.0, tiers), 6)
    0.166667
    """
    return float(tiered_haircuts(np.array([basis], dtype=np.float64), tiers)[0])


def tiered_haircuts(basis: Float64Array1D, tiers: Sequence[HaircutTier]) -> Float64Array1D:
    """Return ``tiered_haircut`` of each element of ``basis``, shape (n,)."""
    haircuts, _ = tiered_haircuts_with_fx(basis, tiers, np.zeros_like(basis))
    return haircuts


def tiered_haircuts_with_fx(
    basis: Float64Array1D, tiers: Sequence[HaircutTier], fx_haircut: Float64Array1D
) -> tuple[Float64Array1D, Float64Array1D]:
    """Return effective tier haircuts and the currency haircuts that add to them.

    The currency haircut is capped tier by tier at what the tier's own haircut leaves. Adding it
    to the effective haircut instead would let a tier count for less than nothing, and more
    collateral would then be worth less.

    Parameters
    ----------
    basis : Float64Array1D, shape (n,)
        Value or quantity that the tiers' floors are expressed in, >= 0.
    tiers : sequence of HaircutTier
        Floors from 0 on, strictly increasing.
    fx_haircut : Float64Array1D, shape (n,)
        Currency mismatch haircut, 0 to 1. [-]

    Returns
    -------
    tuple of Float64Array1D, each of shape (n,)
        Effective haircut and effective currency haircut; their sum is at most 1. [-]

    Raises
    ------
    ModelInputError
        If there is no tier, the first floor is not 0 or the floors do not increase.
    """
    _require_tiers(tiers)
    lost = np.zeros_like(basis)
    lost_to_fx = np.zeros_like(basis)
    ceilings = (*(tier.floor for tier in tiers[1:]), math.inf)
    for tier, ceiling in zip(tiers, ceilings, strict=True):
        part = np.clip(basis, tier.floor, ceiling) - tier.floor
        lost += part * tier.haircut
        lost_to_fx += part * np.minimum(fx_haircut, 1.0 - tier.haircut)
    # An empty basis takes the first tier; dividing by 1 there keeps the other rows silent.
    is_empty = basis <= 0.0
    divisor = np.where(is_empty, 1.0, basis)
    first = tiers[0].haircut
    haircuts = np.where(is_empty, first, np.minimum(lost / divisor, 1.0))
    first_fx = np.minimum(fx_haircut, 1.0 - first)
    fx_haircuts = np.where(is_empty, first_fx, np.minimum(lost_to_fx / divisor, 1.0 - haircuts))
    return haircuts, fx_haircuts


def schedule_haircut(
    asset_class: AssetClass,
    credit_quality_step: CreditQualityStep | None = None,
    residual_maturity_years: float | None = None,
) -> float:
    """Return the haircut of the BCBS-IOSCO standard schedule [1]_.

    Parameters
    ----------
    asset_class : {"cash", "sovereign", "corporate", "equity_main_index", "gold"}
        Class of the asset.
    credit_quality_step : {"1", "2-3"}, optional
        Rating of a bond; ignored for other classes.
    residual_maturity_years : float, optional
        Time to a bond's maturity; exactly one and five years fall in the shorter bucket. [years]

    Returns
    -------
    float
        Haircut without currency mismatch. [-]

    Raises
    ------
    ModelInputError
        If a bond lacks its step or maturity.

    References
    ----------
    .. [1] BCBS-IOSCO, "Margin requirements for non-centrally cleared derivatives," d499,
       appendix B, April 2020.
    """
    if asset_class in _OTHER_HAIRCUTS:
        return _OTHER_HAIRCUTS[asset_class]
    if credit_quality_step is None or residual_maturity_years is None:
        raise ModelInputError(
            f"a {asset_class} bond needs its credit quality step and residual maturity",
            identifier=asset_class,
        )
    up_to_one, up_to_five, beyond = _BOND_HAIRCUTS[asset_class, credit_quality_step]
    if residual_maturity_years <= 1.0:
        return up_to_one
    return up_to_five if residual_maturity_years <= 5.0 else beyond


def size_penalised_haircut(haircut: float, *, quantity: float, size_penalty: float) -> float:
    """Return the haircut raised for a large holding: weight at most 1.1 / (1 + p sqrt(q)).

    Parameters
    ----------
    haircut : float
        Haircut of a small holding. [-]
    quantity : float
        Units held, >= 0.
    size_penalty : float
        Penalty p per root unit, >= 0; the rule of Drift protocol v2 (``margin/tests.rs``).

    Returns
    -------
    float
        Haircut, never below the given one. [-]
    """
    weight_max = _SIZE_PENALTY_ALLOWANCE / (1.0 + size_penalty * math.sqrt(quantity))
    return 1.0 - min(1.0 - haircut, weight_max)


def deposit_scaled_haircut(haircut: float, *, deposits_value: float, scale_start: float) -> float:
    """Return the haircut with the weight shrunk by how far all deposits exceed a value.

    Parameters
    ----------
    haircut : float
        Haircut before scaling. [-]
    deposits_value : float
        Value of all deposits of the asset on the platform. [quote currency]
    scale_start : float
        Value above which the weight shrinks in proportion, > 0. [quote currency]

    Returns
    -------
    float
        Haircut, never below the given one. [-]
    """
    if deposits_value <= scale_start:
        return haircut
    return 1.0 - (1.0 - haircut) * scale_start / deposits_value


def haircut_to_tick(haircut: float, tick: float) -> float:
    """Return the haircut rounded up to ``tick``, at most 1."""
    return min(round_to_tick(haircut, tick, "up"), 1.0)


def _require_tiers(tiers: Sequence[HaircutTier]) -> None:
    if not tiers or tiers[0].floor != 0.0:
        found = tiers[0].floor if tiers else "no tier"
        raise ModelInputError(f"haircut tiers start at floor 0, found {found}", value=found)
    for lower, upper in itertools.pairwise(tiers):
        if upper.floor <= lower.floor:
            raise ModelInputError(
                f"haircut tier floors increase, found {upper.floor} after {lower.floor}",
                value=upper.floor,
                limit=f"> {lower.floor}",
            )
