"""Which rows of a dataset a business date needs: the window of its contract, bounded behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from data_contracts.contract import Contract, Kind, Window
from data_contracts.reading import read_column
from data_contracts.rules import close_instant
from infra.market.daily import HISTORY_YEARS

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows that a date needs, by one column.

    Attributes
    ----------
    column : str
        Date or instant in the source's frame.
    kind : Kind
        ``DATE`` or ``INSTANT``.
    first : date or datetime, optional
        Rows before it are not needed; a date is included, an instant is not.
    last : date or datetime
        Rows after it belong to later dates.
    """

    column: str
    kind: Kind
    first: date | datetime | None
    last: date | datetime


def selection_of(contract: Contract, columns: list[str], business_date: date) -> Selection | None:
    """Return what to select from a source with these columns, or None for every row."""
    dated = contract
    if contract.date_column not in columns and contract.finer is not None:
        dated = contract.finer
    if dated.date_column is None or dated.date_column not in columns:
        return None
    if contract.window is Window.ALWAYS:
        return None
    kind = dated.column(dated.date_column).kind
    last: date | datetime = business_date
    first: date | datetime | None = None
    if contract.window is Window.ON_DATE:
        first = business_date
    elif contract.daily_by is not None:
        first = _years_before(business_date)
    if kind is Kind.INSTANT:
        last = close_instant(business_date)
        if contract.window is Window.DAY:
            first = last - timedelta(days=1)
        elif isinstance(first, date):
            first = close_instant(first) - timedelta(days=1)
    return Selection(dated.date_column, kind, first, last)


def selected(cells: pd.Series, selection: Selection) -> BoolArray:
    """Return the rows to keep; a date that cannot be read is kept, for the contract to judge."""
    times = read_column(cells, selection.kind).values
    keep = np.asarray(times.isna() | (times <= pd.Timestamp(selection.last)), dtype=bool)
    if selection.first is not None:
        first = pd.Timestamp(selection.first)
        after = times >= first if selection.kind is Kind.DATE else times > first
        keep = keep & np.asarray(times.isna() | after, dtype=bool)
    return keep


def serves(
    contract: Contract, frame: pd.DataFrame, selection: Selection | None, business_date: date
) -> bool:
    """Return whether the rows can close the date: a history must reach the date itself."""
    if frame.empty:
        return False
    if selection is None or contract.daily_by is None:
        return True
    return business_date in dates_in(frame[selection.column], selection.kind)


def last_snapshots(frame: pd.DataFrame, instant: str, group: str) -> pd.DataFrame:
    """Return the rows of each group's last instant; rows that cannot be placed are kept."""
    if instant not in frame.columns or group not in frame.columns:
        return frame
    times = read_column(frame[instant], Kind.INSTANT).values
    groups = read_column(frame[group], Kind.IDENTIFIER).values
    last = times.groupby(groups.to_numpy()).transform("max")
    kept = frame[np.asarray(times.isna() | groups.isna() | (times == last), dtype=bool)]
    return kept.reset_index(drop=True)


def dates_in(cells: pd.Series, kind: Kind) -> list[date]:
    """Return the distinct business dates that the cells belong to, sorted.

    An instant of midnight closes the date before it.
    """
    times = read_column(cells, kind).values.dropna()
    if kind is Kind.INSTANT:
        times = (times - pd.Timedelta(1, "ms")).dt.tz_localize(None).dt.normalize()
    return sorted({instant.date() for instant in times.unique()})


def nearest_dates(dates: list[date], business_date: date) -> str:
    """Return a clause that names the dates nearest to ``business_date``."""
    if not dates:
        return "it has no readable date at all"
    before = [day for day in dates if day < business_date]
    after = [day for day in dates if day > business_date]
    near = [str(day) for day in (*before[-1:], *after[:1])]
    span = f"{len(dates):,} dates from {dates[0]} to {dates[-1]}"
    return f"the nearest {'are' if len(near) > 1 else 'is'} {' and '.join(near)}, of {span}"


def _years_before(business_date: date) -> date:
    year = business_date.year - HISTORY_YEARS
    try:
        return business_date.replace(year=year)
    except ValueError:
        # The 29th of February of a year that has none.
        return date(year, 3, 1)
