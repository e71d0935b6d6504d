"""Maintenance, search, initial and release levels of a futures position with its open orders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Annotated, Final, Literal, TypeAlias

from annotated_types import Ge, Gt, Le

from engine.errors import ModelInputError
from engine.margin.liquidation_price import OpenOrder
from engine.money import MONEY_CONTEXT, exact
from engine.ticks import exact_to_tick

MarginMode: TypeAlias = Literal["cross", "isolated", "fully_collateralised"]
NonNegative = Annotated[float, Ge(0.0)]
Positive = Annotated[float, Gt(0.0)]
_STRICT = {"extra": "forbid", "strict": True, "allow_inf_nan": False}
# Vega keeps scaling factors with five decimals.
_FACTOR_TICK: Final = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginLevelParameters:
    """Margin model of one market.

    Attributes
    ----------
    risk_factor_long, risk_factor_short : float
        Loss fraction of each side. [-]
    linear_slippage_factor, quadratic_slippage_factor : float
        Close-out slippage as a fraction of notional, and growing with size. [-], [1/contract]
    search_factor, initial_factor, release_factor : float
        Levels as multiples of maintenance, >= 1; truncated to five decimals. [-]
    isolated_margin_factor : float, optional
        Order margin per notional, needed when isolated, 0 to 1. [-]
    price_max : float, optional
        Cap of a capped future, needed when fully collateralised. [quote currency]
    margin_funding_factor : float
        Share of the funding payment that is margined. [-]
    amount_tick, price_tick : float
        Smallest unit of the margin asset, and smallest price step. [quote currency]
    """

    __pydantic_config__ = _STRICT
    risk_factor_long: NonNegative
    risk_factor_short: NonNegative
    linear_slippage_factor: NonNegative = 0.0
    quadratic_slippage_factor: NonNegative = 0.0
    search_factor: Annotated[float, Ge(1.0)] = 1.1
    initial_factor: Annotated[float, Ge(1.0)] = 1.2
    release_factor: Annotated[float, Ge(1.0)] = 1.4
    isolated_margin_factor: Annotated[float, Gt(0.0), Le(1.0)] | None = None
    price_max: Positive | None = None
    margin_funding_factor: NonNegative = 0.0
    amount_tick: Positive = 1.0
    price_tick: Positive = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelPosition:
    """A position with its orders.

    Attributes
    ----------
    quantity : float
        Signed contracts, long > 0.
    mark_price : float
        Price at which the venue margins the position, >= 0. [quote currency]
    margin_mode : {"cross", "isolated", "fully_collateralised"}
        How the account margins it.
    open_orders : sequence of OpenOrder
        Resting orders; market orders count at the mark.
    funding_payment_per_unit : float
        Running funding payment, > 0 when longs pay. [quote currency]
    in_auction : bool
        Open orders are then charged at their own prices.
    auction_price : float, optional
        Indicative price of the auction, > 0. [quote currency]
    """

    quantity: float
    mark_price: float
    margin_mode: MarginMode = "cross"
    open_orders: Sequence[OpenOrder] = ()
    funding_payment_per_unit: float = 0.0
    in_auction: bool = False
    auction_price: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginLevels:
    """Levels in the quote currency, whole multiples of the amount tick.

    Below ``search_level`` the account is topped up to ``initial_margin``, above
    ``release_level`` the excess is released; isolated positions have neither, both are 0.
    ``order_margin`` stands apart for orders of isolated positions.
    """

    maintenance_margin: float
    search_level: float
    initial_margin: float
    release_level: float
    order_margin: float


def margin_levels(position: LevelPosition, parameters: MarginLevelParameters) -> MarginLevels:
    """Return the four levels of a position and the margin of its isolated orders [1]_.

    Cross: the larger of the long and the short leg, each slippage and risk factor on the
    position of that side plus the risk factor on its orders, and the funding that the position
    owes. Slippage is not charged on orders, as the venue's engine has it and its text does not.
    The arithmetic is exact: maintenance is rounded up, the levels down.

    Parameters
    ----------
    position : LevelPosition
        Position, mode, orders.
    parameters : MarginLevelParameters
        Model of the market.

    Returns
    -------
    MarginLevels
        See the class.

    Raises
    ------
    ModelInputError
        If a parameter that the mode needs is absent, or a fully collateralised position has an
        order without limit price or a price above ``price_max``.

    References
    ----------
    .. [1] vegaprotocol/specs, ``protocol/0019-MCAL-margin_calculator.md`` (August 2024), and
       vegaprotocol/vega, ``core/risk`` (October 2024).

    Examples
    --------
    >>> levels = margin_levels(
    ...     LevelPosition(quantity=10.0, mark_price=100.0),
    ...     MarginLevelParameters(risk_factor_long=0.1, risk_factor_short=0.2),
    ... )
    >>> levels.maintenance_margin, levels.search_level, levels.initial_margin
    (100.0, 110.0, 120.0)
    """
    with localcontext(MONEY_CONTEXT):
        if position.margin_mode == "fully_collateralised":
            return _fully_collateralised(position, parameters)
        is_isolated = position.margin_mode == "isolated"
        legs = (_leg(position, parameters, side) for side in (1, -1))
        funding = (
            exact(position.quantity)
            * exact(position.funding_payment_per_unit)
            * exact(parameters.margin_funding_factor)
        )
        required = max(legs) + max(funding, Decimal(0))
        maintenance = exact_to_tick(required, parameters.amount_tick, "up")
        search, initial, release = (
            _level(maintenance, factor, parameters.amount_tick)
            for factor in (
                parameters.search_factor,
                parameters.initial_factor,
                parameters.release_factor,
            )
        )
        return MarginLevels(
            maintenance_margin=float(maintenance),
            search_level=0.0 if is_isolated else float(search),
            initial_margin=float(initial),
            release_level=0.0 if is_isolated else float(release),
            order_margin=_order_margin(position, parameters) if is_isolated else 0.0,
        )


def _leg(position: LevelPosition, parameters: MarginLevelParameters, side: int) -> Decimal:
    """Return what one side of the position requires with the orders of that side."""
    mark = exact(position.mark_price)
    size = max(side * exact(position.quantity), Decimal(0))
    linear = exact(parameters.linear_slippage_factor)
    quadratic = exact(parameters.quadratic_slippage_factor)
    factor = exact(parameters.risk_factor_long if side > 0 else parameters.risk_factor_short)
    held = mark * (linear * size + quadratic * size * size) + mark * size * factor
    return held + factor * _order_exposure(position, side)


def _order_exposure(position: LevelPosition, side: int) -> Decimal:
    if position.margin_mode == "isolated":
        return Decimal(0)
    orders = list(_of_side(position.open_orders, side))
    size = sum((abs(exact(each.quantity)) for each in orders), start=Decimal(0))
    if not position.in_auction:
        return size * exact(position.mark_price)
    own = sum(
        (abs(exact(each.quantity)) * _price(each, position) for each in orders), start=Decimal(0)
    )
    auction_price = position.auction_price
    return own if auction_price is None else max(own, size * exact(auction_price))


def _order_margin(position: LevelPosition, parameters: MarginLevelParameters) -> float:
    """Return the margin of isolated orders that do not reduce the position."""
    factor = _needed(parameters.isolated_margin_factor, "isolated_margin_factor")
    exposure = max(_opening_exposure(position, side) for side in (1, -1))
    return float(exact_to_tick(factor * exposure, parameters.amount_tick, "down"))


def _opening_exposure(position: LevelPosition, side: int) -> Decimal:
    # Orders that meet the market first reduce the position first: the highest bid, lowest offer.
    orders = sorted(
        _of_side(position.open_orders, side), key=lambda order: -side * _price(order, position)
    )
    reducing = max(-side * exact(position.quantity), Decimal(0))
    exposure = Decimal(0)
    for order in orders:
        size = abs(exact(order.quantity))
        covered = min(size, reducing)
        reducing -= covered
        price = _price(order, position)
        if position.in_auction and position.auction_price is not None:
            price = max(price, exact(position.auction_price))
        exposure += (size - covered) * price
    return exposure


def _fully_collateralised(
    position: LevelPosition, parameters: MarginLevelParameters
) -> MarginLevels:
    price_max = _needed(parameters.price_max, "price_max")
    mark, quantity = exact(position.mark_price), exact(position.quantity)
    prices = [position.mark_price, *(each.limit_price for each in position.open_orders)]
    for price in prices:
        if price is None or exact(price) > price_max:
            found = "no limit price" if price is None else f"price {price}"
            raise ModelInputError(
                f"a fully collateralised position has an order or mark with {found}, limit <= "
                f"price_max {price_max}",
                value=price,
                limit=f"<= {price_max}",
            )
    held = quantity * mark if quantity > 0 else -quantity * (price_max - mark)
    of_orders = []
    for side in (1, -1):
        orders = list(_of_side(position.open_orders, side))
        size = sum((abs(exact(each.quantity)) for each in orders), start=Decimal(0))
        worth = sum(
            (abs(exact(each.quantity)) * _price(each, position) for each in orders),
            start=Decimal(0),
        )
        average = worth / size if size else Decimal(0)
        average = exact_to_tick(average, parameters.price_tick, "down")
        of_orders.append(size * (average if side > 0 else price_max - average))
    level = float(exact_to_tick(held + max(of_orders), parameters.amount_tick, "up"))
    return MarginLevels(
        maintenance_margin=level,
        search_level=level,
        initial_margin=level,
        release_level=level,
        order_margin=0.0,
    )


def _level(maintenance: Decimal, factor: float, amount_tick: float) -> Decimal:
    truncated = exact_to_tick(exact(factor), _FACTOR_TICK, "down")
    return exact_to_tick(maintenance * truncated, amount_tick, "down")


def _of_side(orders: Iterable[OpenOrder], side: int) -> Iterable[OpenOrder]:
    return (order for order in orders if order.quantity * side > 0.0)


def _price(order: OpenOrder, position: LevelPosition) -> Decimal:
    price = order.limit_price
    return exact(position.mark_price if price is None else price)


def _needed(value: float | None, name: str) -> Decimal:
    if value is None:
        raise ModelInputError(f"{name} is absent, needed by the margin mode", identifier=name)
    return exact(value)
