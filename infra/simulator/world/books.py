"""A broker's book over any market: positions, collateral, open orders and agreements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.errors import MissingDataError, ParameterError
from infra.simulator.world.breaks import (
    BALANCE_BREAK,
    POSITION_BREAKS,
    Broken,
    Plan,
    break_balances,
    break_positions,
    plan_breaks,
)
from infra.simulator.world.clients import Population, populate, venue_sets
from infra.simulator.world.collateral import (
    agree,
    call_bases,
    collateral_frame,
    moved_back,
    post_collateral,
)
from infra.simulator.world.holdings import Holdings, first_holdings, next_holdings, quantity_of
from infra.simulator.world.orders import open_orders
from infra.simulator.world.positions import positions_frame
from infra.simulator.world.risk_estimate import Exposure, requirement_estimate
from infra.simulator.world.streams import stream
from infra.simulator.world.styles import STYLES, feasibility
from infra.simulator.world.tradables import BookMarket, Tradables, tradables, usd_rates

POSITION_COLUMNS = (
    "business_date", "source", "account_id", "instrument_id", "client_id", "netting_set_id",
    "venue", "quantity", "settled_price", "observed_utc",
)  # fmt: skip
COLLATERAL_COLUMNS = (
    "business_date", "source", "netting_set_id", "location", "asset", "state", "client_id",
    "quantity", "observed_utc",
)  # fmt: skip


VenueDemand = Callable[[pd.DataFrame, pd.DataFrame], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class BookShape:
    """How full a book is and how often its three sources disagree."""

    n_positions_mean: int = 25
    """Positions of a netting set, on average over the styles."""
    break_share: float = 0.015
    """Share of netting sets whose books of the last date differ. [-]"""
    venue_demand: VenueDemand | None = None
    """What the venues demand of positions and orders by netting set, where it is known: collateral
    then covers it as well. [USD]"""


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """Frames of the contracts of the same name, and what was planted in them.

    Attributes
    ----------
    positions, collateral, open_orders, agreements : pandas.DataFrame
        Sorted by their keys.
    breaks : pandas.DataFrame
        business_date, netting_set_id, kind, source, account_id, item: planted differences.
    styles : pandas.DataFrame
        netting_set_id, client_id, style.
    gross_notional_usd : float
        Sum of absolute notionals on the last date. [USD]
    """

    positions: pd.DataFrame
    collateral: pd.DataFrame
    open_orders: pd.DataFrame
    agreements: pd.DataFrame
    breaks: pd.DataFrame
    styles: pd.DataFrame
    gross_notional_usd: float


def generate_book(
    market: BookMarket,
    n_netting_sets: int,
    seed: int,
    business_dates: Sequence[date],
    shape: BookShape | None = None,
) -> Book:
    """Return a book over ``market`` on consecutive business dates.

    Styles that the market cannot serve (no options, no second venue) are left out and the others
    take their clients. Equal arguments give equal frames.

    Parameters
    ----------
    market : BookMarket
        Marks, index prices and rates of every business date, and of the date before if known.
    n_netting_sets : int
        At least one.
    seed : int
        Not negative.
    business_dates : sequence of datetime.date
        Ascending.
    shape : BookShape, optional

    Raises
    ------
    ParameterError
        If there is no business date, or they are not ascending, or no netting set is asked for.
    MissingDataError
        If a date has no usable mark at all, or the market serves no style.
    """
    dates, shape = list(business_dates), shape or BookShape()
    if not dates or dates != sorted(set(dates)) or n_netting_sets < 1:
        raise ParameterError(
            f"a book needs ascending business dates and a netting set, found {dates} and "
            f"{n_netting_sets}"
        )
    tables = [tradables(market, day) for day in dates]
    population = _population(tables[0], n_netting_sets, seed)
    holdings = _holdings(market, tables, population, seed, shape)
    last, rng = tables[-1], stream(seed, "collateral")
    rates = usd_rates(market, last.business_date)
    orders = [
        open_orders(population, t, h, stream(seed, f"orders {t.business_date}"))
        for t, h in zip(tables, holdings, strict=True)
    ]
    held = _exposure(last, holdings[-1])
    requirement = requirement_estimate(market, last, held, orders[-1].exposure, n_netting_sets)
    if shape.venue_demand is not None:
        stated = positions_frame(population, last, holdings[-1])
        demand = shape.venue_demand(stated, orders[-1].frame)
        requirement = _with_demand(population, requirement, demand)
    terms = agree(population, requirement, rates, pd.Timestamp(dates[0]), rng)
    posted = post_collateral(population, terms, rates, rng)
    plan = plan_breaks(
        _names(population, holdings[-1].owner),
        _names(population, holdings[-1].owner[_traded(holdings[-1])]),
        shape.break_share,
        stream(seed, "break plan"),
    )
    positions = _by_date(
        [positions_frame(population, t, h) for t, h in zip(tables, holdings, strict=True)],
        tables, plan, seed, "position",
    )  # fmt: skip
    statements = [moved_back(posted, rng) for _ in tables[:-1]] + [posted]
    collateral = _by_date(
        [collateral_frame(p, t) for p, t in zip(statements, tables, strict=True)],
        tables, plan, seed, "balance",
    )  # fmt: skip
    return Book(
        positions=_canonical(positions.frame, POSITION_COLUMNS, 4),
        collateral=_canonical(collateral.frame, COLLATERAL_COLUMNS, 6),
        open_orders=pd.concat([item.frame for item in orders], ignore_index=True),
        agreements=terms.frame.sort_values(["netting_set_id", "effective_date"], ignore_index=True),
        breaks=pd.concat([positions.planted, collateral.planted], ignore_index=True),
        styles=_styles(population),
        gross_notional_usd=_gross(last, held),
    )


def _with_demand(
    population: Population, requirement: Float64Array1D, demand: Mapping[str, float]
) -> Float64Array1D:
    """Return the larger side where the agreement will call for it."""
    names = [str(name) for name in population.netting_set_id]
    asked = np.array([demand.get(name, 0.0) for name in names])
    counts = np.array([basis == "larger" for basis in call_bases(population.netting_set_id)])
    larger: Float64Array1D = np.where(counts, np.maximum(requirement, asked), requirement)
    return larger


def _population(table: Tradables, n_netting_sets: int, seed: int) -> Population:
    possible = feasibility(table, venue_sets(table.venues))
    if not possible.any():
        raise MissingDataError(
            f"the market of {table.business_date} serves no style of trading: it needs tradable "
            "perpetuals, futures, spot or options",
            identifier=str(table.business_date),
        )
    weights = np.array([style.weight for style in STYLES])
    return populate(n_netting_sets, table.venues, weights, possible, stream(seed, "population"))


def _holdings(
    market: BookMarket,
    tables: Sequence[Tradables],
    population: Population,
    seed: int,
    shape: BookShape,
) -> list[Holdings]:
    first = tables[0]
    before = _marks_before(market, first)
    rng = stream(seed, f"holdings {first.business_date}")
    found = [first_holdings(population, first, before, shape.n_positions_mean, rng)]
    for previous, table in pairwise(tables):
        rng = stream(seed, f"holdings {table.business_date}")
        found.append(next_holdings(population, found[-1], table, previous.mark, rng))
    return found


def _marks_before(market: BookMarket, table: Tradables) -> Float64Array1D:
    day = pd.Timestamp(table.business_date - timedelta(days=1))
    rows = market.marks[market.marks["business_date"] == day]
    known = dict(zip(rows["instrument_id"].astype(str), rows["mark_price"], strict=True))
    marks = np.array([known.get(str(name), np.nan) for name in table.instrument_id])
    result: Float64Array1D = np.where(marks > 0.0, marks, np.nan)
    return result


def _by_date(
    frames: Sequence[pd.DataFrame], tables: Sequence[Tradables], plan: Plan, seed: int, scope: str
) -> Broken:
    """Plant the breaks of the last date, and the aged ones in the same rows of the date before."""
    kinds = POSITION_BREAKS if scope == "position" else (BALANCE_BREAK,)
    plant = break_positions if scope == "position" else break_balances
    chosen = plan.of_kinds(*kinds)
    rng = stream(seed, f"breaks {scope}")
    last = plant(frames[-1], chosen, rng)
    broken = [last]
    for frame in reversed(frames[:-1]):
        aged = {name: kind for name, kind in chosen.items() if name in plan.aged}
        broken.insert(0, plant(frame, aged, rng, broken[0].planted))
    dated = [
        item.planted.assign(business_date=pd.Timestamp(table.business_date))
        for item, table in zip(broken, tables, strict=True)
    ]
    return Broken(
        frame=pd.concat([item.frame for item in broken], ignore_index=True),
        planted=pd.concat(dated, ignore_index=True),
    )


def _canonical(frame: pd.DataFrame, columns: Sequence[str], n_key: int) -> pd.DataFrame:
    text = [name for name in columns if frame[name].dtype == object]
    ordered = frame[list(columns)].astype(dict.fromkeys(text, "str"))
    return ordered.sort_values(list(columns[:n_key]), ignore_index=True)


def _names(population: Population, owner: Int64Array1D) -> list[str]:
    return sorted(str(population.netting_set_id[o]) for o in np.unique(owner))


def _traded(holdings: Holdings) -> BoolArray1D:
    traded: BoolArray1D = (holdings.lots != holdings.lots_before) & (holdings.lots_before != 0)
    return traded


def _styles(population: Population) -> pd.DataFrame:
    names = np.array([style.name for style in STYLES], dtype=object)
    frame = pd.DataFrame(
        {
            "netting_set_id": population.netting_set_id,
            "client_id": population.client_id,
            "style": names[population.style],
        },
        dtype="str",
    )
    return frame.sort_values("netting_set_id", ignore_index=True)


def _exposure(table: Tradables, holdings: Holdings) -> Exposure:
    quantity = quantity_of(table, holdings.instrument, holdings.lots)
    return Exposure(holdings.owner, holdings.instrument, quantity)


def _gross(table: Tradables, exposure: Exposure) -> float:
    notional = np.abs(exposure.quantity) * table.unit_notional[exposure.instrument]
    return float(np.nansum(notional))
