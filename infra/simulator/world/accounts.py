"""Contract ``accounts``: which margin mode each account of the book is in."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import Float64Array1D, ObjectArray1D
from engine.venue_rules import AccountMode

MODE_UNKNOWN_SHARE: Final = 0.01
"""Accounts whose mode nobody has recorded."""
SWITCHED_SHARE: Final = 0.08
"""Accounts that changed their mode within the last quarter."""
_LEVERAGES: Final = (3.0, 5.0, 10.0, 20.0)

Modes = Mapping[str, Mapping[str, AccountMode]]
"""Margin modes that the rule book knows, by venue and name."""


def accounts_frame(
    positions: pd.DataFrame, open_orders: pd.DataFrame, modes: Modes, first: date, seed: int
) -> pd.DataFrame:
    """Return every account that holds a position or an order, with its mode in force and before.

    An account of a venue without modes (the rule book knows no parameters of it) has none. What an
    account draws depends on its own name and the seed, not on who else is there.

    Parameters
    ----------
    positions, open_orders : pandas.DataFrame
        The book.
    modes : mapping
        Modes on offer by venue.
    first : datetime.date
        First business date: every account is in force by then.
    seed : int
    """
    facts = ["account_id", "venue", "client_id", "netting_set_id"]
    used = pd.concat([positions[facts], open_orders[facts]], ignore_index=True)
    table = used.drop_duplicates("account_id").sort_values("account_id", ignore_index=True)
    n = len(table)
    names, earlier = np.full(n, "", dtype=object), np.full(n, "", dtype=object)
    draw, before, chance, age, level, unknown = _draws(table["account_id"], seed, 6)
    leverage = np.array(_LEVERAGES)[(level * len(_LEVERAGES)).astype(np.int64)]
    for venue, offered in sorted(modes.items()):
        words = np.array(sorted(offered), dtype=object)
        mine = np.flatnonzero(table["venue"] == venue)
        if len(words):
            names[mine] = words[(draw[mine] * len(words)).astype(np.int64)]
            earlier[mine] = words[(before[mine] * len(words)).astype(np.int64)]
    names[unknown < MODE_UNKNOWN_SHARE] = ""
    switched = (chance < SWITCHED_SHARE) & (earlier != names) & (names != "")
    opened = _days(first, 120 + (880 * age).astype(np.int64))
    changed = _days(first, 1 + (89 * age).astype(np.int64))
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


def _draws(names: pd.Series, seed: int, n: int) -> list[Float64Array1D]:
    """Return ``n`` numbers from 0 to 1 of each name."""
    rows = [
        np.random.default_rng([seed, zlib.crc32(str(name).encode())]).random(n) for name in names
    ]
    table = np.array(rows, dtype=np.float64).reshape(-1, n)
    return [np.ascontiguousarray(table[:, column]) for column in range(n)]


def _days(first: date, ages: np.ndarray) -> ObjectArray1D:
    days: ObjectArray1D = np.array(
        [pd.Timestamp(first - timedelta(days=int(age))) for age in ages], dtype=object
    )
    return days
