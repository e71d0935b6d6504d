"""Requirements of chosen netting sets, put together as ``engine.assess.combine`` does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.binding import venue_columns
from engine.collateral.valuation import value_collateral
from engine.decisions import with_calls
from engine.intraday.layout import Layout
from engine.kernels.tail import nested_expected_shortfall
from engine.margin.block import Block
from engine.margin.book_figures import figures_of
from engine.margin.book_margins import book_margins, governing_books
from engine.market import PreparedMarket
from engine.requirements import GoverningMargins, margin_components, requirement_frame
from engine.rules import RuleBook
from engine.snapshot import LastFresh


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What agreements say, by netting set."""

    netting_set_id: ObjectArray1D
    client_id: ObjectArray1D
    currency: ObjectArray1D
    confidence: Float64Array1D
    currency_row: Int64Array1D
    """Row of the currency among the market's assets."""
    takes_larger: BoolArray1D


def terms_of(names: tuple[str, ...], rules: RuleBook, market: PreparedMarket) -> Terms:
    """Return the terms of all netting sets."""
    agreements = [rules.agreements[name] for name in names]
    row_of = {asset: row for row, asset in enumerate(market.assets)}
    return Terms(
        netting_set_id=np.array(names, dtype=object),
        client_id=np.array([one.client_id for one in agreements], dtype=object),
        currency=np.array([one.currency for one in agreements], dtype=object),
        confidence=np.array([one.confidence for one in agreements], dtype=np.float64),
        currency_row=np.array([row_of[one.currency] for one in agreements], dtype=np.int64),
        takes_larger=np.array([one.call_basis == "larger" for one in agreements], dtype=np.bool_),
    )


def tail_sizes(confidence: Float64Array1D, n_historical: int) -> Float64Array1D:
    """Return the scenarios in the tail of each netting set, as ``engine.margin.block`` does."""
    sizes: Float64Array1D = np.maximum(np.round((1.0 - confidence) * n_historical, 9), 1.0)
    return sizes


def governing_of(
    market: PreparedMarket, block: Block, labels: tuple[str, ...], rules: RuleBook
) -> GoverningMargins:
    """Return the margins of the governing book of each netting set of ``block``. [USD]"""
    k_max = int(np.ceil(block.n_tail.max(initial=1.0)))
    tail = nested_expected_shortfall(market.historical, block.rows, block.n_tail, k_max)
    legs, books = figures_of(market, block.rows, block.leg_asset, tail)
    margins = book_margins(market, rules.house, legs, books)
    governing = governing_books(margins.total, block.group_netting_set, block.n_netting_sets)
    components = margin_components(margins, rules.house)
    return GoverningMargins(
        book=tuple(labels[book] for book in governing.tolist()),
        components={name: values[governing] for name, values in components.items()},
    )


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What requirements are put together from, beside the margins."""

    terms: Terms
    layout: Layout
    rules: RuleBook
    last_fresh: LastFresh
    business_date: date

    def sets(self, chosen: Int64Array1D, market: PreparedMarket) -> pd.DataFrame:
        """Return ``Portfolio.netting_sets`` of the chosen ones."""
        terms, layout = self.terms, self.layout
        rates = market.usd_rate[terms.currency_row[chosen]]
        texts = ("netting_set_id", "client_id", "currency", "failure", "hold")
        return pd.DataFrame(
            {
                "netting_set_id": terms.netting_set_id[chosen],
                "client_id": terms.client_id[chosen],
                "currency": terms.currency[chosen],
                "confidence": terms.confidence[chosen],
                "fx_rate": rates,
                "failure": layout.failure[chosen],
                "hold": layout.hold[chosen],
                "n_positions": layout.n_positions[chosen],
                "has_break": layout.has_break[chosen],
            }
        ).astype(dict.fromkeys(texts, "str"))


def requirements_of(
    standing: Standing,
    market: PreparedMarket,
    chosen: Int64Array1D,
    holdings: pd.DataFrame,
    demanded: pd.DataFrame | None,
) -> pd.DataFrame:
    """Return ``Assessment.requirements`` of the chosen netting sets, ascending.

    Parameters
    ----------
    holdings : pandas.DataFrame
        Confirmed collateral of the chosen netting sets.
    demanded : pandas.DataFrame or None
        ``VenueMargins.margins`` of their accounts; None where no venue account is known at all.
    """
    rules = standing.rules
    sets = standing.sets(chosen, market)
    n_tail = tail_sizes(standing.terms.confidence, market.scenarios.n_historical)
    block, labels = standing.layout.block(chosen, n_tail, rules.house)
    governing = governing_of(market, block, labels, rules)
    frame = requirement_frame(sets, governing, rules, standing.last_fresh, standing.business_date)
    rates = market.known_rates
    valued = value_collateral(holdings, rates, rules, rates)
    fx_rate = sets["fx_rate"].to_numpy(dtype=np.float64)
    venue = None if demanded is None else venue_columns(frame, demanded, fx_rate, rules)
    return with_calls(frame, valued, sets["has_break"], rules, venue)
