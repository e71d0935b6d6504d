"""The price at which the collateral behind a position falls to its maintenance requirement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Lt

from engine.errors import ModelInputError
from engine.margin.liquidation_notional import liquidation_notional, price_of_notional
from engine.settlement.position import PositionTerms
from engine.ticks import round_to_tick

NonNegative = Annotated[float, Ge(0.0)]
_STRICT = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
# Rates are added up in binary: 0.6 + 0.3 + 0.1 is a hair below 1.
_RATE_DECIMALS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class NotionalMaintenance:
    """Maintenance as a rate of notional: at the running mark, or fixed at entry.

    Attributes
    ----------
    rule : {"mark_notional", "entry_notional"}
        Notional at the price sought (Binance, OKX, Gate, Hyperliquid, dYdX), or at entry (Bybit
        before unified accounts).
    maintenance_margin_rate : float
        Fraction of notional. [-]
    maintenance_deduction : float
        Subtracted from rate x notional: the tier deduction. [settlement currency]
    taker_fee_rate : float
        Fee on the notional at the price sought. [-]
    price_tick : float, optional
        The price is rounded to it against the position. [quote currency]
    """

    __pydantic_config__ = _STRICT
    rule: Literal["mark_notional", "entry_notional"]
    maintenance_margin_rate: NonNegative
    maintenance_deduction: NonNegative = 0.0
    taker_fee_rate: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    price_tick: Annotated[float, Gt(0.0)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskFactorMaintenance:
    """Maintenance by risk factor of the side and close-out slippage (Vega); linear contracts.

    Attributes
    ----------
    risk_factor_long, risk_factor_short : float
        Loss fraction of each side. [-]
    linear_slippage_factor, quadratic_slippage_factor : float
        Slippage as a fraction of notional, and growing with units held. [-], [1/unit]
    funding_charge_per_unit : float
        Added per unit where quantity x charge > 0. [quote currency]
    taker_fee_rate : float
        Fee on the notional at the price sought. [-]
    price_tick : float, optional
        The price is rounded to it against the position. [quote currency]
    rule : {"risk_factor"}
        Tells the rules apart in documents.
    """

    __pydantic_config__ = _STRICT
    risk_factor_long: NonNegative
    risk_factor_short: NonNegative
    linear_slippage_factor: NonNegative = 0.0
    quadratic_slippage_factor: NonNegative = 0.0
    funding_charge_per_unit: float = 0.0
    taker_fee_rate: Annotated[float, Ge(0.0), Lt(1.0)] = 0.0
    price_tick: Annotated[float, Gt(0.0)] | None = None
    rule: Literal["risk_factor"] = "risk_factor"


LiquidationParameters: TypeAlias = NotionalMaintenance | RiskFactorMaintenance


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """Signed contracts (long > 0), average entry price > 0, and how the contract settles."""

    quantity: float
    entry_price: float
    terms: PositionTerms = field(default_factory=PositionTerms)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherPosition:
    """A position that shares the collateral; its mark stays fixed while the price is sought."""

    held: HeldPosition
    mark_price: float
    maintenance_margin_rate: float
    maintenance_deduction: float = 0.0


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """Signed contracts (buy > 0), and the price of a resting order; None for a market order."""

    quantity: float
    limit_price: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossAccount:
    """A position with all that stands behind it.

    Attributes
    ----------
    position : HeldPosition
        The position whose liquidation price is sought.
    collateral_balance : float
        Wallet balance without the position's unrealised profit. To work from an equity at the
        mark, give the mark as entry price and the equity here. [settlement currency]
    other_positions : sequence of OtherPosition
        They add their unrealised profit and take their maintenance margin.
    """

    position: HeldPosition
    collateral_balance: float
    other_positions: Sequence[OtherPosition] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationPrice:
    """Prices in the quote currency; None where no finite price is reached.

    0 means that no positive price liquidates a long, or that a short is beyond rescue. The
    bankruptcy price and the sums over other positions are None under ``risk_factor``.
    """

    liquidation_price: float | None
    bankruptcy_price: float | None = None
    other_maintenance_margin: float | None = None
    other_unrealized_pnl: float | None = None


def liquidation_price(account: CrossAccount, parameters: LiquidationParameters) -> LiquidationPrice:
    """Return the price p at which ``B + U - M + pnl(p) = fees(p) + maintenance(p)``.

    B is the balance, U and M unrealised profit and maintenance margin of the other positions,
    both held fixed: a cross account is liquidated jointly, and a price that leaves them out is
    too good to be true. At the bankruptcy price ``B + U + pnl(p) = fees(p)``.

    Parameters
    ----------
    account : CrossAccount
        Position, collateral and the positions that share it.
    parameters : NotionalMaintenance or RiskFactorMaintenance
        How maintenance follows the price.

    Returns
    -------
    LiquidationPrice
        With a tick, rounded up for a long and down for a short; bankruptcy is not rounded.

    Raises
    ------
    ModelInputError
        If the position is flat (``risk_factor`` answers 0), settlements are mixed, the rate is
        above 1, or a linear long's maintenance falls as fast as its value.

    References
    ----------
    Binance FAQ b3c689c1f50a44cabb3a84e663b81d93; dYdX v4 documentation (April 2026); Vega
    protocol, ``core/risk/liquidation_calculation.go`` (October 2024).

    Examples
    --------
    A long of 100 on a balance of 20 at 4 %: 80 / 0.96. A short next to it needs 4 of the 20.

    >>> rule = NotionalMaintenance(rule="mark_notional", maintenance_margin_rate=0.04)
    >>> alone = CrossAccount(position=HeldPosition(1.0, 100.0), collateral_balance=20.0)
    >>> round(liquidation_price(alone, rule).liquidation_price, 4)
    83.3333
    >>> other = OtherPosition(
    ...     held=HeldPosition(-1.0, 100.0), mark_price=100.0, maintenance_margin_rate=0.04
    ... )
    >>> joint = CrossAccount(
    ...     position=HeldPosition(1.0, 100.0), collateral_balance=20.0, other_positions=[other]
    ... )
    >>> round(liquidation_price(joint, rule).liquidation_price, 4)
    87.5
    """
    held = account.position
    settlement = held.terms.settlement
    if any(each.held.terms.settlement != settlement for each in account.other_positions):
        raise ModelInputError("linear and inverse positions have no margin currency in common")
    others_pnl = math.fsum(_unrealized(each) for each in account.other_positions)
    others_margin = math.fsum(_maintenance(each) for each in account.other_positions)
    balance = account.collateral_balance + others_pnl
    if isinstance(parameters, RiskFactorMaintenance):
        price = _risk_factor_price(held, balance - others_margin, parameters)
        return LiquidationPrice(liquidation_price=price)
    if held.quantity == 0.0:
        raise ModelInputError("a flat position has no liquidation price", value=0.0)
    rate, fee = parameters.maintenance_margin_rate, parameters.taker_fee_rate
    if rate > 1.0:
        raise ModelInputError(
            f"maintenance_margin_rate is {rate}, limit <= 1", value=rate, limit="<= 1"
        )
    fixed = -parameters.maintenance_deduction
    running = fee
    if parameters.rule == "mark_notional":
        running += rate
    else:
        fixed += rate * held.terms.notional(held.quantity, held.entry_price)
    if settlement == "linear" and held.quantity > 0.0 and round(running, _RATE_DECIMALS) >= 1.0:
        raise _falls_as_fast(running)
    price = _solved(held, balance - others_margin - fixed, running)
    return LiquidationPrice(
        liquidation_price=_to_tick(price, held.quantity, parameters.price_tick),
        bankruptcy_price=_solved(held, balance, fee),
        other_maintenance_margin=others_margin,
        other_unrealized_pnl=others_pnl,
    )


def liquidation_prices_with_orders(
    account: CrossAccount,
    open_orders: Sequence[OpenOrder],
    parameters: RiskFactorMaintenance,
    *,
    mark_price: float,
) -> tuple[float | None, float | None]:
    """Return the liquidation price after all buys are filled, and after all sells are.

    Orders fill at their limit, market orders at the mark. The new position is valued at the mark
    with collateral ``B + q (mark - entry) + sum(order quantity * (mark - fill price))``.

    Parameters
    ----------
    account : CrossAccount
        Account before the fills.
    open_orders : sequence of OpenOrder
        Orders on the account's position.
    parameters : RiskFactorMaintenance
        How maintenance follows the price.
    mark_price : float
        Current mark of the position, > 0. [quote currency]

    Returns
    -------
    tuple of (float or None, float or None)
        0 where a flat position results. [quote currency]

    Raises
    ------
    ModelInputError
        As ``liquidation_price``.
    """
    held = account.position
    found = []
    for side in (1.0, -1.0):
        filled = [order for order in open_orders if order.quantity * side > 0.0]
        profit = [
            held.terms.profit(each.quantity, each.limit_price or mark_price, mark_price)
            for each in filled
        ]
        unrealized = held.terms.profit(held.quantity, held.entry_price, mark_price)
        after = CrossAccount(
            position=HeldPosition(
                math.fsum((held.quantity, *(each.quantity for each in filled))),
                mark_price,
                held.terms,
            ),
            collateral_balance=math.fsum((account.collateral_balance, unrealized, *profit)),
            other_positions=account.other_positions,
        )
        found.append(liquidation_price(after, parameters).liquidation_price)
    return found[0], found[1]


def _risk_factor_price(
    held: HeldPosition, balance: float, parameters: RiskFactorMaintenance
) -> float | None:
    if held.terms.settlement != "linear":
        raise ModelInputError("risk_factor is a rule of linear contracts, found inverse")
    if held.quantity == 0.0:
        return 0.0
    units = held.quantity * held.terms.contract_multiplier
    is_long = units > 0.0
    rate = parameters.risk_factor_long if is_long else parameters.risk_factor_short
    rate += parameters.linear_slippage_factor + parameters.quadratic_slippage_factor * abs(units)
    rate += parameters.taker_fee_rate
    if is_long and round(rate, _RATE_DECIMALS) == 1.0:
        raise _falls_as_fast(rate)
    funding = max(parameters.funding_charge_per_unit * units, 0.0)
    return _to_tick(_solved(held, balance - funding, rate), held.quantity, parameters.price_tick)


def _solved(held: HeldPosition, cover: float, running_rate: float) -> float | None:
    """Return the price at which ``cover + pnl = running_rate * notional``."""
    is_inverse = held.terms.settlement == "inverse"
    side = math.copysign(1.0, held.quantity) * (-1.0 if is_inverse else 1.0)
    entry_notional = held.terms.notional(held.quantity, held.entry_price)
    notional = liquidation_notional(
        np.array([side]), np.array([cover - side * entry_notional]), np.array([running_rate])
    )
    units = abs(held.quantity) * held.terms.contract_multiplier
    price = float(price_of_notional(notional, np.array([units]), np.array([is_inverse]))[0])
    return None if price == math.inf else price


def _unrealized(other: OtherPosition) -> float:
    held = other.held
    return held.terms.profit(held.quantity, held.entry_price, other.mark_price)


def _maintenance(other: OtherPosition) -> float:
    notional = other.held.terms.notional(other.held.quantity, other.mark_price)
    return notional * other.maintenance_margin_rate - other.maintenance_deduction


def _to_tick(price: float | None, quantity: float, tick: float | None) -> float | None:
    if price is None or tick is None:
        return price
    return round_to_tick(price, tick, "up" if quantity > 0.0 else "down")


def _falls_as_fast(rate: float) -> ModelInputError:
    return ModelInputError(
        f"maintenance and fees are {rate:g} of notional and fall as fast as the value of a "
        "linear long: no price liquidates it",
        value=rate,
        limit="< 1",
    )
