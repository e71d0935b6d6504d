"""Which rows of a dataset belong to a business date."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd

from data_contracts.contract import Kind, Window
from data_contracts.reading import BoolArray
from data_contracts.rules import close_instant


def outside(window: Window, kind: Kind, values: pd.Series, business_date: date) -> BoolArray:
    """Return the rows that belong to other dates, shape (n_rows,).

    ``values`` are canonical dates or instants; an empty one, which could not be read, is never
    outside, so that it meets its rule instead of disappearing.
    """
    if window is Window.ALWAYS:
        return np.zeros(len(values), dtype=bool)
    close = pd.Timestamp(close_instant(business_date))
    last = pd.Timestamp(business_date) if kind is Kind.DATE else close
    elsewhere: BoolArray = np.asarray(values > last, dtype=bool)
    if window is Window.ON_DATE:
        elsewhere = elsewhere | np.asarray(values < last, dtype=bool)
    elif window is Window.DAY:
        elsewhere = elsewhere | np.asarray(values <= last - timedelta(days=1), dtype=bool)
    return elsewhere
