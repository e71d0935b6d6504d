"""Books that a back-test margins: constant USD exposure, rebalanced at every close."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

LegKind: TypeAlias = Literal[
    "spot", "venue_spot", "perpetual", "inverse_perpetual", "straddle", "collateral"
]

# What each kind is to the rule book's margin periods of risk.
PRODUCT: Final[Mapping[LegKind, str]] = {
    "spot": "spot",
    "venue_spot": "spot",
    "perpetual": "perpetual",
    "inverse_perpetual": "perpetual",
    "straddle": "option",
    "collateral": "spot",
}
# Kinds whose value depends on more than the index: they need volatility levels and bases.
CURVE_KINDS: Final = ("perpetual", "inverse_perpetual", "straddle")
STRADDLE_DAYS: Final = 30.0
# Of fewer coins a basket is not diversified.
BASKET_MIN: Final = 5


@dataclass(frozen=True, slots=True)
class StudyLeg:
    """One holding of a book.

    ``spot`` is a linear holding valued at the index; ``venue_spot`` the same at one venue's own
    price, ``perpetual`` that venue's linear perpetual; ``inverse_perpetual`` is settled in the
    coin; ``straddle`` a call and a put at the money with 30 days to go, settled in the coin;
    ``collateral`` is pledged, not traded.
    """

    asset: str
    kind: LegKind
    notional: float
    """Signed exposure; of a straddle, that of its call. [USD]"""


@dataclass(frozen=True, slots=True)
class StudyBook:
    """A book and the group it is reported under."""

    name: str
    family: str
    legs: tuple[StudyLeg, ...]
    assets_min: int = 1
    """Tested only on days on which as many assets have a price; legs without one are left out."""
    is_constant: bool = False
    """Whether those left share out the exposure of the others, each side its own."""

    @property
    def assets(self) -> tuple[str, ...]:
        """Return the assets held, each once."""
        return tuple(sorted({leg.asset for leg in self.legs}))

    @property
    def needs_curves(self) -> bool:
        """Return whether a leg moves with a volatility level or a basis."""
        return any(leg.kind in CURVE_KINDS for leg in self.legs)


@dataclass(frozen=True, slots=True)
class CoverageBook:
    """A book of linear exposure, the same USD amount per asset at every close."""

    name: str
    notional: Mapping[str, float]
    """Signed exposure by asset. [USD]"""

    def as_study_book(self) -> StudyBook:
        """Return the book as legs on the index."""
        legs = tuple(StudyLeg(asset, "spot", n) for asset, n in sorted(self.notional.items()))
        return StudyBook(self.name, "book", legs)


def asset_books(assets: Sequence[str], notional: float) -> tuple[StudyBook, ...]:
    """Return a long and a short book of each asset."""
    return tuple(
        StudyBook(f"{asset} {side}", "asset", (StudyLeg(asset, "spot", sign * notional),))
        for asset in assets
        for side, sign in (("long", 1.0), ("short", -1.0))
    )


@dataclass(frozen=True, slots=True)
class Universe:
    """Which assets the portfolios are made of."""

    majors: tuple[str, ...]
    minors: tuple[str, ...]
    pegged: tuple[str, ...]
    paired: tuple[str, ...]
    """Assets with spot and perpetual closes of one venue."""
    optioned: tuple[str, ...]
    """Assets with a history of 30-day volatility."""


def portfolio_books(universe: Universe, notional: float) -> tuple[StudyBook, ...]:
    """Return the portfolios that the universe has data for.

    Directional: the majors in equal parts. Basket: every coin in equal parts, of those that are
    listed. Spread: the second major against the first; dispersion: minors against majors, as much
    on either side. Carry: venue spot against its perpetual. Coin-margined: an inverse perpetual
    with half its notional pledged in the coin. Option seller: a straddle sold. Stablecoin: the coin
    held or owed.
    """
    majors, coins = universe.majors, (*universe.majors, *universe.minors)
    books: list[StudyBook] = []
    if len(majors) > 1:
        pair = (StudyLeg(majors[1], "spot", notional), StudyLeg(majors[0], "spot", -notional))
        books += _both_ways("directional", "directional", _parts(majors, notional), len(majors))
        books += _both_ways(f"{majors[1]} against {majors[0]}", "spread", pair, 2)
    if len(coins) > BASKET_MIN:
        legs = _parts(coins, notional)
        books += _both_ways("basket", "diversified", legs, BASKET_MIN, is_constant=True)
    if majors and len(universe.minors) >= BASKET_MIN:
        legs = (*_parts(universe.minors, notional), *_parts(majors, -notional))
        books += _both_ways(
            "minors against majors", "spread", legs, BASKET_MIN, is_constant=True
        )  # fmt: skip
    for asset in universe.paired:
        legs = (StudyLeg(asset, "venue_spot", notional), StudyLeg(asset, "perpetual", -notional))
        books += _both_ways(f"{asset} carry", "carry", legs, 1)
    for asset in majors:
        legs = (
            StudyLeg(asset, "inverse_perpetual", notional),
            StudyLeg(asset, "collateral", notional / 2.0),
        )
        books.append(StudyBook(f"{asset} coin-margined long", "coin-margined", legs))
    for asset in universe.optioned:
        legs = (StudyLeg(asset, "straddle", -notional),)
        books.append(StudyBook(f"{asset} straddle sold", "option seller", legs))
    for asset in universe.pegged:
        books += _both_ways(asset, "stablecoin", (StudyLeg(asset, "spot", notional),), 1)
    return tuple(books)


def _parts(assets: Sequence[str], notional: float) -> tuple[StudyLeg, ...]:
    return tuple(StudyLeg(asset, "spot", notional / len(assets)) for asset in assets)


def _both_ways(
    name: str,
    family: str,
    legs: tuple[StudyLeg, ...],
    assets_min: int,
    *,
    is_constant: bool = False,
) -> list[StudyBook]:
    turned = tuple(StudyLeg(leg.asset, leg.kind, -leg.notional) for leg in legs)
    return [
        StudyBook(f"{name} long", family, legs, assets_min, is_constant),
        StudyBook(f"{name} short", family, turned, assets_min, is_constant),
    ]
