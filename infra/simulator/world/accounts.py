"""Contract ``accounts``: which margin mode each account of the book is in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import ObjectArray1D
from engine.venue_rules import AccountMode

MODE_UNKNOWN_SHARE: Final = 0.01
"""Accounts whose mode nobody has recorded."""
SWITCHED_SHARE: Final = 0.08
"""Accounts that changed their mode within the last quarter."""
_LEVERAGES: Final = (3.0, 5.0, 10.0, 20.0)

Modes = Mapping[str, Mapping[str, AccountMode]]
"""Margin modes that the rule book knows, by venue and name."""


def accounts_frame(
    positions: pd.DataFrame,
    open_orders: pd.DataFrame,
    modes: Modes,
    first: date,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Return every account that holds a position or an order, with its mode in force and before.

    An account of a venue without modes (the rule book knows no parameters of it) has none.

    Parameters
    ----------
    positions, open_orders : pandas.DataFrame
        The book.
    modes : mapping
        Modes on offer by venue.
    first : datetime.date
        First business date: every account is in force by then.
    """
    facts = ["account_id", "venue", "client_id", "netting_set_id"]
    used = pd.concat([positions[facts], open_orders[facts]], ignore_index=True)
    table = used.drop_duplicates("account_id").sort_values("account_id", ignore_index=True)
    n = len(table)
    names, earlier = np.full(n, "", dtype=object), np.full(n, "", dtype=object)
    draw, before = rng.random(n), rng.random(n)
    leverage = np.array(_LEVERAGES)[rng.integers(0, len(_LEVERAGES), n)]
    for venue, offered in sorted(modes.items()):
        words = np.array(sorted(offered), dtype=object)
        mine = np.flatnonzero(table["venue"] == venue)
        if len(words):
            names[mine] = words[(draw[mine] * len(words)).astype(np.int64)]
            earlier[mine] = words[(before[mine] * len(words)).astype(np.int64)]
    names[rng.random(n) < MODE_UNKNOWN_SHARE] = ""
    switched = (rng.random(n) < SWITCHED_SHARE) & (earlier != names) & (names != "")
    opened = _days(first, rng.integers(120, 1000, n))
    changed = _days(first, rng.integers(1, 90, n))
    now = table.assign(
        effective_date=np.where(switched, changed, opened), account_mode=names, leverage=leverage
    )
    past = table.assign(effective_date=opened, account_mode=earlier, leverage=leverage)[switched]
    frame = pd.concat([now, past], ignore_index=True)
    chooses = [
        str(name) in modes.get(str(venue), {})
        and modes[str(venue)][str(name)].futures_model == "tiered"
        for venue, name in zip(frame["venue"], frame["account_mode"], strict=True)
    ]
    frame["leverage"] = frame["leverage"].where(pd.Series(chooses), np.nan)
    frame["account_mode"] = frame["account_mode"].where(frame["account_mode"] != "")
    columns = ["account_id", "effective_date", *facts[1:], "account_mode", "leverage"]
    typed: pd.DataFrame = frame[columns].astype(
        {**dict.fromkeys((*facts, "account_mode"), "str"), "effective_date": "datetime64[ms]"}
    )
    return typed.sort_values(["account_id", "effective_date"], ignore_index=True)


def _days(first: date, ages: np.ndarray) -> ObjectArray1D:
    days: ObjectArray1D = np.array(
        [pd.Timestamp(first - timedelta(days=int(age))) for age in ages], dtype=object
    )
    return days
