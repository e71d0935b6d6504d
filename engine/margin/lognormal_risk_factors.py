"""Risk factors of a log-normal price: expected shortfall of one unit held to a horizon."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt, Lt
from scipy.special import log_ndtr, ndtri

from engine.errors import ModelInputError

_STRICT = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class LognormalParameters:
    """A log-normal price and the tail that counts.

    Attributes
    ----------
    tail_probability : float
        Level of the expected shortfall, strictly between 0 and 1; Vega uses 1e-6. [-]
    horizon_years : float
        Close-out horizon, > 0. [years]
    volatility : float
        Annual volatility, > 0. [-]
    drift : float
        Annual drift of the mean. [-]
    """

    __pydantic_config__ = _STRICT
    tail_probability: Annotated[float, Gt(0.0), Lt(1.0)]
    horizon_years: Annotated[float, Gt(0.0)]
    volatility: Annotated[float, Gt(0.0)]
    drift: float = 0.0


@dataclass(frozen=True, slots=True)
class RiskFactors:
    """Loss of a long and of a short as a fraction of notional. [-]"""

    risk_factor_long: float
    risk_factor_short: float


def lognormal_risk_factors(parameters: LognormalParameters) -> RiskFactors:
    """Return the expected shortfall of a unit long and short of a log-normal price [1]_.

    With ``s = volatility * sqrt(horizon)``, l the tail probability, ``z = Phi^-1(1 - l)`` and
    ``g = exp(drift * horizon)``: long ``1 - g Phi(-z - s) / l``, short ``g Phi(s - z) / l - 1``.
    Both ratios are formed from logarithms: tails of 1e-300 and tiny factors keep their digits.

    Parameters
    ----------
    parameters : LognormalParameters
        Price and tail.

    Returns
    -------
    RiskFactors
        The long one is at most 1; with a drift against the tail either may be negative.

    Raises
    ------
    ModelInputError
        If a factor exceeds what a float holds.

    References
    ----------
    .. [1] vegaprotocol/specs, ``protocol/0018-RSKM-quant_risk_models.md`` (August 2024).
    """
    tail = parameters.tail_probability
    deviation = parameters.volatility * math.sqrt(parameters.horizon_years)
    # Phi^-1(l) = -z; the other way round 1 - l would have lost the tail's digits.
    low = float(ndtri(tail))
    log_scale = parameters.drift * parameters.horizon_years - math.log(tail)
    try:
        long = -math.expm1(log_scale + float(log_ndtr(low - deviation)))
        short = math.expm1(log_scale + float(log_ndtr(low + deviation)))
    except OverflowError as error:
        raise ModelInputError(f"risk factors of {parameters} are too large for a number") from error
    return RiskFactors(risk_factor_long=long, risk_factor_short=short)
