"""Equity of accounts and buckets, and the ratio by which a venue decides to liquidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D, ObjectArray1D
from engine.venue_accounts.equity import FROM_COLLATERAL, FROM_REPORT, Equity
from engine.venue_accounts.governing import MarginedAccounts

MARGIN_BALANCE: Final = "margin_balance"
ADJUSTED_EQUITY: Final = "adjusted_equity"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BucketEquity:
    """Equity behind buckets and accounts; NaN where nobody knows it.

    Attributes
    ----------
    by_bucket : Float64Array1D, shape (n_buckets,)
        In the bucket's currency; where one equity stands behind all buckets of an account, each
        shows it whole.
    by_account : Float64Array1D, shape (n_accounts,)
        [USD]
    source : ObjectArray1D of str, shape (n_accounts,)
        ``venue report``, ``collateral`` or empty.
    """

    by_bucket: Float64Array1D
    by_account: Float64Array1D
    source: ObjectArray1D


def bucket_equity(
    accounts: MarginedAccounts,
    buckets: pd.DataFrame,
    own: Equity,
    reported: pd.DataFrame,
    rates: dict[str, float],
) -> BucketEquity:
    """Return the equity behind each bucket: as the venue reports it, else from collateral there.

    Where buckets are assets, each has the equity of its asset alone; elsewhere one equity stands
    behind the whole account, and adding up what each bucket shows would count it several times.

    Parameters
    ----------
    buckets : pandas.DataFrame
        Columns account (row), bucket, currency, usd_rate.
    own : Equity
        From collateral at the venue.
    reported : pandas.DataFrame
        Contract ``venue_margin``.
    rates : dict of str to float
        USD per unit.
    """
    modes = [accounts.market.terms.modes[int(row)].mode for row in accounts.mode]
    is_split = np.array([m is not None and m.bucket == "settlement_asset" for m in modes])
    n = accounts.books.n_accounts
    row_of = {str(name): row for row, name in enumerate(accounts.account_id)}
    told = reported[reported["reported_equity"].notna() & reported["account_id"].isin(row_of)]
    usd = told["reported_equity"].to_numpy() * np.array(
        [rates.get(str(name), np.nan) for name in told["currency"]], dtype=np.float64
    )
    told = told.assign(account=[row_of[str(name)] for name in told["account_id"]], usd=usd)
    by_account, source = np.full(n, np.nan), np.full(n, "", dtype=object)
    owned = own.by_asset.groupby("account", sort=True)["counted"].sum()
    for account, value in owned.items():
        by_account[int(str(account))], source[int(str(account))] = float(value), FROM_COLLATERAL
    for account, rows in told.groupby("account", sort=True):
        row = int(str(account))
        by_account[row] = float(rows["usd"].sum() if is_split[row] else rows["usd"].min())
        source[row] = FROM_REPORT
    said = {(int(a), str(b)): float(v) for a, b, v in told[["account", "bucket", "usd"]].to_numpy()}
    kept = {
        (int(a), str(b)): float(v)
        for a, b, v in own.by_asset[["account", "asset", "usd_value"]].to_numpy()
    }
    found = np.full(len(buckets), np.nan)
    for at, (account, bucket, rate) in enumerate(
        zip(buckets["account"], buckets["bucket"], buckets["usd_rate"], strict=True)
    ):
        if not is_split[account]:
            found[at] = by_account[account]
        elif source[account] == FROM_REPORT:
            found[at] = said.get((account, str(bucket)), np.nan) / rate
        elif source[account] == FROM_COLLATERAL:
            # Collateral in other assets does not stand behind this one.
            found[at] = kept.get((account, str(bucket)), 0.0) / rate
    return BucketEquity(by_bucket=found, by_account=by_account, source=source)


def margin_ratios(
    accounts: MarginedAccounts,
    buckets: pd.DataFrame,
    equity: BucketEquity,
    maintenance: Float64Array1D,
) -> tuple[Float64Array1D, ObjectArray1D]:
    """Return each account's ratio in its venue's own definition, and which one that is.

    ``margin_balance``: maintenance margin over equity, of the worst bucket where buckets have
    equity of their own; infinite without equity. ``adjusted_equity``: equity over maintenance
    margin; infinite where nothing has to be maintained. NaN where equity is unknown.
    """
    n = accounts.books.n_accounts
    ratio, kind = np.full(n, np.nan), np.full(n, "", dtype=object)
    worst = _worst_buckets(buckets, equity.by_bucket, n)
    is_assessed = accounts.is_assessed
    for row in range(n):
        mode = accounts.market.terms.modes[int(accounts.mode[row])].mode
        if mode is None or not is_assessed[row]:
            continue
        kind[row] = mode.ratio
        if mode.ratio == MARGIN_BALANCE and mode.bucket == "settlement_asset":
            ratio[row] = worst[row]
        elif np.isfinite(equity.by_account[row]):
            need, held = float(maintenance[row]), float(equity.by_account[row])
            ratio[row] = _cover(held, need) if mode.ratio == ADJUSTED_EQUITY else _use(need, held)
    return ratio, kind


def _worst_buckets(
    buckets: pd.DataFrame, by_bucket: Float64Array1D, n_accounts: int
) -> Float64Array1D:
    worst = np.full(n_accounts, np.nan)
    for account, need, held in zip(
        buckets["account"].tolist(),
        buckets["maintenance_margin"].tolist(),
        by_bucket.tolist(),
        strict=True,
    ):
        if np.isfinite(held):
            worst[account] = np.fmax(worst[account], _use(need, held))
    return worst


def _use(need: float, held: float) -> float:
    if need <= 0.0:
        return 0.0
    return need / held if held > 0.0 else float("inf")


def _cover(held: float, need: float) -> float:
    return held / need if need > 0.0 else float("inf")
