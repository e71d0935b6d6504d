"""What buckets hold of a grid's instruments: profit and loss by cell, and exposures.

A *bucket* is what a venue margins together by one grid: one account's positions on one underlying
in one settlement currency. Many buckets are one table, in any order; all sums are exact before
they are rounded, so neither the order of rows nor the cut into tables changes a bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D
from engine.errors import ModelInputError
from engine.kernels.exact_sums import Floats, grouped_sums, rounded, weighted_sums
from engine.margin.scenario_cells import ScenarioCells
from engine.margin.scenario_pnl import PERPETUAL, ScenarioInstruments


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Buckets:
    """The buckets of one table, one row each.

    Attributes
    ----------
    index_price : Float64Array1D, shape (n_buckets,)
        Spot reference of the underlying, above zero. [quote currency]
    is_inverse : BoolArray1D, shape (n_buckets,)
        Margined in the coin, else in the quote currency; so is all that the bucket holds.
    """

    index_price: Float64Array1D
    is_inverse: BoolArray1D

    def __len__(self) -> int:
        return len(self.index_price)

    @property
    def unit_notional(self) -> Float64Array1D:
        """Notional of an option on one unit. [settlement currency]"""
        return np.where(self.is_inverse, 1.0, self.index_price)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Holdings:
    """Positions of all buckets, in any order.

    Attributes
    ----------
    bucket, instrument : Int64Array1D, shape (n_holdings,)
        Rows of the buckets and of the instruments.
    quantity : Float64Array1D, shape (n_holdings,)
        Signed contracts, long > 0.
    scenario_pnl : Float64Array2D, shape (n_holdings, n_cells), optional
        The venue's own profit and loss of the whole holding, before the cells' weights; NaN rows
        are revalued. [settlement currency]
    """

    bucket: Int64Array1D
    instrument: Int64Array1D
    quantity: Float64Array1D
    scenario_pnl: Float64Array2D | None = None

    def __len__(self) -> int:
        return len(self.quantity)

    @property
    def is_given(self) -> BoolArray1D:
        """Whether each holding's profit and loss is the venue's own."""
        if self.scenario_pnl is None:
            return np.zeros(len(self), dtype=np.bool_)
        return np.asarray(~np.isnan(self.scenario_pnl).all(axis=1))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BucketExposures:
    """What the contingencies of each bucket depend on; notionals in settlement currency.

    Attributes
    ----------
    roll_bucket : Int64Array1D, shape (n_roll,)
        Bucket of each expiry; perpetuals of a bucket are one expiry.
    roll_years : Float64Array1D, shape (n_roll,)
        Time to the expiry; NaN for perpetuals. [years]
    roll_notional : Float64Array1D, shape (n_roll,)
        Net notional at the mark, long > 0.
    futures_long, futures_short : Float64Array1D, shape (n_buckets,)
        Notional of futures and perpetuals at the index if linear, at the mark if inverse; >= 0.
    futures_gross_at_mark : Float64Array1D, shape (n_buckets,)
        Sum of absolute notionals at the mark.
    option_gross, option_net_short : Float64Array1D, shape (n_buckets,)
        Notional of all options; of what is net short per expiry and strike, calls with puts.
    delta : Float64Array1D, shape (n_buckets,)
        Net delta; zero where it was not asked for. [units of underlying]
    """

    roll_bucket: Int64Array1D
    roll_years: Float64Array1D
    roll_notional: Float64Array1D
    futures_long: Float64Array1D
    futures_short: Float64Array1D
    futures_gross_at_mark: Float64Array1D
    option_gross: Float64Array1D
    option_net_short: Float64Array1D
    delta: Float64Array1D


def require_holdings(
    holdings: Holdings, instruments: ScenarioInstruments, buckets: Buckets, faults: Sequence[str]
) -> None:
    """Raise ModelInputError for holdings that cannot be margined.

    That is: a quantity that is not finite, an instrument that has no value or is not paid in the
    currency of its bucket, or a bucket without an index price.
    """
    for name, values, limit in (
        ("instrument", holdings.instrument, len(instruments)),
        ("bucket", holdings.bucket, len(buckets)),
    ):
        if len(values) and not 0 <= int(values.min()) <= int(values.max()) < limit:
            raise ModelInputError(f"{name} of holdings needs 0 to {limit - 1}", identifier=name)
    fits = np.isfinite(buckets.index_price) & (buckets.index_price > 0.0)
    if not fits.all():
        found = float(buckets.index_price[~fits][0])
        raise ModelInputError(
            f"index_price is {found}, limit: finite and > 0",
            identifier="index_price",
            value=found,
            limit="> 0",
        )
    symbols = instruments.symbol[holdings.instrument]
    if not np.isfinite(holdings.quantity).all():
        row = int(np.flatnonzero(~np.isfinite(holdings.quantity))[0])
        raise ModelInputError(
            f"quantity of {symbols[row]} is {holdings.quantity[row]}, limit: finite",
            identifier=str(symbols[row]),
            value=float(holdings.quantity[row]),
            limit="finite",
        )
    is_faulty = np.array([bool(fault) for fault in faults], dtype=np.bool_)
    for faulty in np.flatnonzero(is_faulty[holdings.instrument] & ~holdings.is_given):
        raise ModelInputError(faults[holdings.instrument[faulty]], identifier=str(symbols[faulty]))
    is_mixed = instruments.is_inverse[holdings.instrument] != buckets.is_inverse[holdings.bucket]
    for mixed in np.flatnonzero(is_mixed):
        raise ModelInputError(
            f"{symbols[mixed]} is paid in another currency than its bucket: linear and inverse "
            "positions are margined apart",
            identifier=str(symbols[mixed]),
        )


def netted(holdings: Holdings) -> Holdings:
    """Return the holdings with one row per bucket and instrument, sorted.

    How a position is spread over rows then changes no bit. Holdings with the venue's own profit
    and loss stay as they are, after the others.
    """
    is_given = holdings.is_given
    own = np.flatnonzero(~is_given)
    given = np.flatnonzero(is_given)
    number, bucket, instrument = _pairs(holdings.bucket[own], holdings.instrument[own])
    quantity = rounded(grouped_sums(holdings.quantity[own], number, len(bucket)))
    pnl = holdings.scenario_pnl
    if pnl is not None:
        pnl = np.concatenate([np.full((len(quantity), pnl.shape[1]), np.nan), pnl[given]])
    return Holdings(
        bucket=np.concatenate([bucket, holdings.bucket[given]]),
        instrument=np.concatenate([instrument, holdings.instrument[given]]),
        quantity=np.concatenate([quantity, holdings.quantity[given]]),
        scenario_pnl=pnl,
    )


def position_scenario_pnl(
    unit_pnl: Float64Array2D, holdings: Holdings, cells: ScenarioCells
) -> Float64Array2D:
    """Return the profit and loss of each holding in each cell, weighted.

    Shape ``(n_holdings, n_cells)``; ``unit_pnl`` is of `engine.margin.scenario_pnl`. A book's
    cells are the exact sums of its rows. [settlement currency]
    """
    pnl = holdings.quantity[:, np.newaxis] * unit_pnl[holdings.instrument]
    if holdings.scenario_pnl is not None:
        is_given = holdings.is_given
        pnl[is_given] = holdings.scenario_pnl[is_given] * cells.weight
    return pnl


def bucket_scenario_pnl(
    unit_pnl: Float64Array2D, holdings: Holdings, cells: ScenarioCells, n_buckets: int
) -> Floats:
    """Return the profit and loss of each bucket in each cell, as parts of exact sums.

    Shape ``(3, n_buckets, n_cells)``; `engine.kernels.exact_sums.rounded` turns it into numbers.
    Give `netted` holdings.

    Raises
    ------
    ModelInputError
        If a held instrument has no profit and loss, or a product is too large.
    """
    if holdings.scenario_pnl is None:
        weight, index, rows = holdings.quantity, holdings.instrument, unit_pnl
    else:
        is_given = holdings.is_given
        given = holdings.scenario_pnl[is_given] * cells.weight
        rows = np.concatenate([unit_pnl, given])
        weight = np.where(is_given, 1.0, holdings.quantity)
        index = np.where(is_given, len(unit_pnl) + np.cumsum(is_given) - 1, holdings.instrument)
    return weighted_sums(rows, index, weight, holdings.bucket, n_buckets)


def bucket_exposures(
    instruments: ScenarioInstruments,
    holdings: Holdings,
    buckets: Buckets,
    unit_delta: Float64Array1D | None = None,
) -> BucketExposures:
    """Return what each bucket's contingencies depend on; give `netted` holdings.

    ``unit_delta`` is of `engine.margin.scenario_pnl`, needed for a concentration charge alone.
    """
    n_buckets = len(buckets)

    def total(values: Float64Array1D, rows: Int64Array1D) -> Float64Array1D:
        return rounded(grouped_sums(values, holdings.bucket[rows], n_buckets))

    futures = np.flatnonzero(instruments.is_derivative_future[holdings.instrument])
    at_mark = notional_at_mark(instruments, holdings, futures)
    index = buckets.index_price[holdings.bucket[futures]]
    is_inverse = instruments.is_inverse[holdings.instrument[futures]]
    at_index = np.where(is_inverse, at_mark, units_held(instruments, holdings, futures) * index)
    is_perpetual = instruments.kind == PERPETUAL
    expiry, (years,) = _codes(
        holdings.instrument[futures], np.where(is_perpetual, -1.0, instruments.years)
    )
    roll_of, roll_bucket, roll_expiry = _pairs(holdings.bucket[futures], expiry)
    roll_years = years[roll_expiry]
    options = np.flatnonzero(instruments.is_option[holdings.instrument])
    units = units_held(instruments, holdings, options)
    delta = np.zeros(n_buckets)
    if unit_delta is not None:
        everything = np.arange(len(holdings))
        delta = total(holdings.quantity * unit_delta[holdings.instrument], everything)
    return BucketExposures(
        roll_bucket=roll_bucket,
        roll_years=np.where(roll_years < 0.0, np.nan, roll_years),
        roll_notional=rounded(grouped_sums(at_mark, roll_of, len(roll_bucket))),
        futures_long=total(np.maximum(at_index, 0.0), futures),
        futures_short=total(np.maximum(-at_index, 0.0), futures),
        futures_gross_at_mark=total(np.abs(at_mark), futures),
        option_gross=total(np.abs(units), options) * buckets.unit_notional,
        option_net_short=rounded(net_short_parts(instruments, holdings, n_buckets))
        * buckets.unit_notional,
        delta=delta,
    )


def net_short_parts(instruments: ScenarioInstruments, holdings: Holdings, n_buckets: int) -> Floats:
    """Return the units net short per expiry and strike, summed by bucket, as parts.

    Calls and puts of a strike are netted. An option whose strike or expiry is not known, because
    the venue gave its profit and loss, offsets no other.
    """
    options = np.flatnonzero(instruments.is_option[holdings.instrument])
    years, strike = instruments.years, instruments.strike_price
    is_unknown = np.isnan(years) | np.isnan(strike)
    alone = -1.0 - np.arange(len(instruments))
    code, _ = _codes(
        holdings.instrument[options],
        np.where(is_unknown, -1.0, years),
        np.where(is_unknown, alone, strike),
    )
    strike_of, bucket, _ = _pairs(holdings.bucket[options], code)
    net = rounded(grouped_sums(units_held(instruments, holdings, options), strike_of, len(bucket)))
    return grouped_sums(np.maximum(-net, 0.0), bucket, n_buckets)


def _codes(
    instrument: Int64Array1D, *columns: Float64Array1D
) -> tuple[Int64Array1D, list[Float64Array1D]]:
    """Return a number for each row's key, a property of its instrument, and the keys, sorted.

    Instruments are fewer than holdings, so keys are compared among the held instruments alone.
    """
    is_held = np.zeros(len(columns[0]), dtype=np.bool_)
    is_held[instrument] = True
    held = np.flatnonzero(is_held)
    number, keys = distinct_keys(*(column[held] for column in columns))
    code = np.zeros(len(is_held), dtype=np.int64)
    code[held] = number
    return code[instrument], keys


def _pairs(
    bucket: Int64Array1D, code: Int64Array1D
) -> tuple[Int64Array1D, Int64Array1D, Int64Array1D]:
    """Return each row's place among the distinct pairs of bucket and code, and those, sorted."""
    n_codes = int(code.max(initial=0)) + 1
    pair = bucket * n_codes + code
    order = np.argsort(pair)
    pair = pair[order]
    is_first = np.ones(len(order), dtype=np.bool_)
    is_first[1:] = pair[1:] != pair[:-1]
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.cumsum(is_first) - 1
    return place, pair[is_first] // n_codes, pair[is_first] % n_codes


def notional_at_mark(
    instruments: ScenarioInstruments, holdings: Holdings, rows: Int64Array1D
) -> Float64Array1D:
    """Return the signed notional of some holdings at their marks. [settlement currency]"""
    units = units_held(instruments, holdings, rows)
    mark = instruments.mark_price[holdings.instrument[rows]]
    is_inverse = instruments.is_inverse[holdings.instrument[rows]]
    notional: Float64Array1D = np.where(is_inverse, units / mark, units * mark)
    return notional


def units_held(
    instruments: ScenarioInstruments, holdings: Holdings, rows: Int64Array1D
) -> Float64Array1D:
    """Return quantity times contract multiplier of some holdings."""
    multiplier = instruments.contract_multiplier[holdings.instrument[rows]]
    units: Float64Array1D = holdings.quantity[rows] * multiplier
    return units


def distinct_keys(
    *columns: Float64Array1D | Int64Array1D,
) -> tuple[Int64Array1D, list[Float64Array1D]]:
    """Return the number of each row's key among the distinct keys, and those, sorted."""
    values = [np.asarray(column, dtype=np.float64) for column in columns]
    order = np.lexsort(values[::-1])
    is_first = np.ones(len(order), dtype=np.bool_)
    if len(order):
        is_first[1:] = np.any([np.diff(column[order]) != 0.0 for column in values], axis=0)
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.cumsum(is_first) - 1
    return number, [column[order][is_first] for column in values]
