"""What the venues demand of chosen netting sets at the newest marks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.binding import sums_by_set
from engine.intraday.changes import VenueReport
from engine.intraday.frames import order_frame, position_frame
from engine.intraday.holdings import Holdings
from engine.reconciliation import SOURCES
from engine.rules import RuleBook
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from engine.venue_accounts.assembly import venue_margins

_AMOUNTS = ("reported_initial_margin", "reported_maintenance_margin", "reported_equity")


class VenueReports:
    """What venues report of their accounts: contract ``venue_margin``, newest by key."""

    def __init__(self, base: pd.DataFrame) -> None:
        self._base = base
        self._rows: dict[tuple[str, str], dict[str, object]] = {
            (str(row["account_id"]), str(row["bucket"])): {str(k): v for k, v in row.items()}
            for row in base.to_dict(orient="records")
        }
        self._frame: pd.DataFrame | None = base

    def apply(self, report: VenueReport, day: pd.Timestamp) -> bool:
        """Take in a report; return whether any figure of it is news."""
        key = (report.account_id, report.bucket)
        row: dict[str, object] = {
            "business_date": day,
            "account_id": report.account_id,
            "bucket": report.bucket,
            "currency": report.currency,
            "reported_initial_margin": report.initial_margin,
            "reported_maintenance_margin": report.maintenance_margin,
            "reported_equity": report.equity,
            "observed_utc": pd.Timestamp(report.observed_ns, unit="ns", tz="UTC"),
        }
        known = self._rows.get(key)
        names = ("currency", "reported_initial_margin", "reported_maintenance_margin")
        is_news = known is None or any(known[name] != row[name] for name in names)
        self._rows[key] = row
        self._frame = None
        return is_news

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return all reports by account and bucket."""
        rows = [self._rows[key] for key in sorted(self._rows)]
        texts = {
            f"report.{name}": np.array([str(row[name]) for row in rows], dtype=str).reshape(-1)
            for name in ("account_id", "bucket", "currency")
        }
        amounts = {
            f"report.{name}": np.array([row[name] for row in rows], dtype=np.float64)
            for name in _AMOUNTS
        }
        observed = [pd.Timestamp(row["observed_utc"]).value for row in rows]  # type: ignore[arg-type]
        return {**texts, **amounts, "report.observed_ns": np.array(observed, dtype=np.int64)}

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]], day: pd.Timestamp) -> None:
        """Put the reports of a state in place."""
        self._rows, self._frame = {}, None
        names = ("account_id", "bucket", "currency", *_AMOUNTS, "observed_ns")
        columns = [state[f"report.{name}"].tolist() for name in names]
        for values in zip(*columns, strict=True):
            self.apply(VenueReport(*values), day)

    def frame(self) -> pd.DataFrame:
        """Return contract ``venue_margin``, sorted by account and bucket once it has changed."""
        if self._frame is None:
            rows = [self._rows[key] for key in sorted(self._rows)]
            frame = pd.DataFrame(rows, columns=list(self._base.columns))
            kinds = {name: kind for name, kind in self._base.dtypes.items() if name in frame}
            self._frame = frame.astype(kinds)
        return self._frame


@dataclass(frozen=True, slots=True, eq=False)
class Demanded:
    """What the venues demand of chosen netting sets. [agreement currency]

    ``initial`` sums what is known; ``is_unknown`` says whether any account's demand is not.
    """

    initial: Float64Array1D
    is_unknown: BoolArray1D


def demands_of(
    margins: pd.DataFrame | None, names: ObjectArray1D, fx_rate: Float64Array1D
) -> Demanded:
    """Return the demands of netting sets from those of their accounts, as ``engine.binding`` does.

    Parameters
    ----------
    margins : pandas.DataFrame or None
        From ``demanded``.
    names : ObjectArray1D of str
        The netting sets.
    """
    n = len(names)
    if margins is None or margins.empty:
        return Demanded(np.zeros(n), np.zeros(n, dtype=np.bool_))
    unknown = margins["demand"].isna().groupby(margins["netting_set_id"], sort=True).sum()
    initial = sums_by_set(margins, "demand", pd.Series(names)) / fx_rate
    is_unknown = unknown.reindex(names).fillna(0.0).to_numpy(dtype=np.float64) > 0.0
    return Demanded(initial, is_unknown)


def demanded(
    snapshot: Snapshot,
    holdings: Holdings,
    base: PositionSet,
    reported: pd.DataFrame,
    confirmed: pd.DataFrame,
    chosen: Int64Array1D,
    rules: RuleBook,
) -> pd.DataFrame | None:
    """Return ``VenueMargins.margins`` of the accounts of the chosen netting sets.

    None where no venue account is known at all, as in the close.
    """
    if base.accounts.empty:
        return None
    positions = _own(holdings, base, reported, chosen)
    collateral = CollateralSet(confirmed.assign(source=SOURCES[0]))
    return venue_margins(snapshot, positions, collateral, rules).margins


def _own(
    holdings: Holdings, base: PositionSet, reported: pd.DataFrame, chosen: Int64Array1D
) -> PositionSet:
    table = holdings.positions
    parts = [table.rows_of(netting_set) for netting_set in chosen.tolist()]
    rows = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
    held = _with_all_sources(position_frame(holdings, rows), holdings)
    orders = order_frame(holdings, [n for n in chosen.tolist() if n in holdings.orders])
    names = {holdings.netting_sets[netting_set] for netting_set in chosen.tolist()}
    accounts = base.accounts[base.accounts["netting_set_id"].isin(names)].reset_index(drop=True)
    at = {*held["account_id"], *orders["account_id"], *accounts["account_id"]}
    return PositionSet(held, orders, accounts, reported[reported["account_id"].isin(at)])


def _with_all_sources(held: pd.DataFrame, holdings: Holdings) -> pd.DataFrame:
    """Return positions with every source that reports anything: silence means that it holds none.

    Of a few netting sets alone, a source might seem not to report at all.
    """
    present = set(held["source"])
    missing = [SOURCES[i] for i in holdings.position_sources if SOURCES[i] not in present]
    if held.empty or not missing:
        return held
    silent = [held.iloc[:1].assign(source=name, quantity=0.0) for name in missing]
    return pd.concat([held, *silent], ignore_index=True)
