"""Coverage of the house model over history: what was required against what was then lost.

Every day is margined as that day's close would have been, from prices up to that day alone, by the
same code as the close; the loss of the next day is then compared with it. The horizon is one day
for every asset, so that losses do not overlap and the counting tests apply.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D
from engine.ids import SnapshotId
from engine.kernels.tail import NETTED, STANDALONE, LegRows, aggregate_rows
from engine.margin.block import Block
from engine.margin.filtered_historical import margin_block
from engine.market import PreparedMarket, prepare
from engine.rules import MPOR_DAYS_MAX, HouseParameters, RuleBook
from engine.scenarios.history import usd_closes
from engine.snapshot import Snapshot
from engine.times import close_of

COVERAGE_COLUMNS = (
    "date", "book", "value_at_risk", "core_margin", "requirement", "loss", "n_assets",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CoverageBook:
    """A book rebalanced to the same USD exposure per asset at every close."""

    name: str
    notional: Mapping[str, float]
    """Signed exposure by asset. [USD]"""


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
        cannot test.
    dates : sequence of date
        Business dates to margin.
    confidence : float
        Confidence of the expected shortfall. [-]

    Returns
    -------
    pandas.DataFrame
        Columns ``COVERAGE_COLUMNS``. ``value_at_risk`` is the quantile of the filtered scenarios at
        ``confidence`` without the long-run floor, the figure whose exceptions can be counted
        against ``1 - confidence``; ``core_margin`` is the expected shortfall with the floor and the
        capped offset; ``requirement`` adds the other tools and the gap add-on. [USD]
    """
    daily = _one_day(house)
    in_usd = usd_closes(closes)
    wide = in_usd.pivot(index="date", columns="asset", values="close").sort_index()
    rows = []
    for business_date in dates:
        rows += _day(in_usd, wide, books, daily, business_date, confidence)
    return pd.DataFrame(rows, columns=list(COVERAGE_COLUMNS))


def _one_day(house: HouseParameters) -> HouseParameters:
    return replace(
        house,
        mpor=replace(house.mpor, spot=1, extra_days_minor=0),
        liquidity=replace(house.liquidity, impact_coefficient=0.0, spread_default=0.0),
    )


def _without_floor(house: HouseParameters) -> HouseParameters:
    tools = replace(house.anti_procyclicality, long_run_floor=False)
    return replace(house, anti_procyclicality=tools)


def _day(
    closes: pd.DataFrame,
    wide: pd.DataFrame,
    books: Sequence[CoverageBook],
    house: HouseParameters,
    business_date: date,
    confidence: float,
) -> list[dict[str, object]]:
    today, tomorrow = pd.Timestamp(business_date), pd.Timestamp(business_date) + pd.Timedelta("1D")
    if today not in wide.index or tomorrow not in wide.index:
        return []
    prices, later = _prices(wide, today), _prices(wide, tomorrow)
    held = {
        book.name: {a: n for a, n in book.notional.items() if a in prices and a in later}
        for book in books
    }
    held = {name: exposure for name, exposure in held.items() if exposure}
    if not held:
        return []
    margins = _margins(closes, prices, held, house, business_date, confidence)
    return [
        {
            "date": today,
            "book": name,
            "value_at_risk": margins[name].value_at_risk,
            "core_margin": margins[name].core_margin,
            "requirement": margins[name].requirement,
            "loss": -sum(n * (later[a] / prices[a] - 1.0) for a, n in sorted(exposure.items())),
            "n_assets": len(exposure),
        }
        for name, exposure in sorted(held.items())
    ]


def _prices(wide: pd.DataFrame, day: pd.Timestamp) -> dict[str, float]:
    """Return the closes of one day, without assets that have none."""
    values = wide.loc[[day]].to_numpy(dtype=np.float64)[0]
    return {
        str(asset): float(value)
        for asset, value in zip(wide.columns, values, strict=True)
        if np.isfinite(value)
    }


def _margins(
    closes: pd.DataFrame,
    prices: Mapping[str, float],
    held: Mapping[str, Mapping[str, float]],
    house: HouseParameters,
    business_date: date,
    confidence: float,
) -> dict[str, _Margins]:
    assets = sorted({asset for exposure in held.values() for asset in exposure})
    snapshot = _snapshot(closes, prices, assets, business_date)
    rules = RuleBook(rule_book_hash="coverage", house=house, agreements={})
    market = prepare(snapshot, rules)
    unfloored = prepare(snapshot, replace(rules, house=_without_floor(house)))
    block = _block(market, held, prices, house, confidence)
    of, quantile = margin_block(market, block).margins, _value_at_risk(unfloored, block)
    return {
        name: _Margins(
            value_at_risk=float(quantile[group]),
            core_margin=float(of.core[group] + of.offset[group]),
            requirement=float(of.total[group]),
        )
        for group, name in enumerate(sorted(held))
    }


def _block(
    market: PreparedMarket,
    held: Mapping[str, Mapping[str, float]],
    prices: Mapping[str, float],
    house: HouseParameters,
    confidence: float,
) -> Block:
    """Return the books as one block: a netting set each, a leg per asset, nothing pledged."""
    row_of = {str(name): row for row, name in enumerate(market.instrument_id)}
    legs = [
        (group, row_of[f"history:{asset}"], notional / prices[asset])
        for group, (_, exposure) in enumerate(sorted(held.items()))
        for asset, notional in sorted(exposure.items())
    ]
    group = np.array([leg[0] for leg in legs], dtype=np.int64)
    row = np.array([leg[1] for leg in legs], dtype=np.int64)
    asset_row = market.underlying[row]
    n_tail = max(round((1.0 - confidence) * market.scenarios.n_historical, 9), 1.0)
    return Block(
        first_netting_set=0,
        first_group=0,
        n_netting_sets=len(held),
        group_netting_set=np.arange(len(held)),
        rows=LegRows(
            group_ptr=np.searchsorted(group, np.arange(len(held) + 1)).astype(np.int64),
            leg_ptr=np.arange(len(legs) + 1),
            leg_role=np.where(market.is_standalone[asset_row], STANDALONE, NETTED).astype(np.int8),
            index=row.astype(np.int32),
            weight=np.array([leg[2] for leg in legs], dtype=np.float64),
        ),
        leg_asset=asset_row,
        n_tail=np.full(len(held), n_tail),
        house=house,
    )


@dataclass(frozen=True, slots=True)
class _Margins:
    value_at_risk: float
    core_margin: float
    requirement: float


def _value_at_risk(market: PreparedMarket, block: Block) -> Float64Array1D:
    """Return the loss quantile of each book; underlyings without offset are added."""
    leg_pnl, netted_pnl = aggregate_rows(market.historical, block.rows)
    rank = np.ceil(block.n_tail).astype(np.int64) - 1
    worst = np.sort(netted_pnl, axis=1)
    netted = -worst[np.arange(rank.size), rank]
    leg_group = np.repeat(np.arange(block.rows.n_groups), np.diff(block.rows.group_ptr))
    alone = np.sort(leg_pnl, axis=1)[np.arange(leg_group.size), rank[leg_group]]
    alone = np.where(block.rows.leg_role == STANDALONE, -alone, 0.0)
    added = np.bincount(leg_group, weights=np.maximum(alone, 0.0), minlength=rank.size)
    quantile: Float64Array1D = np.maximum(netted, 0.0) + added
    return quantile


def _snapshot(
    closes: pd.DataFrame, prices: Mapping[str, float], assets: list[str], business_date: date
) -> Snapshot:
    as_of = close_of(business_date)
    ids = [f"history:{asset}" for asset in assets]
    observed = pd.Series([pd.Timestamp(as_of)] * len(ids)).astype("datetime64[ms, UTC]")
    price = [prices[asset] for asset in assets]
    instruments = pd.DataFrame(
        {
            "instrument_id": ids, "venue": "history", "venue_symbol": assets, "kind": "spot",
            "payoff": "linear", "underlying": assets, "quote_asset": "USD",
            "settlement_asset": "USD", "contract_multiplier": 1.0, "strike": np.nan,
            "option_type": pd.Series([None] * len(ids), dtype="str"),
            "expiry_utc": pd.Series([pd.NaT] * len(ids), dtype="datetime64[ms, UTC]"),
        }
    )  # fmt: skip
    marks = pd.DataFrame(
        {
            "business_date": pd.Timestamp(business_date), "instrument_id": ids,
            "mark_price": price, "mark_iv": np.nan, "forward_price": np.nan,
            "settlement_price": np.nan, "observed_utc": observed,
        }
    )  # fmt: skip
    no_rows = {"date": pd.Series([], dtype="datetime64[ms]"), "asset": pd.Series([], dtype="str")}
    return Snapshot(
        snapshot_id=SnapshotId("coverage"),
        business_date=business_date,
        as_of=as_of,
        instruments=instruments,
        marks=marks,
        index_prices=pd.DataFrame({"asset": assets, "index_price": price}),
        fx_rates=pd.DataFrame({"asset": ["USD"], "usd_rate": [1.0]}),
        funding=pd.DataFrame({"venue": [], "symbol": [], "funding_rate": []}),
        liquidity=pd.DataFrame({"asset": [], "average_daily_volume_usd": [], "spread": []}),
        price_history=closes,
        volatility_history=pd.DataFrame({**no_rows, "atm_iv_30d": []}),
        basis_history=pd.DataFrame({**no_rows, "annual_basis": []}),
    )


def first_testable_date(closes: pd.DataFrame, house: HouseParameters) -> date:
    """Return the first date with enough history of the proxy asset to make scenarios from."""
    own = closes.loc[closes["asset"] == house.proxy.asset, "date"].sort_values()
    n_needed = house.filter.minimum_history_days + MPOR_DAYS_MAX
    day: date = own.iloc[min(n_needed, len(own) - 1)].date()
    return day
