"""Parameters of Derive's two margin managers, and inputs of the second portfolio manager."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from annotated_types import Gt

from engine.limits import STRICT, Fraction, NonNegative, Positive

DeriveMove: TypeAlias = Literal["down", "unchanged", "up", "skew_linear", "skew_absolute"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveScenario:
    """One cell of the loss search; ``weight`` multiplies its profit and loss."""

    __pydantic_config__ = STRICT
    price_shock: Annotated[float, Gt(-1.0)]
    volatility_move: DeriveMove
    weight: NonNegative = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivePortfolioParameters:
    """Shocks, discounts and contingencies, in the words of the manager's documentation.

    Attributes
    ----------
    volatility_shock_up, volatility_shock_down : float
        Relative rise and fall at 30 days. [-]
    volatility_power_short, volatility_power_long : float
        Power of 30/days up to and including 30 days, and above. [-]
    days_to_expiry_min : float
        Floor of the days in 30/days, above zero. [days]
    volatility_min : float
        Floor of the volatility after a rise. [1/sqrt(year)]
    skew_linear_cap, skew_linear_slope, skew_absolute_cap, skew_absolute_slope : float
        Largest relative skew at zero time, and its change per root year. [-]
    skew_width_min, skew_width_scale, skew_width_static, skew_width_slope : float
        Log-moneyness at which the cap is reached: smallest, number of widths, static part, and
        part per root year. [-]
    discount_long, discount_short : float
        Static discount of a positive, and mark-up of a negative, value of an expiry. [-]
    discount_long_rate_multiplier, discount_short_rate_multiplier : float
        Weight of the rate in them. [-]
    discount_long_rate_addend, discount_short_rate_addend : float
        Annual spread in them. [1/year]
    forward_shock_up, forward_shock_down : float
        Relative moves of the forward contingency. [-]
    forward_addend, forward_multiplier : float
        Its static weight, and its weight per year. [-], [1/year]
    stable_price_threshold, stable_price_factor : float
        Price of the stablecoin below which the depeg charge starts, and its slope. [USD], [-]
    confidence_threshold, confidence_factor : float
        Oracle confidence below which its charge starts, and its slope. [-]
    perpetual_maintenance_rate, perpetual_initial_rate : float
        Of spot notional; the initial rate is added to the maintenance rate. [-]
    option_maintenance_rate, option_initial_rate : float
        Of spot per naked short option, likewise. [-]
    maintenance_loss_factor, initial_loss_factor : float
        Multiply the worst loss. [-]
    settlement_window_seconds : float
        Length of the settlement average before expiry. [seconds]
    """

    __pydantic_config__ = STRICT
    volatility_shock_up: NonNegative
    volatility_shock_down: NonNegative
    volatility_power_short: float
    volatility_power_long: float
    days_to_expiry_min: Positive
    volatility_min: NonNegative
    skew_linear_cap: float
    skew_linear_slope: float
    skew_absolute_cap: float
    skew_absolute_slope: float
    skew_width_min: Positive
    skew_width_scale: NonNegative
    skew_width_static: float
    skew_width_slope: float
    discount_long: Positive
    discount_short: Positive
    discount_long_rate_multiplier: float
    discount_long_rate_addend: float
    discount_short_rate_multiplier: float
    discount_short_rate_addend: float
    forward_shock_up: Annotated[float, Gt(-1.0)]
    forward_shock_down: Annotated[float, Gt(-1.0)]
    forward_addend: NonNegative
    forward_multiplier: NonNegative
    stable_price_threshold: NonNegative
    stable_price_factor: NonNegative
    confidence_threshold: Fraction
    confidence_factor: NonNegative
    perpetual_maintenance_rate: NonNegative
    perpetual_initial_rate: NonNegative
    option_maintenance_rate: NonNegative
    option_initial_rate: NonNegative
    maintenance_loss_factor: NonNegative
    initial_loss_factor: NonNegative
    settlement_window_seconds: Positive = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivePortfolioRules(DerivePortfolioParameters):
    """What a rule book keeps of the portfolio manager: its parameters and its scenarios.

    A set without scenarios states no loss search, so that nothing can be margined by it.
    """

    __pydantic_config__ = STRICT
    scenarios: tuple[DeriveScenario, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveStandardParameters:
    """Rates of the standard manager; fractions unless stated.

    Attributes
    ----------
    initial_margin_rate, initial_margin_rate_min : float
        Of spot less what an option is out of the money, and its floor.
    maintenance_margin_rate_call, maintenance_margin_rate_put : float
        Of spot.
    maintenance_margin_rate_put_mark : float
        Of the put's mark.
    maintenance_offset : float
        Initial margin of a short put is at least this times its maintenance.
    unpaired_call_initial, unpaired_call_maintenance : float
        Times the forward per net short call.
    perpetual_initial_rate, perpetual_maintenance_rate : float
        Of notional.
    confidence_threshold, confidence_factor : float
        Oracle confidence below which its charge starts, and its slope.
    stable_price_threshold, stable_price_factor : float
        Price of the stablecoin below which the depeg charge starts, and its slope. [USD], [-]
    """

    __pydantic_config__ = STRICT
    initial_margin_rate: Fraction
    initial_margin_rate_min: Fraction
    maintenance_margin_rate_call: Fraction
    maintenance_margin_rate_put: Fraction
    maintenance_margin_rate_put_mark: Fraction
    maintenance_offset: NonNegative
    unpaired_call_initial: NonNegative
    unpaired_call_maintenance: NonNegative
    perpetual_initial_rate: Fraction
    perpetual_maintenance_rate: Fraction
    confidence_threshold: Fraction
    confidence_factor: NonNegative
    stable_price_threshold: NonNegative
    stable_price_factor: NonNegative


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveExpiry:
    """Oracle data of one expiry; confidences from 0 to 1.

    ``forward_price`` is in quote currency, ``risk_free_rate`` continuous and annual.
    """

    expiry: datetime
    forward_price: float
    forward_confidence: float
    risk_free_rate: float
    rate_confidence: float
    volatility_confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveMarket:
    """Oracle data of one underlying and of the settlement stablecoin. [USD]"""

    spot_price: float
    spot_confidence: float
    stable_price: float
    expiries: tuple[DeriveExpiry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveOption:
    """Option position; ``quantity`` long > 0, ``volatility`` annual."""

    expiry: datetime
    strike_price: float
    is_call: bool
    quantity: float
    volatility: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivePerpetual:
    """The perpetual of an account; ``unpaid_funding`` > 0 is owed to the holder."""

    quantity: float
    mark_price: float
    confidence: float
    unrealized_pnl: float = 0.0
    unpaid_funding: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveCollateral:
    """Non-cash collateral; haircuts are fractions of its value.

    Attributes
    ----------
    offsets_spot_risk : bool
        It moves with the underlying and joins the price shock.
    initial_haircut : float
        Deducted from initial margin besides ``maintenance_haircut``.
    """

    asset: str
    quantity: float
    mark_price: float
    confidence: float
    offsets_spot_risk: bool
    initial_haircut: float
    maintenance_haircut: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveAccount:
    """What one account holds; ``cash_balance`` < 0 is debt. [settlement stablecoin]"""

    cash_balance: float
    options: tuple[DeriveOption, ...] = ()
    perpetual: DerivePerpetual | None = None
    collateral: tuple[DeriveCollateral, ...] = ()
