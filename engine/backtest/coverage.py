"""Coverage of linear books over some days: what was required against what was then lost.

The horizon is one day for every asset, so that losses do not overlap and the counting tests apply.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pandas as pd

from engine.backtest.books import CoverageBook
from engine.backtest.panel import StudyFrames, panel_of
from engine.backtest.walk_forward import Variant, WalkStudy, over_one_day, testable, walk
from engine.rules import MPOR_DAYS_MAX, HouseParameters

COVERAGE_COLUMNS = (
    "date", "book", "value_at_risk", "core_margin", "requirement", "loss", "n_assets",
)  # fmt: skip


def coverage(
    closes: pd.DataFrame,
    books: Sequence[CoverageBook],
    house: HouseParameters,
    dates: Sequence[date],
    *,
    confidence: float,
) -> pd.DataFrame:
    """Return margin and next-day loss of each book on each date.

    Parameters
    ----------
    closes : pandas.DataFrame
        Contract ``price_history``; rows after a date are not seen by that date's margin.
    books : sequence of CoverageBook
        Books; an asset without a close on the date or on the next one is left out of that day.
    house : HouseParameters
        Parameters; the MPOR is set to one day and liquidity to nothing, which a price history
        cannot test. Stress scenarios count from the day on which they could be known.
    dates : sequence of date
        Business dates to margin.
    confidence : float
        Confidence of the expected shortfall. [-]

    Returns
    -------
    pandas.DataFrame
        Columns ``COVERAGE_COLUMNS``; see ``walk_forward.Walk``. [USD]
    """
    held = {asset for book in books for asset in book.notional}
    panel = panel_of(frames_of(closes), factors_of(held, closes, house))
    variant = Variant("one day", testable(over_one_day(house)), confidence)
    study = WalkStudy(panel, tuple(book.as_study_book() for book in books), (variant,))
    return walk(study, dates).days[list(COVERAGE_COLUMNS)]


def frames_of(closes: pd.DataFrame) -> StudyFrames:
    """Return the frames of a study of closes alone."""
    none = pd.DataFrame({"date": pd.Series([], dtype="datetime64[ms]"), "asset": []})
    return StudyFrames(
        closes=closes,
        volatility=none.assign(atm_iv_30d=[]),
        basis=none.assign(annual_basis=[]),
        pairs=none.assign(spot=[], perpetual=[]),
    )


def factors_of(held: set[str], closes: pd.DataFrame, house: HouseParameters) -> tuple[str, ...]:
    """Return what margining ``held`` needs: the proxy, and stablecoins that stand in for others.

    As at a close, these are the ones that are collateral and have closes.
    """
    known = set(closes["asset"].astype(str)) & set(house.collateral)
    pegged = {asset for asset in house.pegged_assets if asset in known}
    return tuple(sorted({*held, *pegged, "USD", house.proxy.asset}))


def first_testable_date(closes: pd.DataFrame, house: HouseParameters) -> date:
    """Return the first date with enough history of the proxy asset to make scenarios from."""
    own = closes.loc[closes["asset"] == house.proxy.asset, "date"].sort_values()
    n_needed = house.filter.minimum_history_days + MPOR_DAYS_MAX
    day: date = own.iloc[min(n_needed, len(own) - 1)].date()
    return day
