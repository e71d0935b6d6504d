"""What the engine looks at: market, positions and collateral at one instant, all immutable.

The frames carry the columns of the data contracts of the same name (``data_contracts/``), already
validated: keys are unique, numbers finite and inside their limits. A row that was quarantined is
absent, and ``Snapshot.faults`` says so, which lets the engine name the reason when a netting set
has to be held.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

import pandas as pd

from engine.ids import SnapshotId


def _no_faults() -> pd.DataFrame:
    return pd.DataFrame({"dataset": [], "identifier": [], "reason": []}, dtype="str")


def no_accounts() -> pd.DataFrame:
    """Return contract ``accounts`` without a row: no venue margin is computed."""
    texts = ("account_id", "venue", "client_id", "netting_set_id", "account_mode")
    return pd.DataFrame(
        {
            "account_id": pd.Series([], dtype="str"),
            "effective_date": pd.Series([], dtype="datetime64[ms]"),
            **{name: pd.Series([], dtype="str") for name in texts[1:]},
            "leverage": pd.Series([], dtype="float64"),
        }
    )


def no_venue_margin() -> pd.DataFrame:
    """Return contract ``venue_margin`` without a row: no venue has reported."""
    amounts = ("reported_initial_margin", "reported_maintenance_margin", "reported_equity")
    return pd.DataFrame(
        {
            "business_date": pd.Series([], dtype="datetime64[ms]"),
            **{name: pd.Series([], dtype="str") for name in ("account_id", "bucket", "currency")},
            **{name: pd.Series([], dtype="float64") for name in amounts},
            "observed_utc": pd.Series([], dtype="datetime64[ms, UTC]"),
        }
    )


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The market at ``as_of``, named by the hash of its content.

    Attributes
    ----------
    snapshot_id : SnapshotId
        Hash of all frames, positions and collateral included.
    business_date : date
        Date being closed.
    as_of : datetime
        UTC instant of the close.
    instruments : pandas.DataFrame
        Contract ``instruments``; one row per instrument_id, sorted by it.
    marks : pandas.DataFrame
        Contract ``marks`` of the business date: mark_price; options also mark_iv, forward_price.
    index_prices : pandas.DataFrame
        Contract ``index_prices`` of the business date, one row per asset. [USD]
    fx_rates : pandas.DataFrame
        Contract ``fx_rates`` of the business date, one row per asset. [USD per unit]
    funding : pandas.DataFrame
        Contract ``funding``: rates between the previous close (exclusive) and ``as_of``.
    liquidity : pandas.DataFrame
        Contract ``liquidity`` of the business date, one row per asset.
    price_history : pandas.DataFrame
        Contract ``price_history`` up to the business date, one row per (asset, date), sorted.
    volatility_history : pandas.DataFrame
        Contract ``volatility_history`` up to the business date.
    basis_history : pandas.DataFrame
        Contract ``basis_history`` up to the business date.
    faults : pandas.DataFrame
        Columns dataset, identifier, reason: what validation kept out of the frames above.
    """

    snapshot_id: SnapshotId
    business_date: date
    as_of: datetime
    instruments: pd.DataFrame
    marks: pd.DataFrame
    index_prices: pd.DataFrame
    fx_rates: pd.DataFrame
    funding: pd.DataFrame
    liquidity: pd.DataFrame
    price_history: pd.DataFrame
    volatility_history: pd.DataFrame
    basis_history: pd.DataFrame
    faults: pd.DataFrame = field(default_factory=_no_faults)


@dataclass(frozen=True, slots=True, eq=False)
class PositionSet:
    """Holdings and open orders by source at the close.

    Attributes
    ----------
    positions : pandas.DataFrame
        Contract ``positions``: one row per (source, account_id, instrument_id); ``source`` is
        ``oms``, ``venue`` or ``clearing``. All three books are kept: the engine reconciles them
        and margins the worse one while a break is open.
    open_orders : pandas.DataFrame
        Contract ``open_orders``.
    accounts : pandas.DataFrame
        Contract ``accounts`` up to the business date; without a row no venue margin is computed.
    venue_margin : pandas.DataFrame
        Contract ``venue_margin`` of the business date: what the venues say they demand.
    """

    positions: pd.DataFrame
    open_orders: pd.DataFrame
    accounts: pd.DataFrame = field(default_factory=no_accounts)
    venue_margin: pd.DataFrame = field(default_factory=no_venue_margin)


@dataclass(frozen=True, slots=True, eq=False)
class CollateralSet:
    """Collateral by netting set, location and asset, as each source reports it.

    Attributes
    ----------
    holdings : pandas.DataFrame
        Contract ``collateral``: one row per (source, netting_set_id, location, asset, state).
    """

    holdings: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class LastFresh:
    """The last requirement of each netting set that rested on fresh data alone.

    Attributes
    ----------
    requirements : pandas.DataFrame
        Columns netting_set_id, business_date, requirement [agreement currency].
    """

    requirements: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(
            {
                "netting_set_id": pd.Series([], dtype="str"),
                "business_date": pd.Series([], dtype="datetime64[s]"),
                "requirement": pd.Series([], dtype="float64"),
            }
        )
    )
