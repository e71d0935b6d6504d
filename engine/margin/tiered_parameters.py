"""Parameters of futures and perpetuals whose margin rates grow with size: three published rules.

Each class is one rule of the model ``tiered``, as venues publish it and the rule book keeps it.
Field names are those of the venues' conformance vectors; rates are fractions of notional.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Annotated, Final, Literal, TypeAlias

from annotated_types import Ge, Gt, Le, MinLen

from engine.errors import ParameterError
from engine.money import MONEY_CONTEXT, exact

Fraction = Annotated[float, Ge(0.0), Le(1.0)]
NonNegative = Annotated[float, Ge(0.0)]
Positive = Annotated[float, Gt(0.0)]
_STRICT = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One tier (venues: bracket, risk limit) of ``NotionalTiers``.

    Attributes
    ----------
    notional_floor : float
        Lower bound; a notional equal to it still belongs to the tier below. [settlement currency]
    maintenance_margin_rate : float, optional
        Marginal rate; where absent, ``1 / (2 * leverage_max)`` if that is given. [-]
    initial_margin_rate : float, optional
        Marginal rate. [-]
    leverage_max : float, optional
        Largest leverage that an account may choose in this tier. [-]
    """

    __pydantic_config__ = _STRICT
    notional_floor: NonNegative
    maintenance_margin_rate: Fraction | None = None
    initial_margin_rate: Fraction | None = None
    leverage_max: Positive | None = None

    def maintenance_rate(self) -> Decimal | None:
        """Return the maintenance rate that applies, exactly; None where the tier has none."""
        if self.maintenance_margin_rate is not None:
            return exact(self.maintenance_margin_rate)
        if self.leverage_max is None:
            return None
        return MONEY_CONTEXT.divide(Decimal(1), 2 * exact(self.leverage_max))

    def initial_rate(self) -> Decimal | None:
        """Return the marginal initial rate, exactly; None where the tier has none."""
        return None if self.initial_margin_rate is None else exact(self.initial_margin_rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotionalTiers:
    """Rates by notional, marginal (Binance, Bybit, Hyperliquid, margin loans) or whole (OKX).

    Attributes
    ----------
    tiers : tuple of Tier
        Ascending floors, the first is 0. Maintenance rates in all tiers or in none, and likewise
        initial rates: a gap would read as a rate of 0.
    amount_tick : float, optional
        Margins are rounded up to it. [settlement currency]
    rate_applies : {"marginal", "whole"}
        To the part of the notional in each tier, or the last tier's to all of it: margin then
        jumps at the floors.
    notional_max : float, optional
        Largest position that the venue admits; a larger one has the last tier's rates.
        [settlement currency]
    rule : {"notional_tiers"}
        Tells the rules apart in documents.

    Raises
    ------
    ParameterError
        If the floors are not as described, only some tiers have a rate, or the largest position
        is below the last floor.
    """

    __pydantic_config__ = _STRICT
    tiers: Annotated[tuple[Tier, ...], MinLen(1)]
    amount_tick: Positive | None = None
    rate_applies: Literal["marginal", "whole"] = "marginal"
    notional_max: Positive | None = None
    rule: Literal["notional_tiers"] = "notional_tiers"

    def __post_init__(self) -> None:
        if not self.tiers or self.tiers[0].notional_floor != 0.0:
            found = self.tiers[0].notional_floor if self.tiers else "no tier"
            raise ParameterError(f"tiers start at notional_floor 0, found {found}", value=found)
        for lower, upper in itertools.pairwise(self.tiers):
            if not upper.notional_floor > lower.notional_floor:
                raise ParameterError(
                    f"notional floors increase, found {upper.notional_floor} after "
                    f"{lower.notional_floor}",
                    value=upper.notional_floor,
                    limit=f"> {lower.notional_floor}",
                )
        _require_all_or_none(self.tiers, "maintenance")
        _require_all_or_none(self.tiers, "initial")
        last = self.tiers[-1].notional_floor
        if self.notional_max is not None and not self.notional_max > last:
            raise ParameterError(
                f"notional_max is {self.notional_max}, limit > {last}, the last floor",
                value=self.notional_max,
                limit=f"> {last}",
            )

    def maintenance_rates(self) -> tuple[float, ...]:
        """Return the maintenance rate of each tier; empty where the tiers have none."""
        return tuple(float(rate) for rate in _rates(self.tiers, "maintenance"))

    def maintenance_deductions(self) -> tuple[float, ...]:
        """Return what each tier deducts from rate x notional; empty without rates."""
        return self._deductions(_rates(self.tiers, "maintenance"))

    def initial_rates(self) -> tuple[float, ...]:
        """Return the marginal initial rate of each tier; empty where the tiers have none."""
        return tuple(float(rate) for rate in _rates(self.tiers, "initial"))

    def initial_deductions(self) -> tuple[float, ...]:
        """Return what each tier deducts from initial rate x notional; empty without rates."""
        return self._deductions(_rates(self.tiers, "initial"))

    def _deductions(self, rates: list[Decimal]) -> tuple[float, ...]:
        if self.rate_applies == "whole":
            return (0.0,) * len(rates)
        return _deductions(self.tiers, rates)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeSlope:
    """Rates that rise in a straight line with size (Deribit standard futures, BigONE).

    ``rate + rate_slope_per_unit * max(size - size_threshold, 0)`` for both rates, where size is
    the notional in coin of an inverse contract, and units of underlying of a linear one.

    Attributes
    ----------
    initial_margin_rate, maintenance_margin_rate : float
        Base rates. [-]
    rate_slope_per_unit : float
        Added to both rates per unit of size. [1/unit]
    size_threshold : float
        Size below which no slope applies. [unit]
    amount_tick : float, optional
        Margins are rounded up to it. [settlement currency]
    rule : {"size_slope"}
        Tells the rules apart in documents.
    """

    __pydantic_config__ = _STRICT
    initial_margin_rate: Fraction
    maintenance_margin_rate: Fraction
    rate_slope_per_unit: NonNegative
    size_threshold: NonNegative = 0.0
    amount_tick: Positive | None = None
    rule: Literal["size_slope"] = "size_slope"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInterestScaled:
    """Initial rate that rises to 1 with the open interest of the market (dYdX v4).

    Attributes
    ----------
    initial_margin_rate : float
        Base rate; the maintenance rate is its ``maintenance_fraction`` and is not scaled. [-]
    maintenance_fraction : float
        Maintenance rate over base initial rate. [-]
    open_interest_lower_cap, open_interest_upper_cap : float
        Values of the open interest where the scaling starts and where the rate reaches 1; equal
        caps switch the scaling off. [quote currency]
    rate_tick : float, optional
        Both rates are rounded down to it. [-]
    amount_tick : float, optional
        Margins are rounded up to it. [settlement currency]
    rule : {"open_interest_scaled"}
        Tells the rules apart in documents.

    Raises
    ------
    ParameterError
        If the lower cap is above the upper one.
    """

    __pydantic_config__ = _STRICT
    initial_margin_rate: Fraction
    maintenance_fraction: Fraction
    open_interest_lower_cap: NonNegative = 0.0
    open_interest_upper_cap: NonNegative = 0.0
    rate_tick: Positive | None = None
    amount_tick: Positive | None = None
    rule: Literal["open_interest_scaled"] = "open_interest_scaled"

    def __post_init__(self) -> None:
        if self.open_interest_lower_cap > self.open_interest_upper_cap:
            raise ParameterError(
                f"open_interest_lower_cap is {self.open_interest_lower_cap}, limit <= "
                f"open_interest_upper_cap {self.open_interest_upper_cap}",
                value=self.open_interest_lower_cap,
                limit=f"<= {self.open_interest_upper_cap}",
            )

    @property
    def is_scaled(self) -> bool:
        """Whether the initial rate depends on the open interest."""
        return self.open_interest_lower_cap != self.open_interest_upper_cap


TieredParameters: TypeAlias = NotionalTiers | SizeSlope | OpenInterestScaled
TIERED_RULES: Final[Mapping[str, type[TieredParameters]]] = {
    "notional_tiers": NotionalTiers,
    "size_slope": SizeSlope,
    "open_interest_scaled": OpenInterestScaled,
}
"""Parameter class by the word in a document's ``rule``."""


def _rates(tiers: tuple[Tier, ...], kind: Literal["maintenance", "initial"]) -> list[Decimal]:
    found = [
        each.maintenance_rate() if kind == "maintenance" else each.initial_rate() for each in tiers
    ]
    return [rate for rate in found if rate is not None]


def _require_all_or_none(tiers: tuple[Tier, ...], kind: Literal["maintenance", "initial"]) -> None:
    n_rates = len(_rates(tiers, kind))
    if n_rates not in (0, len(tiers)):
        raise ParameterError(
            f"{n_rates} of {len(tiers)} tiers have an {kind} rate; all need one, or none"
            if kind == "initial"
            else f"{n_rates} of {len(tiers)} tiers have a maintenance rate (or a leverage_max to "
            "take it from); all need one, or none",
            value=n_rates,
            limit=f"0 or {len(tiers)}",
        )


def _deductions(tiers: tuple[Tier, ...], rates: list[Decimal]) -> tuple[float, ...]:
    """Return the deductions of marginal rates, from exact decimals as venues publish them.

    In binary, 50,000 x (0.005 - 0.004) is no longer the 50 of the published table.
    """
    deduction, found = Decimal(0), [0.0][: len(rates)]
    with localcontext(MONEY_CONTEXT):
        for tier, (lower, upper) in zip(tiers[1:], itertools.pairwise(rates), strict=False):
            deduction += exact(tier.notional_floor) * (upper - lower)
            found.append(float(deduction))
    return tuple(found)
