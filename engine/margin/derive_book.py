"""Losses and requirements of any number of units of Derive's portfolio manager.

A unit is what one account holds on one underlying. What depends on the market alone is worked out
first, so that a close or a what-if asks about thousands of units. Written from the manager's
published formulas alone and held to the venue's own cases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D
from engine.kernels.exact_sums import grouped_sums, rounded, weighted_sums
from engine.margin.derive_parameters import DerivePortfolioParameters
from engine.margin.derive_revaluation import (
    FIRST_SCENARIO,
    SKEWS,
    DeriveOptions,
    DeriveRevaluation,
)


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
    one, n_units = revaluation.parameters, len(delta_one)
    books = _expiry_books(revaluation, holdings)
    unit, unshocked, up, down = books.unit, *books.value[:, :FIRST_SCENARIO].T
    gain = books.value[:, FIRST_SCENARIO:] * books.discount - unshocked[:, np.newaxis]
    # A skew may go either way, so it is a loss.
    gain = np.where(_is_skew(revaluation), -np.abs(gain), gain)
    worst = np.minimum(np.minimum(up - unshocked, down - unshocked), 0.0)
    contingency = worst * (one.forward_addend + one.forward_multiplier * books.years)
    shock = np.array([each.price_shock for each in revaluation.scenarios])
    weight = np.array([each.weight for each in revaluation.scenarios])
    moved = np.concatenate([delta_one[:, np.newaxis] * shock, gain])
    owner = np.concatenate([np.arange(n_units), unit])
    return DeriveLosses(
        scenario_pnl=rounded(grouped_sums(moved, owner, n_units)) * weight,
        forward_contingency=rounded(grouped_sums(contingency, unit, n_units)),
        naked_shorts=_naked_shorts(revaluation.options, holdings, books, n_units),
        option_value=rounded(grouped_sums(unshocked, unit, n_units)),
    )


def holding_pnl(
    revaluation: DeriveRevaluation, holdings: DeriveHoldings, scenario: Int64Array1D
) -> Float64Array1D:
    """Return what each row gains in the given scenario of its unit; rows add up to the options.

    Parameters
    ----------
    scenario : Int64Array1D, shape (n_units,)
    """
    books = _expiry_books(revaluation, holdings)
    chosen = scenario[holdings.unit]
    value = revaluation.unit_value[holdings.option]
    rows = np.arange(len(chosen))
    discount = books.discount[books.book, chosen]
    shocked = value[rows, FIRST_SCENARIO + chosen] * discount
    pnl = holdings.quantity * (shocked - value[:, 0])
    whole = books.value[:, FIRST_SCENARIO:] * books.discount - books.value[:, :1]
    is_turned = _is_skew(revaluation)[chosen] & (whole[books.book, chosen] > 0.0)
    weight = np.array([each.weight for each in revaluation.scenarios])[chosen]
    found: Float64Array1D = np.where(is_turned, 0.0 - pnl, pnl) * weight
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _ExpiryBooks:
    """Options of one unit and expiry, which the static discount looks at as a whole.

    ``book`` is that of each row of the holdings; other arrays have the shape (n_books,), and
    ``value`` (n_books, 3 + n_scenarios), ``discount`` (n_books, n_scenarios).
    """

    book: Int64Array1D
    unit: Int64Array1D
    years: Float64Array1D
    value: Float64Array2D
    discount: Float64Array2D


def _expiry_books(revaluation: DeriveRevaluation, holdings: DeriveHoldings) -> _ExpiryBooks:
    options = revaluation.options
    n_expiries = int(options.expiry.max()) + 1 if len(options) else 1
    key = holdings.unit * n_expiries + options.expiry[holdings.option]
    distinct, first, book = np.unique(key, return_index=True, return_inverse=True)
    lead = holdings.option[first]
    value = rounded(
        weighted_sums(
            revaluation.unit_value, holdings.option, holdings.quantity, book, len(distinct)
        )
    )
    years, rate = options.years[lead], options.risk_free_rate[lead]
    discount = _discount(value[:, FIRST_SCENARIO:], years, rate, revaluation.parameters)
    return _ExpiryBooks(book, distinct // n_expiries, years, value, discount)


def _is_skew(revaluation: DeriveRevaluation) -> BoolArray1D:
    return np.array([each.volatility_move in SKEWS for each in revaluation.scenarios])


def _naked_shorts(
    options: DeriveOptions,
    holdings: DeriveHoldings,
    books: _ExpiryBooks,
    n_units: int,
) -> Float64Array1D:
    strikes, strike = np.unique(options.strike_price[holdings.option], return_inverse=True)
    distinct, place = np.unique(books.book * max(len(strikes), 1) + strike, return_inverse=True)
    net = rounded(grouped_sums(holdings.quantity, place, len(distinct)))
    short = np.maximum(-net, 0.0)
    naked: Float64Array1D = rounded(
        grouped_sums(short, books.unit[distinct // max(len(strikes), 1)], n_units)
    )
    return naked


def _discount(
    value: Float64Array2D,
    years: Float64Array1D,
    risk_free_rate: Float64Array1D,
    one: DerivePortfolioParameters,
) -> Float64Array2D:
    """Return the static discount of the values of books: less if owned, more if owed."""
    rate = np.maximum(risk_free_rate, 0.0)
    spread = rate * one.discount_long_rate_multiplier + one.discount_long_rate_addend
    owned = one.discount_long * np.exp(-years * spread)
    spread = rate * one.discount_short_rate_multiplier + one.discount_short_rate_addend
    owed = np.minimum(np.exp(rate * years), one.discount_short * np.exp(years * spread))
    found: Float64Array2D = np.where(value >= 0.0, owned[:, np.newaxis], owed[:, np.newaxis])
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
