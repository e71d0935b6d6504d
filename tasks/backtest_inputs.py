"""What a back-test is made from: history, books and parameters of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final

import pandas as pd

from data_contracts.registry import contract
from data_contracts.validation import validate
from engine.backtest.books import StudyBook, Universe, asset_books, portfolio_books
from engine.backtest.coverage import factors_of, first_testable_date
from engine.backtest.panel import Panel, StudyFrames, panel_of
from engine.errors import MissingDataError
from engine.rules import HouseParameters
from infra.db import RunHandle
from infra.market.pairs import venue_pairs
from infra.market.source import MarketSource, open_source
from tasks.coverage_days import closes_of
from tasks.rule_books import current_rules
from tasks.workplace import workplace

NOTIONAL_USD: Final = 1_000_000.0
# Both sides of crypto: what most clients hold, and two coins that lost everything.
STANDARD_ASSETS: Final = (
    "BTC", "ETH", "SOL", "BNB", "XRP", "LTC", "ADA", "DOGE", "LINK", "LUNA", "FTT", "USDT", "USDC",
)  # fmt: skip
# Of a market without any of these, as many as have the longest history.
ASSETS_MAX: Final = 10
# The books that parameters are varied on: index exposure alone, majors and all, either way.
STUDIED_BOOKS: Final = (
    "BTC long", "BTC short", "ETH long", "directional long", "basket long", "basket short",
    "minors against majors long",
)  # fmt: skip
# Portfolios made of index exposure alone.
INDEX_FAMILIES: Final = ("asset", "directional", "diversified", "spread")


@dataclass(frozen=True, slots=True, eq=False)
class StudyInputs:
    """History, books, parameters and dates of a run."""

    frames: StudyFrames
    panel: Panel
    house: HouseParameters
    books: tuple[StudyBook, ...]
    dates: tuple[date, ...]

    @property
    def studied(self) -> tuple[StudyBook, ...]:
        """Return the books on which parameters are varied; the first ones where none is there."""
        chosen = tuple(book for book in self.books if book.name in STUDIED_BOOKS)
        return chosen or self.scored[:4]

    @property
    def scored(self) -> tuple[StudyBook, ...]:
        """Return the books on whose forecasts filters are chosen."""
        return tuple(book for book in self.books if book.family in INDEX_FAMILIES)

    @property
    def notional(self) -> dict[str, float]:
        """Return the gross exposure of each book, without its collateral. [USD]"""
        return {
            book.name: sum(abs(leg.notional) for leg in book.legs if leg.kind != "collateral")
            for book in self.books
        }


def parameters_hash(business_date: date) -> str:
    """Return the hash of the house parameters in force on the date."""
    text = current_rules(workplace(), business_date).house.text
    return hashlib.sha256(text.encode()).hexdigest()


def study_inputs(run: RunHandle) -> StudyInputs:
    """Return the inputs of a run, read once per process.

    Raises
    ------
    MissingDataError
        If the market has no close of an asset, or none to test.
    """
    given: dict[str, Any] = dict(run.inputs)
    return _study_inputs(
        str(given["market"]), run.business_date, tuple(given["assets"]), str(given["first"])
    )


@lru_cache(maxsize=2)
def _study_inputs(market: str, last: date, assets: tuple[str, ...], first: str) -> StudyInputs:
    house = current_rules(workplace(), last).house.parameters()
    source = open_source(market)
    history = _price_history(source, last)
    names = _assets(history, house, assets, market)
    closes = closes_of(history, set(names), house, extremes=True)
    frames = StudyFrames(
        closes=closes,
        volatility=_accepted(source, "volatility_history", last),
        basis=_accepted(source, "basis_history", last),
        pairs=_up_to(venue_pairs(market), last),
    )
    panel = panel_of(frames, factors_of(set(names), closes, house))
    start = date.fromisoformat(first) if first else first_testable_date(closes, house)
    end = min(last, closes["date"].max().date())
    return StudyInputs(
        frames=frames,
        panel=panel,
        house=house,
        books=_books(names, panel, house),
        dates=tuple(start + timedelta(days=k) for k in range((end - start).days + 1)),
    )


def _assets(
    history: pd.DataFrame, house: HouseParameters, given: Sequence[str], market: str
) -> tuple[str, ...]:
    counts = history.groupby("asset", sort=True)["date"].count()
    known = {str(asset) for asset in counts.index}
    missing = sorted(set(given) - known)
    if missing:
        raise MissingDataError(
            f"{market} has no close of {', '.join(missing)}", identifier=", ".join(missing)
        )
    if given:
        return tuple(given)
    standard = tuple(asset for asset in STANDARD_ASSETS if asset in known)
    if any(asset not in house.pegged_assets for asset in standard[1:]):
        return standard
    longest = counts.sort_values(ascending=False, kind="stable").index.astype(str)
    return tuple(longest[:ASSETS_MAX])


def _books(names: Sequence[str], panel: Panel, house: HouseParameters) -> tuple[StudyBook, ...]:
    coins = tuple(name for name in names if name not in house.pegged_assets)
    majors = tuple(name for name in coins if name in house.mpor.major_assets)
    universe = Universe(
        majors=majors,
        minors=tuple(name for name in coins if name not in majors),
        pegged=tuple(name for name in names if name in house.pegged_assets and name != "USD"),
        paired=tuple(name for name in coins if _has(panel.perpetual, panel, name)),
        optioned=tuple(name for name in coins if _has(panel.level, panel, name)),
    )
    return (*asset_books(coins, NOTIONAL_USD), *portfolio_books(universe, NOTIONAL_USD))


def _has(values: Any, panel: Panel, asset: str) -> bool:
    column = values[:, panel.column_of(asset)]
    return bool((column == column).sum() >= 2)


def _price_history(source: MarketSource, last: date) -> pd.DataFrame:
    """Return the accepted closes of all years: a close needs eleven, a back-test every one."""
    parts: list[pd.DataFrame] = []
    day: date | None = last
    while day is not None:
        accepted = _accepted(source, "price_history", day)
        parts.append(accepted)
        oldest: date = accepted["date"].min().date()
        # Windows overlap in their first day; where it is all that is left, history has ended.
        day = oldest if oldest < day else None
    return pd.concat(parts).drop_duplicates(["date", "asset"]).reset_index(drop=True)


def _accepted(source: MarketSource, dataset: str, last: date) -> pd.DataFrame:
    raw = source.read(dataset, last)
    found = validate(contract(dataset), raw.frame, last)
    if found.refusal is not None:
        raise MissingDataError(found.refusal)
    return found.accepted


def _up_to(frame: pd.DataFrame, last: date) -> pd.DataFrame:
    return frame[frame["date"] <= pd.Timestamp(last)].reset_index(drop=True)
