"""Charges on top of the worst loss of a scenario grid: what moves that the grid does not move."""

from __future__ import annotations

import numpy as np

from engine.arrays import Float64Array1D
from engine.errors import ModelInputError
from engine.kernels.exact_sums import grouped_sums, rounded
from engine.margin.scenario_book import BucketExposures, Buckets
from engine.margin.scenario_parameters import ChargeTier, DepegTier, ScenarioGridParameters


def roll_contingency(
    exposures: BucketExposures, parameters: ScenarioGridParameters, n_buckets: int
) -> Float64Array1D:
    """Return the charge of each bucket for futures moving against the index.

    Sum over expiries of ``|net notional| * max(min, exp(risk * years) - 1)``; perpetuals take the
    minimum. With a risk of 0 this is OKX's basis charge MR4. [settlement currency]

    Raises
    ------
    ModelInputError
        If a rate is not finite.
    """
    years = np.nan_to_num(exposures.roll_years, nan=0.0)
    with np.errstate(over="ignore"):
        growth = np.expm1(parameters.annualised_move_risk * years)
    if not np.isfinite(growth).all():
        raise ModelInputError(
            f"annualised_move_risk {parameters.annualised_move_risk} over {years.max()} years is "
            "not finite",
            identifier="annualised_move_risk",
            value=parameters.annualised_move_risk,
        )
    charge = np.abs(exposures.roll_notional) * np.maximum(growth, parameters.annualised_move_min)
    found: Float64Array1D = rounded(grouped_sums(charge, exposures.roll_bucket, n_buckets))
    return found


def futures_contingency(
    exposures: BucketExposures, parameters: ScenarioGridParameters
) -> Float64Array1D:
    """Return the charge on gross futures, and on those that offset. [settlement currency]"""
    long, short = exposures.futures_long, exposures.futures_short
    return parameters.futures_gross_rate * (
        long + short
    ) + parameters.futures_offset_rate * np.minimum(long, short)


def option_contingency(
    exposures: BucketExposures, parameters: ScenarioGridParameters
) -> Float64Array1D:
    """Return the charge on gross options, and on net short ones by strike. [settlement currency]"""
    return (
        parameters.option_gross_rate * exposures.option_gross
        + parameters.net_short_option_rate * exposures.option_net_short
    )


def depeg_contingency(
    hedged_notional: Float64Array1D, tiers: tuple[DepegTier, ...]
) -> Float64Array1D:
    """Return the marginal charge on notional hedged across two stablecoins (OKX MR9).

    Examples
    --------
    >>> tiers = tuple(
    ...     DepegTier(notional_floor=floor, rate=rate)
    ...     for floor, rate in ((0.0, 0.0075), (1e6, 0.0175), (5e6, 0.025))
    ... )
    >>> depeg_contingency(np.array([1e7]), tiers)
    array([202500.])
    """
    floors = [tier.notional_floor for tier in tiers]
    return _marginal(hedged_notional, floors, [tier.rate for tier in tiers])


def minimum_charge(
    exposures: BucketExposures, parameters: ScenarioGridParameters
) -> Float64Array1D:
    """Return the floor of each bucket's risk margin (OKX MR7). [settlement currency]"""
    raw = parameters.minimum_charge_rate * exposures.futures_gross_at_mark
    tiers: tuple[ChargeTier, ...] = parameters.minimum_charge_tiers
    if not tiers:
        return raw
    floors = [tier.charge_floor for tier in tiers]
    return _marginal(raw, floors, [tier.multiplier for tier in tiers])


def delta_contingency(
    exposures: BucketExposures, parameters: ScenarioGridParameters, buckets: Buckets
) -> Float64Array1D:
    """Return the charge for a net delta too large to liquidate at once (Deribit delta shock).

    ``|delta| * min(slope * (|delta| - threshold / index)+, max)``. Evidence: inferred. The source
    gives slope, threshold and cap but not the unit of the slope; per unit of underlying it yields
    like rates for like notionals with the published slopes of BTC and ETH, per unit of quote
    currency it would not. [settlement currency]
    """
    if parameters.delta_shock_threshold is None:
        return np.zeros(len(buckets))
    delta = np.abs(exposures.delta)
    excess = np.maximum(delta - parameters.delta_shock_threshold / buckets.index_price, 0.0)
    rate = np.minimum(parameters.delta_shock_slope * excess, parameters.delta_shock_max)
    charge: Float64Array1D = delta * rate * buckets.unit_notional
    return charge


def _marginal(values: Float64Array1D, floors: list[float], rates: list[float]) -> Float64Array1D:
    total = np.zeros(len(values))
    for floor, ceiling, rate in zip(floors, [*floors[1:], np.inf], rates, strict=False):
        total += rate * np.clip(values - floor, 0.0, ceiling - floor)
    return total
