"""Bands of utilisation that are watched, and which netting sets may have left theirs.

Two filters: triggers, which cost a tick nothing for who is far from its level, then the bound of
those that have been passed.
"""

from __future__ import annotations

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.errors import ModelInputError
from engine.intraday.bookkeeping import Bookkeeping
from engine.intraday.exact import Terms
from engine.intraday.figures import LiveFigures
from engine.intraday.live_market import LiveMarket, Moved
from engine.intraday.movement import LEVEL_MAX, Movement
from engine.intraday.screening import Screen, distances, exposures_of, position_exposures
from engine.intraday.triggers import Triggers
from engine.requirements import ASSESSED
from engine.rules import RuleBook


class Watch:
    """Who may have passed a level since their figures were last computed.

    Attributes
    ----------
    low, high : Float64Array1D, shape (n_netting_sets,)
        Band of utilisation inside which nothing is to be decided; NaN where nobody has said.
    """

    def __init__(
        self, live: LiveMarket, book: Bookkeeping, terms: Terms, rules: RuleBook, has_venues: bool
    ) -> None:
        n = book.layout.n_netting_sets
        self._live, self._book, self._terms, self._rules = live, book, terms, rules
        self._has_venues = has_venues
        agreements = [rules.agreements[str(name)] for name in terms.netting_set_id]
        self._threshold = np.array([one.threshold for one in agreements])
        self._independent = np.array([one.independent_amount for one in agreements])
        self.low, self.high = np.full(n, np.nan), np.full(n, np.nan)
        self._distance: Float64Array1D = np.full(n, -1.0)
        self._is_laid_out: BoolArray1D = np.ones(n, dtype=np.bool_)
        self._unbound: Int64Array1D | None = None
        self.rebuild()

    def rebuild(self) -> None:
        """Lay exposures out anew; the figures of all netting sets are of now."""
        self._movement = Movement(self._live, self._rules.house)
        book, market = self._book, self._live.prepared
        flat, has_pledge = position_exposures(book.layout, market, self._movement.scale)
        exposures = exposures_of(flat, self._pledged(), has_pledge)
        self._screen = Screen(exposures, market, self._rules.house)
        self._triggers = Triggers(len(self._distance), len(market.assets))
        self._is_laid_out[:] = True
        self._unbound = None

    def set(self, rows: Int64Array1D, low: Float64Array1D, high: Float64Array1D) -> None:
        """Store the bands of ``rows``.

        Raises
        ------
        ModelInputError
            If a band is empty or reaches beyond what the bounds are made for.
        """
        bad = np.flatnonzero(~((low >= 0.0) & (low < high) & (high <= LEVEL_MAX)))
        if len(bad):
            name = str(self._terms.netting_set_id[rows[bad[0]]])
            raise ModelInputError(
                f"band of {name} is {low[bad[0]]} to {high[bad[0]]}, limit 0 <= low < high <= "
                f"{LEVEL_MAX:g}",
                identifier=name,
                limit=f"<= {LEVEL_MAX:g}",
            )
        self.low[rows], self.high[rows] = low, high

    def follow(self, moved: Moved) -> None:
        """Take in what moved."""
        movement = self._movement
        before = movement.travelled.copy()
        movement.follow(moved.instrument, moved.asset)
        self._triggers.follow(np.flatnonzero(movement.travelled > before), movement.travelled)
        far = movement.far()
        if len(far):
            self._screen.rebased(far, movement)
            movement.rebase(far)

    def changed(self, rows: Int64Array1D) -> None:
        """Note netting sets whose holdings have changed: no bound holds until they are laid out."""
        self._is_laid_out[rows] = False
        self._unbound = None

    def looked_at(self, figures: LiveFigures) -> None:
        """Note the figures of now, and how far they are from the ends of their bands."""
        rows, terms = figures.row, self._terms
        self._screen.looked_at(rows, self._movement)
        fx_rate = self._live.prepared.usd_rate[terms.currency_row[rows]]
        found = distances(
            figures.owed,
            figures.cover,
            (self._threshold[rows], self._independent[rows]),
            (self.low[rows], self.high[rows]),
        )
        is_bound = (figures.status == ASSESSED) & ~self._book.trust.is_distrusted[rows]
        if self._has_venues:
            is_bound &= ~terms.takes_larger[rows]
        self._distance[rows] = np.where(is_bound & (found > 0.0), found * fx_rate, -1.0)
        self._triggers.heat(rows)
        self._unbound = None

    def is_inside(self, rows: Int64Array1D) -> BoolArray1D:
        """Return which netting sets were inside their band when they were last looked at."""
        found: BoolArray1D = self._distance[rows] > 0.0
        return found

    def may_have_left(self) -> Int64Array1D:
        """Return the netting sets that may have left their band, if anything of theirs moved."""
        if not self._screen.is_sound:
            return np.arange(len(self._distance))
        if self._unbound is None:
            self._unbound = np.flatnonzero((self._distance <= 0.0) | ~self._is_laid_out)
        if self._triggers.is_due:
            self._lay_out_triggers()
        hot = self._triggers.hot()
        hot = hot[(self._distance[hot] > 0.0) & self._is_laid_out[hot]]
        left = hot[~(self._screen.bounds(self._movement, hot) < self._distance[hot])]
        return np.union1d(left, self._unbound).astype(np.int64)

    def _lay_out_triggers(self) -> None:
        rows = np.flatnonzero((self._distance > 0.0) & self._is_laid_out)
        asset, row, at, near = self._screen.triggers(self._movement, rows, self._distance[rows])
        self._triggers.lay_out(asset, row, at, hot=near)

    def _pledged(self) -> Float64Array1D:
        """Return what moves with the USD rate of each asset, by netting set, flat. [USD]

        Collateral, the settled side of unsettled positions, and allowances of the agreements.
        """
        market, holdings = self._live.prepared, self._book.holdings
        n_assets, n_sets = len(market.assets), len(self._distance)
        rate = np.nan_to_num(self._movement.reference_rate)
        asset, quantity, owner, limits = self._book.pledges.laid_out(self._limit_by_asset())
        known = asset >= 0
        weight = LEVEL_MAX * (1.0 + limits[owner[known]]) + 1.0
        found = np.bincount(
            owner[known] * n_assets + asset[known],
            weights=weight * quantity[known] * rate[asset[known]],
            minlength=n_sets * n_assets,
        ).astype(np.float64)
        table, one = holdings.positions, self._live.instruments
        known = table["instrument"] < market.n_instruments
        instrument, owner = table["instrument"][known], table["owner"][known]
        price = table["settled_price"][known]
        usable = np.isfinite(price) & (price > 0.0)
        price = np.where(usable, price, 1.0)
        units = np.where(self._live.is_reciprocal[instrument], 1.0 / price, price)
        size = np.abs(table["quantity"][known]) * one.contract_multiplier[instrument] * units
        asset = self._settlement_rows()[instrument]
        np.add.at(found, owner * n_assets + asset, LEVEL_MAX * size * rate[asset])
        allowance = LEVEL_MAX * (self._threshold + self._independent)
        at = np.arange(n_sets) * n_assets + self._terms.currency_row
        found[at] += allowance * rate[self._terms.currency_row]
        return found

    def _limit_by_asset(self) -> Float64Array1D:
        terms, names = self._rules.house.collateral, self._live.prepared.assets
        known = (terms.get(name) for name in names)
        return np.array([0.0 if one is None else one.concentration_limit for one in known])

    def _settlement_rows(self) -> Int64Array1D:
        row_of = {asset: row for row, asset in enumerate(self._live.prepared.assets)}
        names = self._live.instruments.settlement_asset
        return np.array([row_of[str(name)] for name in names], dtype=np.int64)
