"""What one more position would do to a bucket: an addition to its sums, not a revaluation.

Because sums are exact, each figure is the same bytes as a `scenario_margin` of the bucket with the
candidate among its holdings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.arrays import Float64Array1D, Int64Array1D
from engine.errors import ModelInputError
from engine.kernels.exact_sums import Floats, carried, grouped_sums, rounded, split
from engine.margin.scenario_book import (
    BucketExposures,
    Buckets,
    Holdings,
    bucket_scenario_pnl,
    distinct_keys,
    netted,
    notional_at_mark,
    require_holdings,
    units_held,
)
from engine.margin.scenario_grid import GridRevaluation
from engine.margin.scenario_pnl import PERPETUAL
from engine.margin.scenario_requirement import (
    BucketCharges,
    ScenarioRequirement,
    scenario_requirement,
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class HeldBucket:
    """One bucket as running sums, ready for candidates; parts as in `engine.kernels.exact_sums`.

    Attributes
    ----------
    revaluation : GridRevaluation
    buckets : Buckets
        The one bucket.
    scenario_pnl : array, shape (3, n_cells)
    quantity : array, shape (3, n_instruments)
        Contracts held of each instrument; not those with the venue's own profit and loss.
    roll_of, strike_of : Int64Array1D, shape (n_instruments,)
        Expiry of each future, and expiry and strike of each option; -1 for others.
    roll_years : Float64Array1D, shape (n_roll,)
    roll_notional : array, shape (3, n_roll)
    strike_units : array, shape (3, n_strikes)
        Net units per expiry and strike.
    amounts : dict of str to array, shape (3,)
        Other sums by field of `BucketExposures`; options in units.
    """

    revaluation: GridRevaluation
    buckets: Buckets
    scenario_pnl: Floats
    quantity: Floats
    roll_of: Int64Array1D
    strike_of: Int64Array1D
    roll_years: Float64Array1D
    roll_notional: Floats
    strike_units: Floats
    amounts: dict[str, Floats]


def held_bucket(revaluation: GridRevaluation, holdings: Holdings, buckets: Buckets) -> HeldBucket:
    """Return what one bucket holds as running sums.

    Raises
    ------
    ModelInputError
        If there is more than one bucket, or a holding cannot be margined.
    """
    if len(buckets) != 1:
        raise ModelInputError(
            f"candidates are added to one bucket, found {len(buckets)}", identifier="buckets"
        )
    instruments = revaluation.instruments
    require_holdings(holdings, instruments, buckets, revaluation.faults)
    holdings = netted(holdings)
    own = np.flatnonzero(~holdings.is_given)
    futures = np.flatnonzero(instruments.is_derivative_future)
    options = np.flatnonzero(instruments.is_option)
    years = np.where(instruments.kind == PERPETUAL, -1.0, instruments.years)
    roll_of, roll_keys = _keys_of(len(instruments), futures, years)
    strike_of, strike_keys = _keys_of(len(instruments), options, years, instruments.strike_price)
    terms = _terms(revaluation, holdings, buckets)
    nets = (
        _by_key(roll_of, terms["at_mark"], holdings, len(roll_keys[0])),
        _by_key(strike_of, terms["units"], holdings, len(strike_keys[0])),
    )
    amounts = {name: _sum(terms[name]) for name in _SUMMED}
    amounts["option_net_short"] = _sum(np.maximum(-rounded(nets[1]), 0.0))
    return HeldBucket(
        revaluation=revaluation,
        buckets=buckets,
        scenario_pnl=bucket_scenario_pnl(revaluation.unit_pnl, holdings, revaluation.cells, 1)[
            :, 0
        ],
        quantity=grouped_sums(holdings.quantity[own], holdings.instrument[own], len(instruments)),
        roll_of=roll_of,
        strike_of=strike_of,
        roll_years=np.where(roll_keys[0] < 0.0, np.nan, roll_keys[0]),
        roll_notional=nets[0],
        strike_units=nets[1],
        amounts=amounts,
    )


def candidate_margins(
    held: HeldBucket,
    instrument: Int64Array1D,
    quantity: Float64Array1D,
    charges: BucketCharges | None = None,
) -> ScenarioRequirement:
    """Return the requirement of the bucket with each candidate alone added to it.

    Parameters
    ----------
    instrument : Int64Array1D, shape (n_candidates,)
        Row of the revaluation's instruments.
    quantity : Float64Array1D, shape (n_candidates,)
        Signed contracts, buying > 0. 0 gives the held requirement.
    charges : BucketCharges, optional
        Amounts besides the grid, by candidate.

    Returns
    -------
    ScenarioRequirement
        One row per candidate.

    Raises
    ------
    ModelInputError
        If a candidate's instrument has no value, is paid in another currency than the bucket, or a
        quantity is not finite.
    """
    n = len(instrument)
    candidates = Holdings(
        bucket=np.zeros(n, dtype=np.int64), instrument=instrument, quantity=quantity
    )
    require_holdings(
        candidates, held.revaluation.instruments, held.buckets, held.revaluation.faults
    )
    # A position is netted before it is margined, so its old row leaves and its new one enters.
    parts = held.quantity[:, instrument]
    before = replace(candidates, quantity=rounded(parts))
    after = replace(candidates, quantity=rounded(carried(parts + split(quantity))))
    pnl = held.scenario_pnl[:, np.newaxis, :] + _difference(
        *(
            each.quantity[:, np.newaxis] * held.revaluation.unit_pnl[instrument]
            for each in (before, after)
        )
    )
    buckets = Buckets(
        index_price=np.repeat(held.buckets.index_price, n),
        is_inverse=np.repeat(held.buckets.is_inverse, n),
    )
    exposures = _exposures(held, before, after, buckets)
    return scenario_requirement(
        rounded(carried(pnl)), exposures, buckets, held.revaluation.parameters, charges
    )


_SUMMED = ("futures_long", "futures_short", "futures_gross_at_mark", "option_gross", "delta")


def _exposures(
    held: HeldBucket, before: Holdings, after: Holdings, buckets: Buckets
) -> BucketExposures:
    old, new = (_terms(held.revaluation, each, buckets) for each in (before, after))
    n, n_roll = len(after), len(held.roll_years)

    def total(name: str) -> Float64Array1D:
        change = _difference(old[name], new[name])
        return rounded(carried(held.amounts[name][:, np.newaxis] + change))

    rolled = np.repeat(rounded(held.roll_notional)[np.newaxis], n, axis=0)
    roll = held.roll_of[after.instrument]
    moved = np.flatnonzero(roll >= 0)
    change = _difference(old["at_mark"][moved], new["at_mark"][moved])
    rolled[moved, roll[moved]] = rounded(carried(held.roll_notional[:, roll[moved]] + change))
    net_short = _net_short(held, after.instrument, _difference(old["units"], new["units"]))
    return BucketExposures(
        roll_bucket=np.repeat(np.arange(n), n_roll),
        roll_years=np.tile(held.roll_years, n),
        roll_notional=rolled.reshape(-1),
        futures_long=total("futures_long"),
        futures_short=total("futures_short"),
        futures_gross_at_mark=total("futures_gross_at_mark"),
        option_gross=total("option_gross") * buckets.unit_notional,
        option_net_short=net_short * buckets.unit_notional,
        delta=total("delta"),
    )


def _net_short(held: HeldBucket, instrument: Int64Array1D, change: Floats) -> Float64Array1D:
    shorts = np.repeat(held.amounts["option_net_short"][:, np.newaxis], len(instrument), axis=1)
    strike = held.strike_of[instrument]
    moved = np.flatnonzero(strike >= 0)
    before = held.strike_units[:, strike[moved]]
    after = carried(before + change[:, moved])
    shorts[:, moved] += _difference(
        *(np.maximum(-rounded(units), 0.0) for units in (before, after))
    )
    return rounded(carried(shorts))


def _difference(before: Floats, after: Floats) -> Floats:
    """Return the parts of what takes ``before`` out of a sum, exactly, and puts ``after`` in."""
    return split(after) - split(before)


def _terms(
    revaluation: GridRevaluation, holdings: Holdings, buckets: Buckets
) -> dict[str, Float64Array1D]:
    """Return what each holding adds to each sum; zero where it adds nothing."""
    instruments = revaluation.instruments
    everything = np.arange(len(holdings))
    is_future = instruments.is_derivative_future[holdings.instrument]
    is_option = instruments.is_option[holdings.instrument]
    units = units_held(instruments, holdings, everything)
    at_mark = np.zeros(len(holdings))
    futures = np.flatnonzero(is_future)
    at_mark[futures] = notional_at_mark(instruments, holdings, futures)
    is_inverse = instruments.is_inverse[holdings.instrument]
    at_index = np.where(is_inverse, at_mark, units * buckets.index_price[holdings.bucket])
    at_index = np.where(is_future, at_index, 0.0)
    delta = np.zeros(len(holdings))
    if revaluation.unit_delta is not None:
        delta = holdings.quantity * revaluation.unit_delta[holdings.instrument]
    return {
        "at_mark": at_mark,
        "units": np.where(is_option, units, 0.0),
        "futures_long": np.maximum(at_index, 0.0),
        "futures_short": np.maximum(-at_index, 0.0),
        "futures_gross_at_mark": np.abs(at_mark),
        "option_gross": np.where(is_option, np.abs(units), 0.0),
        "delta": delta,
    }


def _sum(terms: Float64Array1D) -> Floats:
    return grouped_sums(terms, np.zeros(len(terms), dtype=np.int64), 1)[:, 0]


def _keys_of(
    n_instruments: int, rows: Int64Array1D, *columns: Float64Array1D
) -> tuple[Int64Array1D, list[Float64Array1D]]:
    numbers, keys = distinct_keys(*(column[rows] for column in columns))
    key_of = np.full(n_instruments, -1, dtype=np.int64)
    key_of[rows] = numbers
    return key_of, keys


def _by_key(key_of: Int64Array1D, terms: Float64Array1D, holdings: Holdings, n_keys: int) -> Floats:
    key = key_of[holdings.instrument]
    held = np.flatnonzero(key >= 0)
    return grouped_sums(terms[held], key[held], n_keys)
