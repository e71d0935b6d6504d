"""The rule book: dated parameters and agreements, with their limits declared on the types.

Whoever reads a rule book from outside (``infra/rules.py``) checks it against these annotations
and refuses it with file, key, value and limit. Rates and ratios are fractions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt, MinLen

from engine.acceptance.parameters import AcceptanceParameters
from engine.degraded_parameters import Degraded
from engine.errors import ParameterError
from engine.limits import STRICT as _STRICT
from engine.limits import Confidence, Fraction, HaircutTier, NonNegative, Positive
from engine.margin.stress_parameters import StressGrid
from engine.policies.ladder_parameters import Ladder
from engine.policies.quiet_parameters import Quiet
from engine.venue_rules import VenueRules

__all__ = [
    "MPOR_DAYS_MAX",
    "Agreement",
    "AntiProcyclicality",
    "CollateralAsset",
    "Confidence",
    "Filter",
    "Fraction",
    "Gap",
    "HaircutTier",
    "Hold",
    "HouseParameters",
    "Liquidity",
    "Mpor",
    "MporDays",
    "NonNegative",
    "Positive",
    "Proxy",
    "RuleBook",
    "StressScenario",
    "Surface",
]

MPOR_DAYS_MAX = 5
MporDays = Annotated[int, Ge(1), Le(MPOR_DAYS_MAX)]


@dataclass(frozen=True, slots=True)
class Filter:
    """EWMA filter of the historical scenarios: devolatilise each day, revolatilise to today."""

    __pydantic_config__ = _STRICT
    lookback_days: Annotated[int, Ge(250), Le(5000)]
    decay: Annotated[float, Gt(0.8), Lt(1.0)]
    ratio_floor: Annotated[float, Gt(0.0), Le(1.0)]
    """Today's over the day's volatility is not taken below this."""
    ratio_cap: Annotated[float, Ge(1.0)]
    minimum_history_days: Annotated[int, Ge(30)]
    """An asset with fewer own returns in the lookback is proxied whole."""


@dataclass(frozen=True, slots=True)
class Mpor:
    """Margin period of risk by product, longer for assets outside the major class. [days]"""

    __pydantic_config__ = _STRICT
    spot: MporDays
    perpetual: MporDays
    future: MporDays
    option: MporDays
    extra_days_minor: Annotated[int, Ge(0), Le(4)]
    major_assets: tuple[str, ...]

    def days(self, kind: str, asset: str) -> int:
        """Return the margin period of risk of one product on ``asset``, at most 5 days."""
        base: int = getattr(self, kind)
        extra = 0 if asset in self.major_assets else self.extra_days_minor
        return min(base + extra, MPOR_DAYS_MAX)


@dataclass(frozen=True, slots=True)
class Proxy:
    """Conservative stand-ins for factors without enough history; never offset against others."""

    __pydantic_config__ = _STRICT
    asset: str
    return_multiplier: Annotated[float, Ge(1.0)]
    volatility_level_multiplier: Positive
    """Log change of the volatility level per log change of the EWMA volatility of the index."""
    basis_beta: NonNegative
    """Change of the annual basis per unit log return of the index. [1/year]"""
    peg_move_min: NonNegative = 0.0
    """What a peg is taken to have moved in a day, where none was seen to move more. [-]"""


@dataclass(frozen=True, slots=True)
class Surface:
    """How a volatility-level shock spreads over tenors: (reference / tenor) ** exponent."""

    __pydantic_config__ = _STRICT
    reference_tenor_days: Positive
    tenor_exponent: Fraction
    tenor_days_min: Positive
    volatility_log_change_max: Positive
    """Bound of a scenario's volatility-level shock at the reference tenor, either way."""
    perpetual_basis_tenor_years: Positive


@dataclass(frozen=True, slots=True)
class AntiProcyclicality:
    """The tools of EMIR RTS 153/2013 article 28; each can be switched on by itself."""

    __pydantic_config__ = _STRICT
    stress_weight: Fraction
    """Weight of the stressed margin; 0 switches the tool off."""
    buffer_rate: NonNegative
    """Margin buffer; 0 switches the tool off."""
    buffer_released: bool
    long_run_floor: bool
    """Volatility of each factor never below its long-run level."""
    long_run_days: Annotated[int, Ge(250)]


@dataclass(frozen=True, slots=True)
class StressScenario:
    """Named stress day: log returns of indices, log change of volatility, basis and pegs."""

    __pydantic_config__ = _STRICT
    name: str
    source: str
    index: Mapping[str, float]
    """Log return by asset; ``default`` for the others. [-]"""
    volatility: float
    basis: float
    """Change of the annual basis. [1/year]"""
    peg: Mapping[str, float] = field(default_factory=dict)
    known_since: date | None = None
    """First business date whose close could know of it; a back-test leaves it out before."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Flash-crash grid: each underlying jumps alone; jumps combine with a correlation matrix."""

    __pydantic_config__ = _STRICT
    shocks_major: Annotated[tuple[float, ...], MinLen(1)]
    shocks_minor: Annotated[tuple[float, ...], MinLen(1)]
    """Relative price moves, -0.2 = a fall of a fifth."""
    volatility_shock: float
    correlation_assets: tuple[str, ...]
    correlation: tuple[tuple[float, ...], ...]
    """Correlation of gap losses between ``correlation_assets``; must be positive semi-definite."""
    correlation_default: Annotated[float, Ge(0.0), Lt(1.0)]
    share: Fraction
    """Part of the gap loss above the core margin that is charged."""

    def __post_init__(self) -> None:
        n = len(self.correlation_assets)
        if len(self.correlation) != n or any(len(row) != n for row in self.correlation):
            raise ParameterError(f"gap.correlation needs {n} rows of {n} numbers")
        matrix = np.array(self.correlation, dtype=np.float64).reshape(n, n)
        if not np.array_equal(matrix, matrix.T) or not np.all(np.diag(matrix) == 1.0):
            raise ParameterError("gap.correlation is not symmetric with a unit diagonal")
        smallest = float(np.linalg.eigvalsh(matrix).min()) if n else 0.0
        if smallest < -1e-10:
            raise ParameterError(
                f"gap.correlation has eigenvalue {smallest:.6g}, limit >= 0: not positive "
                "semi-definite",
                identifier="gap.correlation",
                value=smallest,
                limit=">= 0",
            )
        if any(shock <= -1.0 for shock in (*self.shocks_major, *self.shocks_minor)):
            raise ParameterError("gap.shocks need values above -1")


@dataclass(frozen=True, slots=True)
class Liquidity:
    """Liquidation cost: half the spread, and impact growing with the share of daily volume."""

    __pydantic_config__ = _STRICT
    impact_coefficient: NonNegative
    """Y in Y * daily volatility * notional * sqrt(notional / average daily volume)."""
    volume_share_free: Fraction
    """Share of average daily volume that liquidates without an impact charge."""
    average_daily_volume_usd_default: Positive
    """Assumed when an asset has no liquidity row: deliberately small. [USD]"""
    spread_default: Fraction


@dataclass(frozen=True, slots=True)
class Hold:
    """What a netting set owes while its inputs are not fresh."""

    __pydantic_config__ = _STRICT
    add_on: NonNegative
    add_on_per_day: NonNegative
    mark_age_hours_max: Positive


@dataclass(frozen=True, slots=True)
class CollateralAsset:
    """Eligibility, haircut and scale of one collateral asset."""

    __pydantic_config__ = _STRICT
    scale: Annotated[int, Ge(0), Le(18)]
    """Decimals of the ledger's minor unit."""
    eligible: bool
    haircut_tiers: Annotated[tuple[HaircutTier, ...], MinLen(1)]
    concentration_limit: Fraction
    """Largest share of a netting set's collateral value that this asset may count for."""


@dataclass(frozen=True, slots=True)
class HouseParameters:
    """Parameters of the house model on one effective date."""

    __pydantic_config__ = _STRICT
    effective_date: date
    source: str
    filter: Filter
    mpor: Mpor
    proxy: Proxy
    surface: Surface
    anti_procyclicality: AntiProcyclicality
    gap: Gap
    liquidity: Liquidity
    hold: Hold
    pegged_assets: tuple[str, ...]
    """Currencies and stablecoins: they follow their peg, not the market, in stress and gaps."""
    offset_cap: Fraction
    """Largest share of the offset between underlyings that is granted (EMIR art. 27)."""
    fx_haircut: Fraction
    """Added when collateral is not in the agreement's currency."""
    stress: Annotated[tuple[StressScenario, ...], MinLen(1)]
    collateral: Mapping[str, CollateralAsset]
    stress_grid: StressGrid | None = None
    """None: documents from before there was one replay as they did."""
    ladder: Ladder | None = None
    """None: documents from before there was one; nothing is watched within the day on them."""
    quiet: Quiet | None = None
    """None: documents from before there was one; their alerts are not grouped."""
    degraded: Degraded | None = None
    """None: documents from before there was one hold as a close does, and count nothing there."""
    acceptance: AcceptanceParameters | None = None
    """None: documents from before there was one; ``engine.acceptance.UNSTATED`` counts."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Terms between the house and the client of one netting set. Amounts in ``currency``."""

    __pydantic_config__ = _STRICT
    netting_set_id: str
    client_id: str
    currency: str
    confidence: Confidence
    threshold: NonNegative
    minimum_transfer_amount: NonNegative
    rounding_increment: Positive
    independent_amount: NonNegative
    cure_hours: Positive
    effective_date: date
    call_basis: Literal["larger", "house"] = "larger"
    """What is called for: the larger of house and venue margin, or the house's alone."""
    cure_unit: Literal["hours", "business_hours"] = "hours"
    """Which hours of ``cure_hours`` count."""
    time_zone: str = "UTC"
    """IANA zone of the cut-off and of business hours."""
    notification_cut_off: str = ""
    """Local ``HH:MM``: a call issued from then on counts as notified on the next business day."""
    holiday_calendar: str = ""
    """Country or market codes joined by ``+``, for fiat rails; empty where rails never rest."""
    business_hours: str = "09:00-17:00"
    """Local opening and closing time, for cure periods in business hours."""
    returns: Literal["automatic", "on_request"] = "automatic"
    """Whether excess goes back by itself or when the client asks for it."""
    escalation: str = ""
    """``name@hours,...`` after the call was due; empty for the house's own levels."""
    ladder: str = ""
    """``rung@enter/release[:action],...`` where it differs from the house's ladder."""
    reduction: Literal["", "shadow", "approval", "automatic"] = ""
    """What a plan to reduce the book may do; empty for the house's own mode."""
    collection: Literal["by_hand", "automatic"] = "by_hand"
    """Whether a call is paid from the client's own places without a person."""


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All rules in force for a run, named by their hash."""

    rule_book_hash: str
    house: HouseParameters
    agreements: Mapping[str, Agreement]
    venues: VenueRules = field(default_factory=VenueRules)
    """The venues' own parameters in force."""
