"""Rule-based margin of single options without offsets (Deribit standard margin and its family)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D
from engine.errors import ModelInputError, ParameterError
from engine.limits import STRICT, Fraction

__all__ = [
    "StandardOptionMargin",
    "StandardOptionParameters",
    "StandardOptionPositions",
    "standard_option_margin",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardOptionParameters:
    """Rates of the short-option formulas.

    Attributes
    ----------
    rule : {"mark_floor_put", "mark_floor_all"}
        Which options have their maintenance floored at a fraction of the mark, and their initial
        margin at maintenance: puts (Deribit, BIT), or all (Bybit).
    initial_margin_rate, initial_margin_rate_min : float, optional
        Fraction of the underlying less what is out of the money, and its floor; both or neither,
        without them there is no initial margin. [-]
    maintenance_margin_rate : float
        Fraction of the underlying. [-]
    liquidation_fee_rate : float
        Fraction of the underlying added to maintenance. [-]

    Raises
    ------
    ParameterError
        If an initial rate has no floor.
    """

    __pydantic_config__ = STRICT
    rule: Literal["mark_floor_put", "mark_floor_all"]
    initial_margin_rate: Fraction | None = None
    initial_margin_rate_min: Fraction | None = None
    maintenance_margin_rate: Fraction
    liquidation_fee_rate: Fraction = 0.0

    def __post_init__(self) -> None:
        if self.initial_margin_rate is not None and self.initial_margin_rate_min is None:
            raise ParameterError(
                f"initial_margin_rate is {self.initial_margin_rate} without "
                "initial_margin_rate_min, limit: both or neither",
                identifier="initial_margin_rate_min",
                value=None,
                limit="needed with initial_margin_rate",
            )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StandardOptionPositions:
    """Option positions of any number of accounts, as arrays of one row each.

    Attributes
    ----------
    is_call, is_inverse : BoolArray1D
        Call, else put; paid in the coin, else in the quote currency.
    underlying_price, strike_price : Float64Array1D
        Above zero. [quote currency]
    quantity : Float64Array1D
        Signed contracts, long > 0.
    mark_price : Float64Array1D
        Of the option, per unit, not negative. [settlement currency]
    contract_multiplier : Float64Array1D
        Units per contract, above zero.
    """

    is_call: BoolArray1D
    is_inverse: BoolArray1D
    underlying_price: Float64Array1D
    strike_price: Float64Array1D
    quantity: Float64Array1D
    mark_price: Float64Array1D
    contract_multiplier: Float64Array1D


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StandardOptionMargin:
    """Margin of each position, >= 0 and zero for long ones, in settlement currency, not rounded.

    Attributes
    ----------
    out_of_the_money : Float64Array1D
        Per unit; zero for long positions.
    maintenance_margin : Float64Array1D
    initial_margin : Float64Array1D, optional
        Where the parameters have a rate.
    """

    out_of_the_money: Float64Array1D
    maintenance_margin: Float64Array1D
    initial_margin: Float64Array1D | None


def standard_option_margin(
    positions: StandardOptionPositions, parameters: StandardOptionParameters
) -> StandardOptionMargin:
    """Return the margin of each option by itself [1]_; only short positions need any.

    With U the underlying price (1 coin if inverse), m the mark and OTM what the option is out of
    the money, per unit::

        maintenance = max(maintenance rate * U, f) + m + liquidation fee rate * U
        initial     = max(initial rate * U - OTM, floor rate * U) + m

    Where the rule floors an option at its mark, f is ``maintenance rate * m`` and initial margin
    is never below maintenance. An account's margin is the sum over its positions.

    Raises
    ------
    ModelInputError
        If a number is not finite or out of its limits.

    References
    ----------
    .. [1] Deribit margin requirements, https://doc.tslab.pro; the same formulas at
       https://helpcenter.bit.com/hc/en-us/articles/11039704681753 (coin) and Bybit,
       https://bybit.nl help 000001546, 4 Dec 2023. Evidence: published examples.
    """
    _require_usable(positions)
    price, strike, mark = positions.underlying_price, positions.strike_price, positions.mark_price
    is_short = positions.quantity < 0.0
    per_unit = np.where(positions.is_inverse, price, 1.0)
    underlying = np.where(positions.is_inverse, 1.0, price)
    distance = np.where(positions.is_call, strike - price, price - strike) / per_unit
    out_of_the_money = np.maximum(distance, 0.0)
    is_floored = ~positions.is_call | (parameters.rule == "mark_floor_all")
    rate = parameters.maintenance_margin_rate
    maintenance = (
        np.maximum(rate * underlying, np.where(is_floored, rate * mark, 0.0))
        + mark
        + parameters.liquidation_fee_rate * underlying
    )
    units = np.where(is_short, -positions.quantity * positions.contract_multiplier, 0.0)
    initial: Float64Array1D | None = None
    if parameters.initial_margin_rate is not None:
        floor = (parameters.initial_margin_rate_min or 0.0) * underlying
        needed = parameters.initial_margin_rate * underlying - out_of_the_money
        raw = np.maximum(needed, floor) + mark
        initial = np.where(is_floored, np.maximum(raw, maintenance), raw) * units
    return StandardOptionMargin(
        out_of_the_money=np.where(is_short, out_of_the_money, 0.0),
        maintenance_margin=maintenance * units,
        initial_margin=initial,
    )


def _require_usable(positions: StandardOptionPositions) -> None:
    limits = {
        "underlying_price": "> 0",
        "strike_price": "> 0",
        "contract_multiplier": "> 0",
        "mark_price": ">= 0",
        "quantity": "finite",
    }
    for name, limit in limits.items():
        values: Float64Array1D = getattr(positions, name)
        fits = np.isfinite(values)
        if limit == "> 0":
            fits &= values > 0.0
        elif limit == ">= 0":
            fits &= values >= 0.0
        if not fits.all():
            row = int(np.flatnonzero(~fits)[0])
            raise ModelInputError(
                f"{name} of position {row} is {values[row]}, limit {limit}",
                identifier=f"{name}[{row}]",
                value=float(values[row]),
                limit=limit,
            )
