"""Portfolio margin of one Derive account under its second portfolio manager.

Written from the manager's published formulas alone and held to the venue's own cases (test folder
of ``derivexyz/v2-core``, Jan 2026). Evidence: published examples. Amounts are in the settlement
stablecoin.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from engine.arrays import Float64Array1D
from engine.errors import ModelInputError
from engine.kernels.exact_sums import total
from engine.margin.derive_book import DeriveHoldings, derive_losses
from engine.margin.derive_parameters import (
    DeriveAccount,
    DeriveCollateral,
    DeriveExpiry,
    DeriveMarket,
    DeriveOption,
    DerivePerpetual,
    DerivePortfolioParameters,
    DeriveScenario,
)
from engine.margin.derive_revaluation import (
    SECONDS_PER_YEAR,
    DeriveOptions,
    DeriveRevaluation,
    revalue_options,
)

__all__ = [
    "DeriveAccount",
    "DeriveCollateral",
    "DeriveExpiry",
    "DeriveMarket",
    "DeriveOption",
    "DerivePerpetual",
    "DerivePortfolioMargin",
    "DerivePortfolioParameters",
    "DeriveScenario",
    "derive_portfolio_margin",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivePortfolioMargin:
    """Margin of one account, not rounded; net margins below zero mean under-margined.

    Attributes
    ----------
    net_initial_margin, net_maintenance_margin : float
        What is left after the requirement.
    mark_to_market : float
        Cash, collateral, options, and profit and funding of the perpetual.
    initial_margin, maintenance_margin : float
        Requirement: mark-to-market less the net margin.
    worst_scenario_pnl : float
        Lowest of the scenarios and the forward contingency, at most 0.
    forward_contingency : float
        Loss if forwards move against the spot, at most 0.
    confidence_contingency : float
        Charge for oracles that are unsure, at least 0.
    """

    net_initial_margin: float
    net_maintenance_margin: float
    mark_to_market: float
    initial_margin: float
    maintenance_margin: float
    worst_scenario_pnl: float
    forward_contingency: float
    confidence_contingency: float


def derive_portfolio_margin(
    account: DeriveAccount,
    market: DeriveMarket,
    scenarios: tuple[DeriveScenario, ...],
    parameters: DerivePortfolioParameters,
    valuation_time: datetime,
) -> DerivePortfolioMargin:
    """Return the margin of one account: worst scenario loss, contingencies and mark-to-market.

    Raises
    ------
    ModelInputError
        If there is no scenario, an option's expiry has no or two market rows, or a number is not
        usable or too large.
    """
    revaluation, options = _options_of(account, market, scenarios, parameters, valuation_time)
    spot, held = market.spot_price, account.perpetual
    values = [each.quantity * each.mark_price / market.stable_price for each in account.collateral]
    delta_one = total(
        value
        for value, each in zip(values, account.collateral, strict=True)
        if each.offsets_spot_risk
    )
    delta_one += held.quantity * held.mark_price if held else 0.0
    losses = derive_losses(revaluation, options, np.array([delta_one]))
    worst, naked = float(losses.worst_pnl[0]), float(losses.naked_shorts[0])
    maintenance_charge, initial_charge = _static_charges(account, naked, values, spot, parameters)
    confidence_charge = _confidence_charge(account, market, values, parameters)
    mark_to_market = total(
        [account.cash_balance, *values, float(losses.option_value[0])]
        + ([held.unrealized_pnl, held.unpaid_funding] if held else [])
    )
    depeg = max(parameters.stable_price_threshold - market.stable_price, 0.0)
    net_maintenance = (
        parameters.maintenance_loss_factor * worst - maintenance_charge + mark_to_market
    )
    factor = parameters.initial_loss_factor + depeg * parameters.stable_price_factor
    charges = maintenance_charge + initial_charge + confidence_charge
    net_initial = factor * worst - charges + mark_to_market
    if not (math.isfinite(net_initial) and math.isfinite(net_maintenance)):
        raise ModelInputError("the net margin is not finite: inputs too large")
    return DerivePortfolioMargin(
        net_initial_margin=net_initial,
        net_maintenance_margin=net_maintenance,
        mark_to_market=mark_to_market,
        initial_margin=mark_to_market - net_initial,
        maintenance_margin=mark_to_market - net_maintenance,
        worst_scenario_pnl=worst,
        forward_contingency=float(losses.forward_contingency[0]),
        confidence_contingency=confidence_charge,
    )


def _options_of(
    account: DeriveAccount,
    market: DeriveMarket,
    scenarios: tuple[DeriveScenario, ...],
    parameters: DerivePortfolioParameters,
    valuation_time: datetime,
) -> tuple[DeriveRevaluation, DeriveHoldings]:
    """Return the options of the account revalued, and held in one unit."""
    quotes = {quote.expiry: quote for quote in market.expiries}
    if len(quotes) < len(market.expiries):
        raise ModelInputError("market.expiries name an expiry twice", identifier="market.expiries")
    for option in account.options:
        if option.expiry not in quotes:
            raise ModelInputError(
                f"market.expiries have no row for {option.expiry.isoformat()}, which an option "
                "needs",
                identifier=option.expiry.isoformat(),
            )
    held, own = account.options, [quotes[option.expiry] for option in account.options]
    number = {expiry: at for at, expiry in enumerate(sorted({each.expiry for each in held}))}
    seconds = [max((each.expiry - valuation_time).total_seconds(), 0.0) for each in held]
    options = DeriveOptions(
        expiry=np.array([number[each.expiry] for each in held], dtype=np.int64),
        is_call=np.array([each.is_call for each in held], dtype=np.bool_),
        strike_price=_numbers(each.strike_price for each in held),
        forward_price=_numbers(each.forward_price for each in own),
        years=_numbers(seconds) / SECONDS_PER_YEAR,
        volatility=_numbers(each.volatility for each in held),
        risk_free_rate=_numbers(each.risk_free_rate for each in own),
    )
    return revalue_options(options, scenarios, parameters), DeriveHoldings(
        unit=np.zeros(len(held), dtype=np.int64),
        option=np.arange(len(held)),
        quantity=_numbers(each.quantity for each in held),
    )


def _numbers(values: Iterable[float]) -> Float64Array1D:
    return np.array(list(values), dtype=np.float64)


def _static_charges(
    account: DeriveAccount,
    naked: float,
    values: list[float],
    spot: float,
    parameters: DerivePortfolioParameters,
) -> tuple[float, float]:
    """Return the maintenance charge, and what the initial charge adds to it."""
    size = abs(account.perpetual.quantity) if account.perpetual else 0.0
    haircuts = list(zip(account.collateral, values, strict=True))
    maintenance = spot * (
        parameters.perpetual_maintenance_rate * size + parameters.option_maintenance_rate * naked
    ) + total(each.maintenance_haircut * value for each, value in haircuts)
    initial = spot * (
        parameters.perpetual_initial_rate * size + parameters.option_initial_rate * naked
    ) + total(each.initial_haircut * value for each, value in haircuts)
    return maintenance, initial


def _confidence_charge(
    account: DeriveAccount,
    market: DeriveMarket,
    values: list[float],
    parameters: DerivePortfolioParameters,
) -> float:
    def charge(confidence: float, notional: float) -> float:
        if confidence >= parameters.confidence_threshold:
            return 0.0
        return (1.0 - confidence) * parameters.confidence_factor * notional

    held, spot = account.perpetual, market.spot_confidence
    charges = [
        charge(min(each.confidence, spot), value)
        for each, value in zip(account.collateral, values, strict=True)
    ]
    if held:
        charges.append(charge(min(held.confidence, spot), abs(held.quantity) * market.spot_price))
    for quote in market.expiries:
        sizes = [abs(each.quantity) for each in account.options if each.expiry == quote.expiry]
        confidences = [quote.forward_confidence, quote.rate_confidence, quote.volatility_confidence]
        worst = min([*confidences, spot] + ([held.confidence] if held else []))
        charges.append(charge(worst, market.spot_price * total(sizes)))
    return total(charges)
