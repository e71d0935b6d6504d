"""Bands of utilisation that are watched, and which netting sets may have left theirs."""

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
from engine.requirements import ASSESSED
from engine.rules import RuleBook
from engine.settlement.variation import is_quoted_in_reciprocal


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
        self.rebuild()

    def rebuild(self) -> None:
        """Lay exposures out anew; the figures of all netting sets are of now."""
        self._movement = Movement(self._live, self._rules.house)
        book, market = self._book, self._live.prepared
        flat, has_pledge = position_exposures(book.layout, market, self._movement.scale)
        exposures = exposures_of(flat, self._pledged(), has_pledge)
        self._screen = Screen(exposures, market, self._rules.house)
        self._is_laid_out[:] = True

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
        self._movement.follow(moved.instrument, moved.asset)
        far = self._movement.far()
        if len(far):
            self._screen.rebased(far, self._movement)
            self._movement.rebase(far)

    def changed(self, rows: Int64Array1D) -> None:
        """Note netting sets whose holdings have changed: no bound holds until they are laid out."""
        self._is_laid_out[rows] = False

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

    def may_have_left(self) -> BoolArray1D:
        """Return for each netting set whether it may have left its band, if anything moved."""
        if not self._screen.is_sound:
            return np.ones(len(self._distance), dtype=np.bool_)
        left: BoolArray1D = ~(self._screen.bounds(self._movement) < self._distance)
        return left | ~self._is_laid_out

    def _pledged(self) -> Float64Array1D:
        """Return what moves with the USD rate of each asset, by netting set, flat. [USD]

        Collateral, the settled side of unsettled positions, and allowances of the agreements.
        """
        market, holdings = self._live.prepared, self._book.holdings
        n_assets, n_sets = len(market.assets), len(self._distance)
        rate = np.nan_to_num(self._movement.reference_rate)
        found = np.zeros(n_sets * n_assets)
        for row, held in enumerate(self._book.pledges.of(n) for n in range(n_sets)):
            known = held.asset >= 0
            limits = self._limits(held.group_asset)
            weight = LEVEL_MAX * (1.0 + limits) + 1.0
            at = row * n_assets + held.asset[known]
            np.add.at(found, at, weight * held.quantity[known] * rate[held.asset[known]])
        table, one = holdings.positions, self._live.instruments
        known = table["instrument"] < market.n_instruments
        instrument, owner = table["instrument"][known], table["owner"][known]
        price = table["settled_price"][known]
        usable = np.isfinite(price) & (price > 0.0)
        price = np.where(usable, price, 1.0)
        kind, payoff = one.kind[instrument], one.payoff[instrument]
        units = np.where(is_quoted_in_reciprocal(kind, payoff), 1.0 / price, price)
        size = np.abs(table["quantity"][known]) * one.contract_multiplier[instrument] * units
        asset = self._settlement_rows()[instrument]
        np.add.at(found, owner * n_assets + asset, LEVEL_MAX * size * rate[asset])
        allowance = LEVEL_MAX * (self._threshold + self._independent)
        at = np.arange(n_sets) * n_assets + self._terms.currency_row
        found[at] += allowance * rate[self._terms.currency_row]
        return found

    def _limits(self, assets: Int64Array1D) -> float:
        terms, names = self._rules.house.collateral, self._live.prepared.assets
        known = [terms.get(names[row]) for row in assets.tolist() if row >= 0]
        return float(sum(one.concentration_limit for one in known if one is not None))

    def _settlement_rows(self) -> Int64Array1D:
        row_of = {asset: row for row, asset in enumerate(self._live.prepared.assets)}
        names = self._live.instruments.settlement_asset
        return np.array([row_of[str(name)] for name in names], dtype=np.int64)
