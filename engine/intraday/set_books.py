"""Books of one netting set, laid out anew after a change: the bits of ``engine.portfolio``.

A full assessment lays out all netting sets at once; after a fill one of them is enough. Sums over
accounts, locations and orders are taken in the same order and by the same compensated addition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.books import AGREED, FILLED
from engine.intraday.changes import OrderReport
from engine.kernels.tail import COLLATERAL, NETTED, STANDALONE, LegRows
from engine.market import PreparedMarket
from engine.portfolio import why_unknown
from engine.reconciliation import SOURCES, sources_differ
from engine.whatif.holdings import netted

_REASONS_MAX = 5


@dataclass(frozen=True, slots=True, eq=False)
class SetBooks:
    """One netting set ready to be margined; fields as of ``engine.portfolio.Portfolio``."""

    labels: tuple[str, ...]
    rows: LegRows
    leg_asset: Int64Array1D
    failure: str
    hold: str
    n_positions: int
    has_break: bool


@dataclass(frozen=True, slots=True, eq=False)
class SetHoldings:
    """What the sources report of one netting set.

    Attributes
    ----------
    quantities : mapping
        By account and instrument, in order: quantity by reporting source.
    orders : sequence of OrderReport
        In the order of account and order.
    collateral : mapping
        By location, asset and state, in order: quantity by reporting source, transfers in flight
        and what is not trusted taken off.
    sources : tuple of int
        Places in ``SOURCES`` of those that report positions at all.
    """

    quantities: Mapping[tuple[str, str], Float64Array1D]
    orders: Iterable[OrderReport]
    collateral: Mapping[tuple[str, str, str], Float64Array1D]
    sources: tuple[int, ...]


def books_of_set(
    holdings: SetHoldings, market: PreparedMarket, row_of: Mapping[str, int]
) -> SetBooks:
    """Return the books of one netting set.

    Parameters
    ----------
    row_of : mapping
        Row of each instrument in the market.
    """
    contents = _contents(holdings)
    located = _Located.of(contents, market, row_of)
    pledged = _pledged(holdings.collateral, market)
    labels = tuple(sorted(contents))
    rows, leg_asset = _nested([located.held[label] for label in labels], pledged, market)
    differs = [
        sources_differ(np.array([quantities]))[0]
        for quantities in (*holdings.quantities.values(), *holdings.collateral.values())
    ]
    return SetBooks(
        labels=labels,
        rows=rows,
        leg_asset=leg_asset,
        failure=located.failure,
        hold=located.hold,
        n_positions=len(located.names),
        has_break=any(differs),
    )


def _contents(holdings: SetHoldings) -> dict[str, dict[str, float]]:
    """Return what each book holds by instrument."""
    by_instrument: dict[str, list[Float64Array1D]] = {}
    for (_, instrument), quantities in holdings.quantities.items():
        by_instrument.setdefault(instrument, []).append(quantities)
    net = {
        name: [
            netted(float(q[i]) for q in by_instrument[name]) for i in range(len(holdings.sources))
        ]
        for name in sorted(by_instrument)
    }
    is_broken = bool(net) and bool(sources_differ(np.array(list(net.values()))).any())
    if not is_broken:
        books = {AGREED: {name: values[0] for name, values in net.items()}}
    else:
        books = {
            SOURCES[source]: {name: values[i] for name, values in net.items()}
            for i, source in enumerate(holdings.sources)
        }
    filled: dict[str, dict[str, float]] = {}
    for side, sign in (("buy", 1.0), ("sell", -1.0)):
        coming = _filled(holdings.orders, side, sign)
        if not coming:
            continue
        for label, held in books.items():
            both = dict(held)
            for name, quantity in coming.items():
                both[name] = netted((held[name], quantity)) if name in held else netted((quantity,))
            filled[label + FILLED[side]] = {name: netted((q,)) for name, q in both.items()}
    return {**books, **filled}


def _filled(orders: Iterable[OrderReport], side: str, sign: float) -> dict[str, float]:
    by_instrument: dict[str, list[float]] = {}
    for order in orders:
        if order.side == side:
            by_instrument.setdefault(order.instrument_id, []).append(order.remaining_quantity)
    return {name: sign * netted(by_instrument[name]) for name in sorted(by_instrument)}


@dataclass(frozen=True, slots=True, eq=False)
class _Located:
    held: dict[str, dict[int, float]]
    """By book, quantity by row of the market."""
    failure: str
    hold: str
    names: frozenset[str]

    @classmethod
    def of(
        cls,
        contents: Mapping[str, Mapping[str, float]],
        market: PreparedMarket,
        row_of: Mapping[str, int],
    ) -> _Located:
        names = frozenset(
            name for book in contents.values() for name, quantity in book.items() if quantity != 0.0
        )
        unknown = [name for name in sorted(names) if name not in row_of]
        rows = {name: row_of[name] for name in names if name in row_of}
        expired = sorted(name for name, row in rows.items() if market.has_expired[row])
        unusable = sorted(
            {
                market.fault[row]
                for row in rows.values()
                if market.fault[row] and not market.settles[row] and not market.has_expired[row]
            }
        )
        told = sorted(why_unknown(np.array(unknown, dtype=object), market).tolist())
        texts = (_listed("unknown instrument", told), _listed("expired instrument", expired))
        held = {
            label: {
                rows[name]: quantity
                for name, quantity in book.items()
                if quantity != 0.0 and name in rows and not market.fault[rows[name]]
            }
            for label, book in contents.items()
        }
        return cls(held, "; ".join(text for text in texts if text), _listed("", unusable), names)


def _listed(lead: str, texts: list[str]) -> str:
    if not texts:
        return ""
    more = len(texts) - _REASONS_MAX
    shown = ", ".join(texts[:_REASONS_MAX]) + (f" and {more} more" if more > 0 else "")
    return f"{lead} {shown}" if lead else shown


def _pledged(
    collateral: Mapping[tuple[str, str, str], Float64Array1D], market: PreparedMarket
) -> dict[int, float]:
    """Return settled collateral by row of the market, where it can lose beyond its haircut."""
    asset_row = {asset: row for row, asset in enumerate(market.assets)}
    by_asset: dict[int, list[float]] = {}
    for (_, asset, state), quantities in collateral.items():
        if state == "settled" and asset in asset_row:
            by_asset.setdefault(asset_row[asset], []).append(float(quantities.min()))
    rows = {market.n_instruments + asset: netted(by_asset[asset]) for asset in sorted(by_asset)}
    return {row: quantity for row, quantity in rows.items() if market.historical[row].any()}


def _nested(
    books: list[dict[int, float]], pledged: dict[int, float], market: PreparedMarket
) -> tuple[LegRows, Int64Array1D]:
    """Return books as legs by underlying, collateral last, instruments in order inside a leg."""
    n_assets = len(market.assets)
    parts = [
        (group, row, quantity)
        for group, held in enumerate(books)
        for row, quantity in (*held.items(), *pledged.items())
    ]
    group = np.array([part[0] for part in parts], dtype=np.int64)
    row = np.array([part[1] for part in parts], dtype=np.int64)
    weight = np.array([part[2] for part in parts], dtype=np.float64)
    underlying = market.underlying[np.minimum(row, market.n_instruments - 1)]
    asset = np.where(row >= market.n_instruments, n_assets, underlying)
    order = np.lexsort((row, asset, group))
    group, row, asset, weight = group[order], row[order], asset[order], weight[order]
    starts: BoolArray1D = np.ones(group.size, dtype=np.bool_)
    starts[1:] = (group[1:] != group[:-1]) | (asset[1:] != asset[:-1])
    first = np.flatnonzero(starts)
    leg_asset = asset[first]
    is_pledged = leg_asset == n_assets
    standalone = market.is_standalone[np.minimum(leg_asset, n_assets - 1)]
    role = np.where(is_pledged, COLLATERAL, np.where(standalone, STANDALONE, NETTED))
    rows = LegRows(
        group_ptr=np.searchsorted(group[first], np.arange(len(books) + 1)).astype(np.int64),
        leg_ptr=np.append(first, group.size).astype(np.int64),
        leg_role=role.astype(np.int8),
        index=row.astype(np.int32),
        weight=weight,
    )
    return rows, np.where(is_pledged, -1, leg_asset).astype(np.int64)
