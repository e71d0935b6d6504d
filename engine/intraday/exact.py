"""Requirements of chosen netting sets, put together as ``engine.assess.combine`` does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.assessment import COMPONENT_COLUMNS
from engine.binding import venue_columns
from engine.collateral.valuation import value_collateral
from engine.decisions import with_calls
from engine.intraday.layout import Layout
from engine.intraday.live_market import LiveMarket
from engine.intraday.running import Running
from engine.kernels.tail import nested_expected_shortfall
from engine.margin.book_figures import BookFigures, LegFigures, figures_of
from engine.margin.book_margins import book_margins, governing_books
from engine.market import PreparedMarket
from engine.requirements import (
    ASSESSED,
    FAILED,
    HELD,
    GoverningMargins,
    margin_components,
    requirement_frame,
)
from engine.rules import Hold, HouseParameters, RuleBook
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


@dataclass(frozen=True, slots=True, eq=False)
class Fresh:
    """Last fresh requirement of each netting set and what it is multiplied by while held."""

    requirement: Float64Array1D
    factor: Float64Array1D


def fresh_of(
    last_fresh: LastFresh, names: tuple[str, ...], hold: Hold, business_date: date
) -> Fresh:
    """Return the last fresh requirements in the order of ``names``; NaN without one."""
    known = last_fresh.requirements.set_index("netting_set_id")
    requirement = known["requirement"].reindex(list(names)).to_numpy(dtype=np.float64)
    dates = known["business_date"].reindex(list(names)).to_numpy()
    age = (np.datetime64(business_date, "D") - dates.astype("datetime64[D]")).astype(np.float64)
    days = np.maximum(np.nan_to_num(age) - 1.0, 0.0)
    return Fresh(requirement, 1.0 + hold.add_on + hold.add_on_per_day * days)


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What requirements are put together from, beside the margins."""

    terms: Terms
    layout: Layout
    running: Running
    rules: RuleBook
    last_fresh: LastFresh
    business_date: date
    fresh: Fresh

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
    live: LiveMarket,
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
    market, rules = live.prepared, standing.rules
    sets = standing.sets(chosen, market)
    governing, components = governing_margins(standing, live, chosen)
    frame = requirement_frame(
        sets,
        GoverningMargins(book=governing, components=components),
        rules,
        standing.last_fresh,
        standing.business_date,
    )
    rates = market.known_rates
    valued = value_collateral(holdings, rates, rules, rates)
    fx_rate = sets["fx_rate"].to_numpy(dtype=np.float64)
    venue = None if demanded is None else venue_columns(frame, demanded, fx_rate, rules)
    return with_calls(frame, valued, sets["has_break"], rules, venue)


def governing_margins(
    standing: Standing, live: LiveMarket, chosen: Int64Array1D
) -> tuple[tuple[str, ...], dict[str, Float64Array1D]]:
    """Return name and margins of the governing book of each chosen netting set. [USD]"""
    names = np.full(len(chosen), "", dtype=object)
    margins: dict[str, Float64Array1D] = {}
    for places, governing, components in _governing(standing, live, chosen):
        labels = np.array(standing.layout.book_names(chosen[places]), dtype=object)
        names[places] = labels[governing]
        for name, values in components.items():
            margins.setdefault(name, np.zeros(len(chosen)))[places] = values
    return tuple(names.tolist()), margins


def _governing(
    standing: Standing, live: LiveMarket, chosen: Int64Array1D
) -> Iterator[tuple[Int64Array1D, Int64Array1D, dict[str, Float64Array1D]]]:
    """Yield places in ``chosen``, their governing books among theirs, and the margins of these."""
    market, layout, house = live.prepared, standing.layout, standing.rules.house
    of_base, changed = layout.split(chosen)
    if len(of_base):
        groups, owner = layout.groups_of(chosen[of_base])
        legs, books = standing.running.figures(groups)
        yield of_base, *_margins(market, house, (legs, books), owner, len(of_base))
    if len(changed):
        n_tail = tail_sizes(standing.terms.confidence, market.scenarios.n_historical)
        block = layout.block_of_changed(chosen[changed], n_tail, house)
        k_max = int(np.ceil(block.n_tail.max(initial=1.0)))
        tail = nested_expected_shortfall(live.tiled, block.rows, block.n_tail, k_max)
        figures = figures_of(market, block.rows, block.leg_asset, tail)
        yield changed, *_margins(market, house, figures, block.group_netting_set, len(changed))


def _margins(
    market: PreparedMarket,
    house: HouseParameters,
    figures: tuple[LegFigures, BookFigures],
    owner: Int64Array1D,
    n_sets: int,
) -> tuple[Int64Array1D, dict[str, Float64Array1D]]:
    margins = book_margins(market, house, *figures)
    governing = governing_books(margins.total, owner, n_sets)
    components = margin_components(margins, house)
    return governing, {name: values[governing] for name, values in components.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Requirements:
    """What the house requires of chosen netting sets, in the agreement's currency."""

    requirement: Float64Array1D
    status: ObjectArray1D
    reason: ObjectArray1D


def required(standing: Standing, live: LiveMarket, chosen: Int64Array1D) -> Requirements:
    """Return what ``engine.requirements.requirement_frame`` finds, without a frame."""
    market, layout = live.prepared, standing.layout
    fx_rate = market.usd_rate[standing.terms.currency_row[chosen]]
    usable = np.zeros(len(chosen))
    for places, _, components in _governing(standing, live, chosen):
        summed = np.zeros(len(places))
        for name in COMPONENT_COLUMNS:
            if name in components:
                part = components[name] / fx_rate[places]
                summed = summed + np.where(np.isnan(part), 0.0, part)
        usable[places] = summed
    hold, failure = layout.hold[chosen], layout.failure[chosen].copy()
    is_held = hold != ""
    held_at = np.maximum(standing.fresh.requirement[chosen], np.nan_to_num(usable))
    held_at = np.where(
        np.isfinite(standing.fresh.requirement[chosen]), held_at * standing.fresh.factor[chosen],
        np.nan,
    )  # fmt: skip
    for place in np.flatnonzero(is_held & ~np.isfinite(held_at) & (failure == "")).tolist():
        failure[place] = f"{hold[place]}; no earlier fresh requirement to hold it at"
    is_failed = failure != ""
    is_held = is_held & ~is_failed
    owed = np.where(is_held, held_at, usable)
    return Requirements(
        requirement=np.where(is_failed, np.nan, owed),
        status=np.where(is_failed, FAILED, np.where(is_held, HELD, ASSESSED)).astype(object),
        reason=np.where(is_failed, failure, np.where(is_held, hold, "")).astype(object),
    )
