"""Which margin binds: what the house requires, or what the venues demand for the same positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D
from engine.kernels.compensated import grouped_in_order
from engine.rules import RuleBook

HOUSE: Final = "house"
VENUE: Final = "venue"
UNKNOWN: Final = "unknown"

VENUE_REQUIREMENT_COLUMNS: Final = (
    "venue_initial_margin", "venue_maintenance_margin", "n_venue_accounts",
    "n_venue_accounts_unknown", "binding", "owed",
)  # fmt: skip
"""What a requirement has on top where venue accounts are known."""


def venue_columns(
    requirements: pd.DataFrame,
    venue_margins: pd.DataFrame,
    fx_rate: Float64Array1D,
    rules: RuleBook,
) -> pd.DataFrame:
    """Return ``VENUE_REQUIREMENT_COLUMNS`` of each netting set, in the agreement's currency.

    The venues demand the sum over a netting set's accounts of ``venue_margins.demand``. Where an
    account's demand is unknown the sum is only a lower bound. It binds if it is already larger
    than the house's requirement; if it is not, nobody can say which side binds, and what is owed
    is never less than the house's requirement.

    Parameters
    ----------
    requirements : pandas.DataFrame
        Columns netting_set_id and requirement; NaN where the netting set failed.
    venue_margins : pandas.DataFrame
        ``VenueMargins.margins``: netting_set_id, demand and maintenance_demand [USD], NaN where
        unknown.
    fx_rate : Float64Array1D, shape (n_netting_sets,)
        USD per unit of the agreement's currency.
    rules : RuleBook
        Whose agreements say by their ``call_basis`` whether the larger margin is owed.

    Returns
    -------
    pandas.DataFrame
        Sums (0 without an account), counts of accounts and of those whose demand is unknown,
        ``binding`` (``house``, ``venue`` or ``unknown``), and ``owed``: the larger side, or the
        house's where the agreement says so. NaN for a failed netting set.
    """
    names = requirements["netting_set_id"]
    by_set = venue_margins.groupby("netting_set_id", sort=True)
    # Sums skip what is unknown; the count of it says so.
    initial = sums_by_set(venue_margins, "demand", names) / fx_rate
    maintenance = sums_by_set(venue_margins, "maintenance_demand", names) / fx_rate
    n_accounts = _reindexed(by_set.size(), names).astype(np.int64)
    is_unknown = venue_margins["demand"].isna()
    unknown = is_unknown.groupby(venue_margins["netting_set_id"], sort=True).sum()
    n_unknown = _reindexed(unknown, names).astype(np.int64)
    house: Float64Array1D = requirements["requirement"].to_numpy(dtype=np.float64)
    is_house_known = np.isfinite(house)
    exceeds: BoolArray1D = is_house_known & (initial > house)
    is_settled = is_house_known & ((n_unknown == 0) | exceeds)
    binding = np.where(is_settled, np.where(exceeds, VENUE, HOUSE), UNKNOWN)
    takes_larger = np.array(
        [rules.agreements[name].call_basis == "larger" for name in names.to_numpy(dtype=object)],
        dtype=np.bool_,
    )
    return pd.DataFrame(
        {
            "venue_initial_margin": initial,
            "venue_maintenance_margin": maintenance,
            "n_venue_accounts": n_accounts,
            "n_venue_accounts_unknown": n_unknown,
            "binding": pd.Series(binding, index=requirements.index).astype("str"),
            "owed": np.where(exceeds & takes_larger, initial, house),
        },
        index=requirements.index,
    )


def withholds_returns(columns: pd.DataFrame, names: pd.Series, rules: RuleBook) -> BoolArray1D:
    """Return where nothing is given back: an account's demand is unknown and would count."""
    takes_larger = [
        rules.agreements[name].call_basis == "larger" for name in names.to_numpy(dtype=object)
    ]
    withheld: BoolArray1D = (columns["n_venue_accounts_unknown"].to_numpy() > 0) & np.array(
        takes_larger, dtype=np.bool_
    )
    return withheld


def with_house_shares(
    venue_margins: pd.DataFrame,
    venue_positions: pd.DataFrame,
    contributions: pd.DataFrame,
    usd_per_unit: Mapping[str, float],
) -> pd.DataFrame:
    """Return ``venue_margins`` with ``house_share``: what the house requires for each account.

    A netting set's contributions are by instrument; where several of its accounts hold one, each
    takes the part of its absolute quantity. Shares of all accounts of a netting set add up to its
    requirement where every position lies in an account that is assessed. [USD]
    """
    owner = dict(zip(venue_margins["account_id"], venue_margins["netting_set_id"], strict=True))
    held = venue_positions[["account_id", "instrument_id"]].assign(
        netting_set_id=[owner[name] for name in venue_positions["account_id"]],
        size=venue_positions["quantity"].abs(),
    )
    whole = held.groupby(["netting_set_id", "instrument_id"], sort=True)["size"].transform("sum")
    table = held.assign(part=held["size"] / whole).merge(
        contributions[["netting_set_id", "instrument_id", "contribution"]],
        on=["netting_set_id", "instrument_id"],
        how="left",
    )
    rate = np.array([usd_per_unit[str(name)] for name in table["netting_set_id"]])
    table["share"] = table["contribution"].to_numpy() * table["part"].to_numpy() * rate
    # A failed netting set has no contributions: the shares of its accounts are unknown.
    shares = table.groupby("account_id", sort=True)["share"].sum(min_count=1)
    found = shares.reindex(venue_margins["account_id"]).to_numpy(dtype=np.float64)
    is_empty = (venue_margins["status"] == "assessed") & (venue_margins["n_positions"] == 0)
    return venue_margins.assign(house_share=np.where(is_empty, 0.0, found))


def sums_by_set(venue_margins: pd.DataFrame, column: str, names: pd.Series) -> Float64Array1D:
    """Return the sum of a column over the accounts of each netting set; unknown counts 0."""
    at = pd.Index(names).get_indexer(pd.Index(venue_margins["netting_set_id"]))
    values: Float64Array1D = venue_margins[column].to_numpy(dtype=np.float64)
    return grouped_in_order(values[at >= 0], at[at >= 0].astype(np.int64), len(names))


def _reindexed(values: pd.Series, names: pd.Series) -> Float64Array1D:
    found: Float64Array1D = values.reindex(names).fillna(0.0).to_numpy(dtype=np.float64)
    return found
