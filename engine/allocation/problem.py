"""What is held where, what has to be covered, and the rails between: the input of a plan.

All figures are exact decimals. Values are in one currency, US dollars; quantities in units of
their asset. ``owner`` keeps clients apart: a holding covers only needs of its own owner, and the
house's own holdings, owner ``HOUSE``, cover any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final

from engine.errors import ModelInputError, ParameterError

HOUSE: Final = "house"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """Price, smallest unit and what it costs to tie the asset up.

    Attributes
    ----------
    price : Decimal
        Mark. [USD per unit]
    scale : int
        Decimals of the minor unit.
    use_cost : Decimal
        Cost of having the asset posted instead of at hand, as a fraction of its value, >= 0. [-]
    """

    price: Decimal
    scale: int
    use_cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Units at a place that are free to leave, of which ``buffer`` stays there."""

    place: str
    asset: str
    owner: str
    quantity: Decimal
    buffer: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Collateral value that a place must receive. [USD after haircut]

    ``within`` is the time left: a rail that settles later does not help. Lower ``priority`` is
    covered first where there is not enough for all.
    """

    need_id: str
    owner: str
    place: str
    amount: Decimal
    within: timedelta
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """At what haircut a need takes an asset, and how much more of it. [USD after haircut]"""

    haircut: Decimal
    value_max: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rail:
    """A route between two places for one asset.

    Attributes
    ----------
    fee : Decimal
        Taken from each transfer, whatever its size. [asset]
    fee_rate : Decimal
        Taken in proportion, in [0, 1). [-]
    quantity_min, quantity_max : Decimal
        Limits of one transfer; no upper limit if None. [asset]
    settles_within : timedelta
        Longest time until the destination counts it.
    """

    fee: Decimal = Decimal(0)
    fee_rate: Decimal = Decimal(0)
    quantity_min: Decimal = Decimal(0)
    quantity_max: Decimal | None = None
    settles_within: timedelta = timedelta(0)


RailKey = tuple[str, str, str]
"""Source place, destination place, asset."""


@dataclass(frozen=True, slots=True, order=True)
class Way:
    """A holding, by its number, that may cover a need, by its number, over a rail."""

    need: int
    holding: int


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is to be covered, with what, at what cost.

    Attributes
    ----------
    acceptance : mapping of (place, asset) to Acceptance
        What each place accepts; what is absent is not accepted there.
    rails : mapping of (source, destination, asset) to Rail
        What is absent cannot be sent.
    """

    assets: Mapping[str, Asset]
    holdings: tuple[Holding, ...]
    needs: tuple[Need, ...]
    acceptance: Mapping[tuple[str, str], Acceptance]
    rails: Mapping[RailKey, Rail]

    def __post_init__(self) -> None:
        for name, asset in self.assets.items():
            _require(asset.price > 0, f"price of {name}", asset.price, "> 0")
            _require(asset.use_cost >= 0, f"use cost of {name}", asset.use_cost, ">= 0")
        for (place, name), terms in self.acceptance.items():
            _require(
                0 <= terms.haircut < 1, f"haircut of {name} at {place}", terms.haircut, "[0, 1)"
            )
        for (source, destination, name), rail in self.rails.items():
            route = f"{name} from {source} to {destination}"
            _require(0 <= rail.fee_rate < 1, f"fee rate of {route}", rail.fee_rate, "[0, 1)")
            _require(rail.fee >= 0, f"fee of {route}", rail.fee, ">= 0")
        for holding in self.holdings:
            _require(
                holding.asset in self.assets, f"asset of {holding.place}", holding.asset, "known"
            )
            _require(holding.quantity >= 0, f"holding at {holding.place}", holding.quantity, ">= 0")
        for need in self.needs:
            _require(need.amount > 0, f"need {need.need_id}", need.amount, "> 0")
        if len({need.need_id for need in self.needs}) != len(self.needs):
            raise ModelInputError("two needs have the same name")

    @cached_property
    def ways(self) -> tuple[Way, ...]:
        """Return every holding that may cover a need in time, sorted."""
        by_route: dict[tuple[str, str], list[int]] = {}
        for number, holding in enumerate(self.holdings):
            by_route.setdefault((holding.owner, holding.asset), []).append(number)
        found = (
            Way(position, number)
            for position, need in enumerate(self.needs)
            for (owner, asset), numbers in by_route.items()
            if owner in (need.owner, HOUSE) and (need.place, asset) in self.acceptance
            for number in numbers
            if self._is_open(need, self.holdings[number])
        )
        return tuple(sorted(found))

    def rail(self, way: Way) -> Rail:
        """Return the rail of a way."""
        holding = self.holdings[way.holding]
        return self.rails[holding.place, self.needs[way.need].place, holding.asset]

    def terms(self, way: Way) -> Acceptance:
        """Return at what haircut the need takes the holding's asset."""
        return self.acceptance[self.needs[way.need].place, self.holdings[way.holding].asset]

    def asset(self, way: Way) -> Asset:
        """Return the asset of a way."""
        return self.assets[self.holdings[way.holding].asset]

    def free(self) -> Iterator[Decimal]:
        """Yield what each holding can give: quantity less buffer, never below zero. [asset]"""
        for holding in self.holdings:
            yield max(holding.quantity - holding.buffer, Decimal(0))

    def _is_open(self, need: Need, holding: Holding) -> bool:
        rail = self.rails.get((holding.place, need.place, holding.asset))
        return (
            rail is not None
            and holding.place != need.place
            and rail.settles_within <= need.within
            and holding.quantity > holding.buffer
        )


def _require(is_met: bool, what: str, value: object, limit: str) -> None:
    if not is_met:
        raise ParameterError(
            f"{what} is {value}, limit is {limit}", identifier=what, value=value, limit=limit
        )
