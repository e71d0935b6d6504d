"""Collateral by asset: what is held, what of it counts, and what cuts it."""

from __future__ import annotations

import pandas as pd

from infra.report.reporting import ReportingCurrency


def collateral_table(
    collateral: pd.DataFrame, netting_sets: pd.DataFrame, reporting: ReportingCurrency
) -> pd.DataFrame:
    """Return collateral summed by asset, largest value first.

    Parameters
    ----------
    collateral : pandas.DataFrame
        ``Assessment.collateral``. [agreement currency]
    netting_sets : pandas.DataFrame
        ``netting_set_table``: names the agreement currency of each netting set.
    reporting : ReportingCurrency
        Currency of the result.

    Returns
    -------
    pandas.DataFrame
        asset; quantity [units of the asset]; ``market_value``, ``haircut_value`` (cut by haircuts
        and currency mismatch), ``concentration_cut``, ``not_counted`` (pending, ineligible or
        without a price) and ``collateral_value`` [reporting currency], where the market value is
        the sum of the other four; ``share`` of the whole collateral value [-]; ``n_netting_sets``.
    """
    currency = dict(zip(netting_sets["netting_set_id"], netting_sets["currency"], strict=True))
    rate = [reporting.rates[currency[name]] for name in collateral["netting_set_id"]]
    keys = ["asset", "netting_set_id", "location", "state"]
    rows = collateral[[*keys, "quantity"]].copy()
    for column in ("market_value", "concentration_cut", "collateral_value"):
        rows[column] = collateral[column].to_numpy(dtype="float64") * rate
    counts = (rows["collateral_value"] + rows["concentration_cut"]) > 0.0
    rows["not_counted"] = rows["market_value"].where(~counts, 0.0)
    # A fixed order of rows, hence of sums: the same bytes however the frame came.
    by_asset = rows.sort_values(keys, kind="stable").groupby("asset", sort=True)
    summed = ["quantity", "market_value", "concentration_cut", "not_counted", "collateral_value"]
    table = by_asset[summed].sum()
    table["haircut_value"] = (
        table["market_value"]
        - table["not_counted"]
        - table["concentration_cut"]
        - table["collateral_value"]
    )
    whole = float(table["collateral_value"].sum())
    table["share"] = table["collateral_value"] / whole if whole > 0.0 else float("nan")
    table["n_netting_sets"] = by_asset["netting_set_id"].nunique()
    ordered = table.reset_index().sort_values(
        ["collateral_value", "asset"], ascending=[False, True], kind="stable", ignore_index=True
    )
    return ordered[
        [
            "asset", "quantity", "market_value", "haircut_value", "concentration_cut",
            "not_counted", "collateral_value", "share", "n_netting_sets",
        ]
    ]  # fmt: skip
