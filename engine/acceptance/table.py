"""What is known beforehand of every price that may come in, as arrays.

A row is an instrument's mark, or what a source says of an asset itself (its index). Each asset has
candidates from each source, the better evidence first; each delta-one instrument has an anchor,
its basis at the snapshot, that lets its mark be compared with the price of its underlying.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.acceptance.parameters import AcceptanceParameters
from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.snapshot import Snapshot

SECOND: Final = 1_000_000_000
_TINY: Final = float(np.finfo(np.float64).tiny)
_HUGE: Final = 1e15
USD: Final = "USD"


@dataclass(frozen=True, slots=True, eq=False)
class AcceptanceTable:
    """Rows of prices and the assets they speak of.

    Attributes
    ----------
    instruments : tuple of str
        Sorted; rows 0 to ``n_instruments - 1``.
    index_rows : mapping of (str, str) to int
        Row of what a source says of an asset: of an underlying that it lists, or in dollars of a
        currency that has a price and is no underlying anywhere, such as a stablecoin.
    assets, sources : tuple of str
    asset, source : Int64Array1D, shape (n_rows,)
        Asset and source of each row.
    quote : Int64Array1D, shape (n_rows,)
        Asset that the row's prices are quoted in; -1 for dollars.
    is_option : BoolArray1D, shape (n_rows,)
    at_least, at_most : Float64Array1D, shape (n_rows,)
        Domain of the product, in its quote currency.
    anchor : Float64Array1D, shape (n_rows,)
        Mark (of options: forward) over the price of the underlying at the snapshot; NaN unknown.
    start_mark, start_iv, start_forward, start_level : Float64Array1D
        Prices of the snapshot, by row and by asset (``start_level``, [USD]).
    candidate_ptr, candidate_row, candidate_source : Int64Array1D
        Rows that speak of an asset, by asset, then source, then evidence.
    candidate_anchor : Float64Array1D
        What divides a candidate's value to give the price of the asset.
    band, redemption : Float64Array1D, shape (n_assets,)
        Band around the median, and the redemption value (NaN for none). [-], [USD]
    """

    instruments: tuple[str, ...]
    index_rows: Mapping[tuple[str, str], int]
    assets: tuple[str, ...]
    sources: tuple[str, ...]
    asset: Int64Array1D
    source: Int64Array1D
    quote: Int64Array1D
    is_option: BoolArray1D
    at_least: Float64Array1D
    at_most: Float64Array1D
    anchor: Float64Array1D
    start_mark: Float64Array1D
    start_iv: Float64Array1D
    start_forward: Float64Array1D
    start_level: Float64Array1D
    candidate_ptr: Int64Array1D
    candidate_row: Int64Array1D
    candidate_source: Int64Array1D
    candidate_anchor: Float64Array1D
    band: Float64Array1D
    redemption: Float64Array1D

    @property
    def n_instruments(self) -> int:
        """Return the number of instruments; index rows follow them."""
        return len(self.instruments)

    @property
    def n_rows(self) -> int:
        """Return the number of rows."""
        return int(self.asset.size)


def acceptance_table(
    snapshot: Snapshot,
    usd_rates: Mapping[str, float],
    major_assets: Sequence[str],
    parameters: AcceptanceParameters,
) -> AcceptanceTable:
    """Return the table of a snapshot's instruments and assets.

    Parameters
    ----------
    usd_rates : mapping
        Price of one unit of each asset at the snapshot, ``engine.market.known_rates``. [USD]
    major_assets : sequence of str
        Assets that have the narrower band.
    """
    listed = snapshot.instruments.sort_values("instrument_id", ignore_index=True)
    marks = snapshot.marks.set_index("instrument_id").reindex(listed["instrument_id"])
    venues = [str(name) for name in listed["venue"]]
    underlyings = [str(name) for name in listed["underlying"]]
    assets = tuple(sorted({*underlyings, *(str(name) for name in usd_rates)} - {USD}))
    sources = tuple(sorted(set(venues)))
    asset_row = {name: row for row, name in enumerate(assets)}
    source_row = {name: row for row, name in enumerate(sources)}
    pairs = _index_pairs(venues, underlyings, assets)
    n, n_index = len(listed), len(pairs)
    level = np.array([usd_rates.get(name, np.nan) for name in assets], dtype=np.float64)
    asset = np.array([asset_row[name] for name in underlyings + [a for _, a in pairs]], np.int64)
    source = np.array([source_row[name] for name in venues + [s for s, _ in pairs]], np.int64)
    is_option = np.append((listed["kind"] == "option").to_numpy(), np.zeros(n_index, np.bool_))
    start = {
        name: _padded(marks, name, n_index) for name in ("mark_price", "mark_iv", "forward_price")
    }
    spoken = np.where(is_option, start["forward_price"], start["mark_price"])
    anchor = spoken / level[asset]
    anchor[n:] = 1.0
    candidates = _candidates(listed, asset, source, anchor, len(assets))
    bands = [
        parameters.band_major if name in major_assets else parameters.band_minor for name in assets
    ]
    redemption = [parameters.redemption_value.get(name, np.nan) for name in assets]
    return AcceptanceTable(
        instruments=tuple(str(name) for name in listed["instrument_id"]),
        index_rows={pair: n + offset for offset, pair in enumerate(pairs)},
        assets=assets,
        sources=sources,
        asset=asset,
        source=source,
        quote=_quotes(listed, asset_row, pairs),
        is_option=is_option,
        # Zero is a display without a price, of options as well: the book takes none.
        at_least=np.full(n + n_index, _TINY),
        at_most=np.full(n + n_index, _HUGE),
        anchor=anchor,
        start_mark=start["mark_price"],
        start_iv=start["mark_iv"],
        start_forward=start["forward_price"],
        start_level=level,
        candidate_ptr=candidates[0],
        candidate_row=candidates[1],
        candidate_source=candidates[2],
        candidate_anchor=candidates[3],
        band=np.array(bands, dtype=np.float64),
        redemption=np.array(redemption, dtype=np.float64),
    )


def _index_pairs(
    venues: Sequence[str], underlyings: Sequence[str], assets: Sequence[str]
) -> list[tuple[str, str]]:
    """Return what sources may say of assets themselves: of underlyings theirs, of money all."""
    currencies = set(assets) - set(underlyings)
    found = set(zip(venues, underlyings, strict=True))
    return sorted(found | {(venue, asset) for venue in set(venues) for asset in currencies})


def _padded(marks: pd.DataFrame, name: str, n_index: int) -> Float64Array1D:
    known = marks[name].to_numpy(dtype=np.float64) if name in marks else np.full(len(marks), np.nan)
    return np.append(known, np.full(n_index, np.nan))


def _quotes(
    listed: pd.DataFrame, asset_row: Mapping[str, int], pairs: Sequence[tuple[str, str]]
) -> Int64Array1D:
    # A coin that quotes itself, as inverse options do, has its forward in dollars.
    columns = zip(listed["quote_asset"], listed["underlying"], strict=True)
    rows = [-1 if quote == coin else asset_row.get(str(quote), -1) for quote, coin in columns]
    # An index is in what the source quotes the asset in, in dollars where that is not one thing.
    quoted: dict[tuple[str, str], set[int]] = {}
    names = zip(listed["venue"], listed["underlying"], rows, strict=True)
    for venue, underlying, row in names:
        quoted.setdefault((str(venue), str(underlying)), set()).add(row)
    by_pair = [quoted.get(pair, set()) for pair in pairs]
    index = [next(iter(one)) if len(one) == 1 else -1 for one in by_pair]
    return np.array([*rows, *index], dtype=np.int64)


def _candidates(
    listed: pd.DataFrame,
    asset: Int64Array1D,
    source: Int64Array1D,
    anchor: Float64Array1D,
    n_assets: int,
) -> tuple[Int64Array1D, Int64Array1D, Int64Array1D, Float64Array1D]:
    """Return rows that speak of each asset: an index first, then a perpetual, then a future."""
    kinds = listed["kind"].to_numpy(dtype=object)
    evidence = {"perpetual": 1, "spot": 2, "future": 3}
    rank = np.array([evidence.get(str(kind), 9) for kind in kinds], dtype=np.int64)
    rank = np.append(rank, np.zeros(asset.size - rank.size, dtype=np.int64))
    usable = np.flatnonzero((rank < 9) & np.isfinite(anchor) & (anchor > 0.0))
    order = np.lexsort((usable, rank[usable], source[usable], asset[usable]))
    rows: Int64Array1D = usable[order].astype(np.int64)
    counts = np.bincount(asset[rows], minlength=n_assets)
    ptr: Int64Array1D = np.append(0, np.cumsum(counts)).astype(np.int64)
    return ptr, rows, source[rows], anchor[rows]
