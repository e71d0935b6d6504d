"""Options of Derive's portfolio manager revalued once, and the losses of any number of units.

A unit is what one account holds on one underlying. What depends on the market alone is worked out
first, so that a close or a what-if asks about thousands of units. Written from the manager's
published formulas alone and held to the venue's own cases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D
from engine.errors import ModelInputError
from engine.kernels.exact_sums import grouped_sums, rounded, weighted_sums
from engine.margin.derive_parameters import DeriveMove, DerivePortfolioParameters, DeriveScenario
from engine.pricing.black76 import option_value
from engine.pricing.terms import OptionTerms

SECONDS_PER_YEAR = 31_536_000.0
_DAYS_PER_YEAR = 365.0
_REFERENCE_DAYS = 30.0
_SKEWS = ("skew_linear", "skew_absolute")
# Columns of the revaluation before the scenarios: unshocked, forward up, forward down.
_UNSHOCKED, _UP, _DOWN, _FIRST_SCENARIO = 0, 1, 2, 3


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeriveOptions:
    """Options with the market of their expiries; arrays of shape (n_options,).

    Attributes
    ----------
    expiry : Int64Array1D
        Number of the expiry, from 0; forward, years and rate are those of the expiry.
    is_call : BoolArray1D
    strike_price, forward_price : Float64Array1D
        [quote currency]
    years : Float64Array1D
        Not negative. [years of 365 days]
    volatility, risk_free_rate : Float64Array1D
        Annual; the rate is continuous.
    """

    expiry: Int64Array1D
    is_call: BoolArray1D
    strike_price: Float64Array1D
    forward_price: Float64Array1D
    years: Float64Array1D
    volatility: Float64Array1D
    risk_free_rate: Float64Array1D

    def __len__(self) -> int:
        return len(self.expiry)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeriveRevaluation:
    """Options under every scenario.

    Attributes
    ----------
    options : DeriveOptions
    scenarios : tuple of DeriveScenario
    parameters : DerivePortfolioParameters
    unit_value : Float64Array2D, shape (n_options, 3 + n_scenarios)
        Value of one option held long: unshocked, at the forward shocks up and down, and in each
        scenario, before the static discount. [quote currency]
    """

    options: DeriveOptions
    scenarios: tuple[DeriveScenario, ...]
    parameters: DerivePortfolioParameters
    unit_value: Float64Array2D


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeriveHoldings:
    """Options held; arrays of shape (n_rows,), rows in any order.

    ``quantity`` is signed, long > 0, in units of underlying.
    """

    unit: Int64Array1D
    option: Int64Array1D
    quantity: Float64Array1D


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeriveLosses:
    """What units lose and hold; arrays of shape (n_units,), amounts in quote currency.

    Attributes
    ----------
    scenario_pnl : Float64Array2D, shape (n_units, n_scenarios)
        Weighted profit (+) and loss (-).
    forward_contingency : Float64Array1D
        Loss if forwards move against the spot, at most 0.
    naked_shorts : Float64Array1D
        Short options, netted per expiry and strike. [units of underlying]
    option_value : Float64Array1D
        Unshocked value of the options.
    """

    scenario_pnl: Float64Array2D
    forward_contingency: Float64Array1D
    naked_shorts: Float64Array1D
    option_value: Float64Array1D

    @property
    def worst_pnl(self) -> Float64Array1D:
        """Lowest of the scenarios and the forward contingency, at most 0."""
        worst: Float64Array1D = np.minimum(
            np.minimum(self.scenario_pnl.min(axis=1), self.forward_contingency), 0.0
        )
        return worst


def revalue_options(
    options: DeriveOptions,
    scenarios: tuple[DeriveScenario, ...],
    parameters: DerivePortfolioParameters,
) -> DeriveRevaluation:
    """Return every option in every scenario and under the shocks of its forward.

    Raises
    ------
    ModelInputError
        If there is no scenario, or a number is not usable.
    """
    if not scenarios:
        raise ModelInputError("scenarios are empty, limit: at least one", identifier="scenarios")
    columns = [
        _shocked(options, parameters, 0.0, "unchanged"),
        _shocked(options, parameters, parameters.forward_shock_up, "unchanged"),
        _shocked(options, parameters, parameters.forward_shock_down, "unchanged"),
        *(_shocked(options, parameters, s.price_shock, s.volatility_move) for s in scenarios),
    ]
    return DeriveRevaluation(
        options=options,
        scenarios=scenarios,
        parameters=parameters,
        unit_value=np.ascontiguousarray(np.stack(columns, axis=1)),
    )


def derive_losses(
    revaluation: DeriveRevaluation, holdings: DeriveHoldings, delta_one: Float64Array1D
) -> DeriveLosses:
    """Return what each unit loses; the same bytes in any order of rows and in any company.

    Parameters
    ----------
    delta_one : Float64Array1D, shape (n_units,)
        Value of what moves with the underlying one to one. [quote currency]

    Raises
    ------
    ModelInputError
        If a sum is not finite.
    """
    options, one = revaluation.options, revaluation.parameters
    n_units = len(delta_one)
    n_expiries = int(options.expiry.max()) + 1 if len(options) else 1
    # One book per unit and expiry, which the static discount looks at as a whole.
    key = holdings.unit * n_expiries + options.expiry[holdings.option]
    distinct, first, book = np.unique(key, return_index=True, return_inverse=True)
    unit, lead = distinct // n_expiries, holdings.option[first]
    values = rounded(
        weighted_sums(
            revaluation.unit_value, holdings.option, holdings.quantity, book, len(distinct)
        )
    )
    years, rate = options.years[lead], options.risk_free_rate[lead]
    unshocked = values[:, _UNSHOCKED]
    gain = _discounted(values[:, _FIRST_SCENARIO:], years, rate, one) - unshocked[:, np.newaxis]
    is_skew = [each.volatility_move in _SKEWS for each in revaluation.scenarios]
    # A skew may go either way, so it is a loss.
    gain = np.where(np.array(is_skew), -np.abs(gain), gain)
    worst = np.minimum(values[:, _UP] - unshocked, values[:, _DOWN] - unshocked)
    contingency = np.minimum(worst, 0.0) * (one.forward_addend + one.forward_multiplier * years)
    shock = np.array([each.price_shock for each in revaluation.scenarios])
    weight = np.array([each.weight for each in revaluation.scenarios])
    moved = np.concatenate([delta_one[:, np.newaxis] * shock, gain])
    owner = np.concatenate([np.arange(n_units), unit])
    return DeriveLosses(
        scenario_pnl=rounded(grouped_sums(moved, owner, n_units)) * weight,
        forward_contingency=rounded(grouped_sums(contingency, unit, n_units)),
        naked_shorts=_naked_shorts(options, holdings, book, unit, n_units),
        option_value=rounded(grouped_sums(unshocked, unit, n_units)),
    )


def _naked_shorts(
    options: DeriveOptions,
    holdings: DeriveHoldings,
    book: Int64Array1D,
    unit: Int64Array1D,
    n_units: int,
) -> Float64Array1D:
    strikes, strike = np.unique(options.strike_price[holdings.option], return_inverse=True)
    distinct, place = np.unique(book * max(len(strikes), 1) + strike, return_inverse=True)
    net = rounded(grouped_sums(holdings.quantity, place, len(distinct)))
    short = np.maximum(-net, 0.0)
    naked: Float64Array1D = rounded(
        grouped_sums(short, unit[distinct // max(len(strikes), 1)], n_units)
    )
    return naked


def _shocked(
    options: DeriveOptions,
    parameters: DerivePortfolioParameters,
    price_shock: float,
    move: DeriveMove,
) -> Float64Array1D:
    """Return the value of each option after a move, without the static discount."""
    seconds = options.years * SECONDS_PER_YEAR
    # What the settlement average has already fixed does not move.
    fixed = np.maximum(1.0 - seconds / parameters.settlement_window_seconds, 0.0)
    forward = options.forward_price * ((1.0 - fixed) * (1.0 + price_shock) + fixed)
    terms = OptionTerms(
        is_call=options.is_call, strike_price=options.strike_price, years=options.years
    )
    volatility = _moved_volatility(options, parameters, move, forward)
    rate = np.maximum(options.risk_free_rate, 0.0)
    worth: Float64Array1D = option_value(terms, forward, volatility, rate).option_price
    return worth


def _moved_volatility(
    options: DeriveOptions,
    one: DerivePortfolioParameters,
    move: DeriveMove,
    forward: Float64Array1D,
) -> Float64Array1D:
    volatility = options.volatility
    if move == "unchanged":
        return volatility
    if move in _SKEWS:
        return _skewed(options, one, move, forward)
    days = _DAYS_PER_YEAR * options.years
    power = np.where(days <= _REFERENCE_DAYS, one.volatility_power_short, one.volatility_power_long)
    scale = (_REFERENCE_DAYS / np.maximum(days, one.days_to_expiry_min)) ** power
    if move == "up":
        up = volatility * (1.0 + one.volatility_shock_up * scale)
        return np.asarray(np.maximum(up, one.volatility_min))
    down = volatility * np.maximum(1.0 - one.volatility_shock_down * scale, 0.0)
    return np.asarray(down)


def _skewed(
    options: DeriveOptions,
    one: DerivePortfolioParameters,
    move: DeriveMove,
    forward: Float64Array1D,
) -> Float64Array1D:
    root = np.sqrt(options.years)
    moneyness = np.log(options.strike_price / forward)
    if move == "skew_linear":
        cap = one.skew_linear_cap + one.skew_linear_slope * root
    else:
        cap = one.skew_absolute_cap + one.skew_absolute_slope * root
        moneyness = np.abs(moneyness)
    width = root * one.skew_width_scale * (one.skew_width_static + one.skew_width_slope * root)
    slope = cap / np.maximum(one.skew_width_min, width)
    skew = np.minimum(np.maximum(moneyness * slope, -cap), cap)
    moved: Float64Array1D = options.volatility * np.maximum(1.0 + skew, 0.0)
    return moved


def _discounted(
    value: Float64Array2D,
    years: Float64Array1D,
    risk_free_rate: Float64Array1D,
    one: DerivePortfolioParameters,
) -> Float64Array2D:
    """Return the values of books after the static discount: less if owned, more if owed."""
    rate = np.maximum(risk_free_rate, 0.0)
    spread = rate * one.discount_long_rate_multiplier + one.discount_long_rate_addend
    owned = one.discount_long * np.exp(-years * spread)
    spread = rate * one.discount_short_rate_multiplier + one.discount_short_rate_addend
    owed = np.minimum(np.exp(rate * years), one.discount_short * np.exp(years * spread))
    found: Float64Array2D = value * np.where(
        value >= 0.0, owned[:, np.newaxis], owed[:, np.newaxis]
    )
    return found


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeriveUnits:
    """What units hold besides options; arrays of shape (n_units,).

    Attributes
    ----------
    spot_price : Float64Array1D
        [quote currency per unit of underlying]
    stable_price : Float64Array1D
        Price of the settlement stablecoin. [USD]
    perpetual_quantity : Float64Array1D
        Perpetuals, long and short netted or not as the caller has them; absolute value counts.
        [units of underlying]
    """

    spot_price: Float64Array1D
    stable_price: Float64Array1D
    perpetual_quantity: Float64Array1D


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DeriveRequirement:
    """Requirements of units whose oracles are sure; arrays of shape (n_units,). [quote currency]

    ``maintenance_charge`` is in both margins, ``initial_charge`` in initial margin alone.
    """

    initial_margin: Float64Array1D
    maintenance_margin: Float64Array1D
    maintenance_charge: Float64Array1D
    initial_charge: Float64Array1D


def derive_requirement(
    losses: DeriveLosses, units: DeriveUnits, one: DerivePortfolioParameters
) -> DeriveRequirement:
    """Return what each unit must keep beyond its mark-to-market: loss and static charges."""
    perpetual, naked = np.abs(units.perpetual_quantity), losses.naked_shorts
    maintenance_charge = units.spot_price * (
        one.perpetual_maintenance_rate * perpetual + one.option_maintenance_rate * naked
    )
    initial_charge = units.spot_price * (
        one.perpetual_initial_rate * perpetual + one.option_initial_rate * naked
    )
    depeg = np.maximum(one.stable_price_threshold - units.stable_price, 0.0)
    factor = one.initial_loss_factor + depeg * one.stable_price_factor
    worst = -losses.worst_pnl
    return DeriveRequirement(
        initial_margin=factor * worst + maintenance_charge + initial_charge,
        maintenance_margin=one.maintenance_loss_factor * worst + maintenance_charge,
        maintenance_charge=maintenance_charge,
        initial_charge=initial_charge,
    )
