"""Drift: what each venue says it demands, against our replica of its rules.

A replica that nobody compares is an opinion. Every close puts each account's reported margin
beside ours, bucket by bucket, in a tolerance class, and names the probable cause of what neither
rounding nor the seconds between two snapshots explain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D

EXACT: Final = "exact"
SNAPSHOT_SKEW: Final = "snapshot_skew"
MODEL_ONLY: Final = "model_only"
UNREPORTED: Final = "unreported"
UNMODELLED: Final = "unmodelled"
DRIFT_CLASSES: Final = (EXACT, SNAPSHOT_SKEW, MODEL_ONLY, UNMODELLED, UNREPORTED)

EXACT_RELATIVE: Final = 1e-9
SKEW_RELATIVE: Final = 2e-4
"""Venues take positions and prices of one payload seconds apart; their own samples are as far off
as this from their own rules."""
_AMOUNT_NOISE: Final = 1e-8
_LABELS_SHOWN: Final = 4

MISSING_POSITION: Final = "missing_position"
PARAMETERS: Final = "parameters"
UNKNOWN: Final = "unknown"
CAUSES: Final = ("", MISSING_POSITION, PARAMETERS, SNAPSHOT_SKEW, UNKNOWN)

DRIFT_TYPES: Final[dict[str, str]] = {
    "account_id": "str", "venue": "str", "netting_set_id": "str", "account_mode": "str",
    "bucket": "str", "currency": "str", "initial_margin": "float64",
    "reported_initial_margin": "float64", "maintenance_margin": "float64",
    "reported_maintenance_margin": "float64", "difference": "float64",
    "relative_difference": "float64", "drift_class": "str", "cause": "str", "detail": "str",
}  # fmt: skip
DRIFT_COLUMNS: Final = tuple(DRIFT_TYPES)
WITHOUT_COLUMNS: Final = (
    "account_id", "bucket", "without", "initial_margin", "maintenance_margin",
)  # fmt: skip
SHIFTED_COLUMNS: Final = (
    "account_id", "bucket", "shift", "initial_margin", "maintenance_margin",
    "initial_margin_shifted", "maintenance_margin_shifted",
)  # fmt: skip
PRICE_SHIFTS: Final = (1e-4, -1e-4)
"""Relative moves of all prices at which ``Trials.shifted`` is computed. [-]"""
PRICE_SHIFT_MAX: Final = 1e-3
"""Prices of one second are not further apart than this; beyond it a shift explains nothing."""

_FIGURES: Final = ("initial_margin", "maintenance_margin")
_KEY: Final = ["account_id", "bucket"]


@dataclass(frozen=True, slots=True, eq=False)
class Replica:
    """Our side of the comparison.

    Attributes
    ----------
    accounts : pandas.DataFrame
        One row per account: account_id, venue, netting_set_id, account_mode, status
        (``assessed``, ``failed`` or ``unmodelled``), reason.
    buckets : pandas.DataFrame
        One row per assessed account and bucket: account_id, bucket, currency, initial_margin,
        maintenance_margin. [currency]
    usd_rates : dict of str to float
        USD per unit, for venues that report in another currency than the bucket's.
    """

    accounts: pd.DataFrame
    buckets: pd.DataFrame
    usd_rates: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """Our figures of accounts in doubt under other suppositions. [bucket's currency]

    Attributes
    ----------
    without : pandas.DataFrame
        ``WITHOUT_COLUMNS``: without the positions named in ``without``.
    shifted : pandas.DataFrame
        ``SHIFTED_COLUMNS``: figures at the prices of the close, and at all prices moved by
        ``shift``. Several rows of one bucket and shift are several books that may govern: which
        side of the orders is worse can change within a second.
    parameters : pandas.DataFrame
        account_id, bucket, label: the parameter sets that our figures rest on.
    """

    without: pd.DataFrame
    shifted: pd.DataFrame
    parameters: pd.DataFrame


def measure_drift(replica: Replica, reported: pd.DataFrame) -> pd.DataFrame:
    """Return each account's drift by bucket, largest class of trouble first within an account.

    Parameters
    ----------
    replica : Replica
        Our margins.
    reported : pandas.DataFrame
        Contract ``venue_margin`` of the date.

    Returns
    -------
    pandas.DataFrame
        Columns ``DRIFT_COLUMNS`` sorted by account and bucket. Amounts in ``currency``, that of
        the report where there is one. ``difference`` is reported less ours, of the figure that
        is further off; ``relative_difference`` is that over the larger of both. ``drift_class``:
        ``exact`` up to 1e-9, ``snapshot_skew`` up to 2e-4, ``model_only`` beyond;
        ``unmodelled`` without a figure of ours, ``unreported`` without one of the venue's.
        ``cause`` and ``detail`` are empty; see ``with_causes``.
    """
    table = _matched(replica, reported)
    ours, theirs = table[list(_FIGURES)], table[[f"reported_{name}" for name in _FIGURES]]
    off: np.ndarray = theirs.to_numpy() - ours.to_numpy()
    larger = np.maximum(np.abs(theirs.to_numpy()), np.abs(ours.to_numpy()))
    relative = np.divide(off, larger, out=np.zeros_like(off), where=larger > _AMOUNT_NOISE)
    relative[np.abs(off) <= _AMOUNT_NOISE] = 0.0
    relative[np.isnan(off)] = np.nan
    worse = np.where(np.abs(relative[:, 0]) >= np.abs(relative[:, 1]), 0, 1)
    rows = np.arange(len(table))
    table["difference"], table["relative_difference"] = off[rows, worse], relative[rows, worse]
    table["drift_class"] = _classes(table)
    for name in ("cause", "detail"):
        table[name] = table["reason"] if name == "detail" else ""
    ordered = table[list(DRIFT_COLUMNS)].astype(DRIFT_TYPES)
    return ordered.sort_values(_KEY, ignore_index=True)


def with_causes(drift: pd.DataFrame, trials: Trials) -> pd.DataFrame:
    """Return ``drift`` with the probable cause of what is beyond the tolerance of a snapshot skew.

    The first of these that fits: one small move of all prices explains both figures, as where
    margins grow faster than prices, or all figures of the account are off by one small factor
    (``snapshot_skew``); the venue's figure is ours without some of the positions
    (``missing_position``); only one of the two figures differs, or only this bucket of the account,
    so that prices and positions agree and a parameter does not (``parameters``); else
    ``unknown``.
    """
    explained = drift.copy()
    labels = trials.parameters.groupby(_KEY, sort=True)["label"].agg(_listed).to_dict()
    without = dict(list(trials.without.groupby(_KEY, sort=True)))
    shifted = dict(list(trials.shifted.groupby(_KEY, sort=True)))
    by_account = dict(list(drift.groupby("account_id", sort=True)))
    causes, details = drift["cause"].tolist(), drift["detail"].tolist()
    for row in np.flatnonzero((drift["drift_class"] == MODEL_ONLY).to_numpy()).tolist():
        found = drift.iloc[row]
        key = str(found["account_id"]), str(found["bucket"])
        case = _Case(
            ours=found[list(_FIGURES)].to_numpy(dtype=np.float64),
            theirs=found[[f"reported_{name}" for name in _FIGURES]].to_numpy(dtype=np.float64),
            without=without.get(key, trials.without.iloc[:0]),
            shifted=shifted.get(key, trials.shifted.iloc[:0]),
            account=by_account[key[0]],
            bucket=key[1],
            label=labels.get(key, ""),
        )
        causes[row], details[row] = _cause(case)
    explained["cause"] = pd.Series(causes, dtype="str")
    explained["detail"] = pd.Series(details, dtype="str")
    return explained


def agrees(ours: Float64Array1D, theirs: Float64Array1D) -> BoolArray1D:
    """Return where two figures differ by no more than a snapshot skew."""
    larger = np.maximum(np.abs(ours), np.abs(theirs))
    close: BoolArray1D = np.abs(ours - theirs) <= np.maximum(SKEW_RELATIVE * larger, _AMOUNT_NOISE)
    return close


def _matched(replica: Replica, reported: pd.DataFrame) -> pd.DataFrame:
    """Return one row per account and bucket of either side, in one currency."""
    theirs = reported[[*_KEY, "currency", *(f"reported_{name}" for name in _FIGURES)]]
    table = replica.buckets.merge(theirs, on=_KEY, how="outer", suffixes=("_ours", ""))
    unlisted = replica.accounts[~replica.accounts["account_id"].isin(table["account_id"])]
    table = pd.concat([table, unlisted[["account_id"]].assign(bucket="account")])
    facts = replica.accounts.rename(columns={"status": "account_status"})
    table = table.merge(facts, on="account_id", how="left")
    for name in ("venue", "netting_set_id", "account_mode", "account_status", "reason"):
        table[name] = table[name].astype(object).fillna("").astype("str")
    ours_in = table["currency_ours"].where(table["currency_ours"].notna(), table["currency"])
    currency = table["currency"].where(table["currency"].notna(), ours_in).fillna("USD")
    factor = _rates(ours_in.fillna("USD"), replica) / _rates(currency, replica)
    # A zero of ours needs no rate.
    same = (ours_in == currency).to_numpy() | ours_in.isna().to_numpy()
    factor = np.where(same, 1.0, factor)
    is_ours = (table["account_status"] == "assessed").to_numpy()
    is_reported = table["account_id"].isin(reported["account_id"]).to_numpy()
    for name in _FIGURES:
        # A bucket that one side does not list is empty on that side, if it lists others.
        mine = table[name].fillna(0.0).to_numpy(dtype=np.float64) * factor
        table[name] = np.where(is_ours, mine, np.nan)
        column = f"reported_{name}"
        table[column] = np.where(is_reported, table[column].fillna(0.0), np.nan)
    table["currency"] = currency
    # An account that is empty on our side and on the venue's has nothing to compare.
    is_empty = is_ours & ~is_reported & (table["initial_margin"] == 0.0).to_numpy()
    return table[~is_empty].reset_index(drop=True)


def _rates(currencies: pd.Series, replica: Replica) -> Float64Array1D:
    return np.array([replica.usd_rates.get(str(name), np.nan) for name in currencies])


def _classes(table: pd.DataFrame) -> np.ndarray:
    size = table["relative_difference"].abs().to_numpy()
    return np.select(
        [
            table["reported_initial_margin"].isna().to_numpy(),
            table["initial_margin"].isna().to_numpy(),
            size <= EXACT_RELATIVE,
            size <= SKEW_RELATIVE,
        ],
        [UNREPORTED, UNMODELLED, EXACT, SNAPSHOT_SKEW],
        MODEL_ONLY,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """One account and bucket beyond the tolerance; figures are initial, then maintenance."""

    ours: Float64Array1D
    theirs: Float64Array1D
    without: pd.DataFrame
    shifted: pd.DataFrame
    account: pd.DataFrame
    bucket: str
    label: str


def _cause(case: _Case) -> tuple[str, str]:
    shift = _price_shift(case)
    if np.isfinite(shift):
        return SNAPSHOT_SKEW, f"prices {abs(shift):.4%} {'higher' if shift > 0.0 else 'lower'}"
    left_out = _left_out(case)
    if left_out:
        return MISSING_POSITION, f"the venue's figure is ours without {left_out}"
    one_agrees = agrees(case.ours, case.theirs)
    of_set = f"; ours rests on {case.label}" if case.label else ""
    if one_agrees.any():
        agreeing = "initial" if one_agrees[0] else "maintenance"
        return PARAMETERS, f"{agreeing} margin agrees, the other does not{of_set}"
    factors = _factors(case.account)
    off_by = float(factors.mean()) if factors.size else np.nan
    if factors.size and factors.max() - factors.min() <= SKEW_RELATIVE:
        cause = SNAPSHOT_SKEW if abs(off_by - 1.0) <= PRICE_SHIFT_MAX else PARAMETERS
        return cause, f"all figures are off by the factor {off_by:.6f}{of_set}"
    others = case.account[case.account["bucket"] != case.bucket]
    if len(others) and others["drift_class"].isin([EXACT, SNAPSHOT_SKEW]).all():
        return PARAMETERS, f"the account's other buckets agree{of_set}"
    return UNKNOWN, "neither positions, nor prices, nor one figure alone explains it"


def _left_out(case: _Case) -> str:
    """Return the positions without which both our figures are the venue's, or empty text."""
    figures = case.without[list(_FIGURES)].to_numpy(dtype=np.float64)
    fits = np.ones(len(figures), dtype=np.bool_)
    for column, theirs in enumerate(case.theirs.tolist()):
        fits &= agrees(figures[:, column], np.full(len(figures), theirs))
    return str(case.without["without"].iloc[int(np.argmax(fits))]) if fits.any() else ""


def _price_shift(case: _Case) -> float:
    """Return the move of all prices that turns both our figures into the venue's, or NaN."""
    bases = case.shifted[list(_FIGURES)].to_numpy(dtype=np.float64)
    moved = case.shifted[[f"{name}_shifted" for name in _FIGURES]].to_numpy(dtype=np.float64)
    # Up and down: where the worst cell changes, margins rise and fall at different rates.
    slopes = (moved - bases) / case.shifted[["shift"]].to_numpy(dtype=np.float64)
    for base, slope in zip(bases, slopes, strict=True):
        shift = _shift_from(base, slope, case.theirs)
        if np.isfinite(shift):
            return shift
    return float("nan")


def _shift_from(base: Float64Array1D, slope: Float64Array1D, theirs: Float64Array1D) -> float:
    steepest = int(np.argmax(np.abs(slope)))
    if slope[steepest] == 0.0:
        return float("nan")
    shift = float((theirs[steepest] - base[steepest]) / slope[steepest])
    # The worst cell or the tier may change on the way: a fifth of the tolerance is left for it.
    rest = np.abs(base + slope * shift - theirs)
    larger = np.maximum(np.abs(base), np.abs(theirs))
    fits = (rest <= np.maximum(0.2 * SKEW_RELATIVE * larger, _AMOUNT_NOISE)).all()
    return shift if fits and abs(shift) <= PRICE_SHIFT_MAX else float("nan")


def _listed(labels: pd.Series) -> str:
    names = sorted(str(name) for name in labels)
    more = f" and {len(names) - _LABELS_SHOWN} more" if len(names) > _LABELS_SHOWN else ""
    return ", ".join(names[:_LABELS_SHOWN]) + more


def _factors(account: pd.DataFrame) -> Float64Array1D:
    """Return reported over ours of all figures of an account."""
    ours = account[list(_FIGURES)].to_numpy(dtype=np.float64).ravel()
    theirs = account[[f"reported_{name}" for name in _FIGURES]].to_numpy(dtype=np.float64).ravel()
    usable = np.isfinite(ours) & np.isfinite(theirs) & (ours > _AMOUNT_NOISE)
    factors: Float64Array1D = theirs[usable] / ours[usable]
    return factors
