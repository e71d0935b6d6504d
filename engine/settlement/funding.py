"""Funding of perpetuals by the three published rules; a positive rate means that longs pay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.errors import ModelInputError
from engine.settlement.position import PositionTerms
from engine.ticks import round_to_tick


@dataclass(frozen=True, slots=True)
class FundingSettlement:
    """One funding instant: the mark [quote currency] and the rate (> 0 when longs pay)."""

    mark_price: float
    funding_rate: float


@dataclass(frozen=True, slots=True)
class PriceObservation:
    """A price that holds from its time on. [s], [quote currency]"""

    time_seconds: float
    observed_price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TwapFunding:
    """Parameters of the rule by time-weighted averages (Vega, protocol 0053-PERP).

    Attributes
    ----------
    interest_rate, year_fraction : float
        Annual rate and length of the period. [1/year], [years]
    clamp_lower, clamp_upper : float
        Bounds of the interest term as a fraction of the external average; 0 and 0 = no term.
    scaling_factor : float, optional
        Multiplies the payment.
    funding_rate_min, funding_rate_max : float, optional
        Bounds of the rate after scaling.
    price_tick : float, optional
        The payment is truncated towards zero to it. [quote currency]
    """

    interest_rate: float = 0.0
    year_fraction: float = 0.0
    clamp_lower: float = 0.0
    clamp_upper: float = 0.0
    scaling_factor: float | None = None
    funding_rate_min: float | None = None
    funding_rate_max: float | None = None
    price_tick: float | None = None


@dataclass(frozen=True, slots=True)
class TwapPayment:
    """Payment per unit long [quote currency] and its rate before truncation [-]."""

    funding_payment_per_unit: float
    funding_rate: float


def funding_by_rate(
    quantity: float, settlements: Sequence[FundingSettlement], terms: PositionTerms
) -> float:
    """Return the funding received for signed contracts over some funding instants.

    Parameters
    ----------
    quantity : float
        Signed contracts, long > 0.
    settlements : sequence of FundingSettlement
        Marks > 0 and rates.
    terms : PositionTerms
        Settlement and multiplier.

    Returns
    -------
    float
        ``-sum(quantity * multiplier * mark * rate)``, or divided by the mark when inverse.
        [settlement currency]

    Examples
    --------
    >>> funding_by_rate(-10.0, [FundingSettlement(2.0, 0.0001)], PositionTerms())
    0.002
    """
    direction = math.copysign(1.0, quantity)
    return 0.0 - direction * math.fsum(
        each.funding_rate * terms.notional(quantity, each.mark_price) for each in settlements
    )


def funding_by_index(
    quantity: float, *, index_start: float, index_end: float, contract_multiplier: float = 1.0
) -> float:
    """Return the funding received by the change of a cumulative index (dYdX v4).

    Parameters
    ----------
    quantity : float
        Signed contracts, long > 0.
    index_start, index_end : float
        Cumulative funding per unit. [quote currency]
    contract_multiplier : float
        Units per contract.

    Returns
    -------
    float
        Received > 0, paid < 0. [quote currency]
    """
    return 0.0 - quantity * contract_multiplier * (index_end - index_start)


def time_weighted_average(
    observations: Sequence[PriceObservation],
    *,
    period_start_seconds: float,
    period_end_seconds: float,
    price_tick: float | None = None,
) -> float:
    """Return the average of a price that holds until its next observation.

    It runs from the period start if a price is known by then, else from the first observation
    after it, to the period end. Over no time at all it is the latest known price.

    Parameters
    ----------
    observations : sequence of PriceObservation
        Prices in any order; of two at one time the later in the list holds.
    period_start_seconds, period_end_seconds : float
        Period, on the same clock. [s]
    price_tick : float, optional
        The average is rounded down to it. [quote currency]

    Returns
    -------
    float
        Average. [quote currency]

    Raises
    ------
    ModelInputError
        If the period ends before it starts, or no price is known by its end.
    """
    if period_end_seconds < period_start_seconds:
        raise ModelInputError(
            f"period ends at {period_end_seconds} s, before its start {period_start_seconds} s"
        )
    known = sorted(
        (each for each in observations if each.time_seconds <= period_end_seconds),
        key=lambda each: each.time_seconds,
    )
    if not known:
        raise ModelInputError(f"no price is known by the period end {period_end_seconds} s")
    starts = [max(each.time_seconds, period_start_seconds) for each in known]
    ends = [*starts[1:], period_end_seconds]
    duration = ends[-1] - starts[0]
    if duration <= 0.0:
        average = known[-1].observed_price
    else:
        weighted = math.fsum(
            each.observed_price * (end - start)
            for each, start, end in zip(known, starts, ends, strict=True)
        )
        average = weighted / duration
    return average if price_tick is None else round_to_tick(average, price_tick, "down")


def funding_by_average(
    internal_average: float, external_average: float, parameters: TwapFunding
) -> TwapPayment:
    """Return the payment per unit long from the two time-weighted averages [1]_.

    With f and s the internal and external average, r the interest of the period:
    ``f - s + min(upper s, max(lower s, (1 + r) s - f))``, scaled, its rate bounded, and last
    truncated towards zero to the tick.

    Parameters
    ----------
    internal_average, external_average : float
        Average of the contract's own and of the index price, > 0. [quote currency]
    parameters : TwapFunding
        Interest, clamps, scaling and bounds.

    Returns
    -------
    TwapPayment
        A positive payment goes from longs to shorts.

    Raises
    ------
    ModelInputError
        If the clamps or the bounds of the rate cross.

    References
    ----------
    .. [1] Vega protocol specification 0053-PERP, funding payment.
    """
    _require_ordered("clamp", parameters.clamp_lower, parameters.clamp_upper)
    _require_ordered("funding_rate", parameters.funding_rate_min, parameters.funding_rate_max)
    f, s = internal_average, external_average
    interest = (1.0 + parameters.year_fraction * parameters.interest_rate) * s - f
    payment = f - s + min(parameters.clamp_upper * s, max(parameters.clamp_lower * s, interest))
    if parameters.scaling_factor is not None:
        payment *= parameters.scaling_factor
    rate = payment / s
    bounded = rate
    if parameters.funding_rate_min is not None:
        bounded = max(bounded, parameters.funding_rate_min)
    if parameters.funding_rate_max is not None:
        bounded = min(bounded, parameters.funding_rate_max)
    if bounded != rate:
        payment = bounded * s
    if parameters.price_tick is not None:
        payment = round_to_tick(payment, parameters.price_tick, "toward_zero")
    return TwapPayment(funding_payment_per_unit=payment, funding_rate=bounded)


def _require_ordered(name: str, lower: float | None, upper: float | None) -> None:
    if lower is not None and upper is not None and lower > upper:
        raise ModelInputError(
            f"lower {name} {lower} is above upper {name} {upper}",
            identifier=name,
            value=lower,
            limit=f"<= {upper}",
        )
