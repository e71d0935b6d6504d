"""At which price each position was last settled, out of two closes and what it was entered at.

A venue tells the average price of entry, which knows nothing of our daily settlement. What was held
at the last close was settled at its mark then; what was added since was entered at a price that the
two averages give away. What became smaller keeps the price of its last settlement.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D
from infra.market.connected.frames import SourceFrames

_Key: TypeAlias = tuple[str, str]
_Earlier: TypeAlias = Iterable[tuple[date, Mapping[str, SourceFrames]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """The close that positions are of.

    Attributes
    ----------
    day : pandas.Timestamp
        Business date.
    read_at : mapping of str to pandas.Timestamp
        By account that was read: the instant.
    expired : frozenset of str
        Instruments that expired inside the day.
    """

    day: pd.Timestamp
    read_at: Mapping[str, pd.Timestamp]
    expired: frozenset[str]


@dataclass(slots=True)
class _Before:
    """What is known of one account's position at its last settlement."""

    row: Mapping[Hashable, Any]
    mark: float


@dataclass(slots=True)
class _Search:
    """Positions whose last settlement is looked for, from the newest close backwards."""

    open: set[_Key]
    found: dict[_Key, _Before] = field(default_factory=dict)
    newest: set[_Key] = field(default_factory=set)


def with_settled_prices(
    positions: pd.DataFrame,
    earlier: _Earlier,
    instruments: pd.DataFrame,
    present: Present,
) -> pd.DataFrame:
    """Return positions with their settled prices, and those that expired inside the day.

    What was held at the last close of an instrument that has expired since settles once more,
    though no venue shows it any longer.

    Parameters
    ----------
    positions : pandas.DataFrame
        Of venues, with ``entry_price``.
    earlier : iterable of (datetime.date, mapping of str to SourceFrames)
        Readings of earlier closes, newest first.
    instruments : pandas.DataFrame
        Contract ``instruments``.
    present : Present
    """
    terms = instruments.set_index("instrument_id")
    wanted = set(zip(positions["account_id"], positions["instrument_id"], strict=True))
    search = _Search(wanted)
    for place, (_, sources) in enumerate(earlier):
        _look(search, sources, is_newest=place == 0)
        if not search.open and place:
            break
    if not search.found:
        return positions
    keys = list(zip(positions["account_id"], positions["instrument_id"], strict=True))
    nothing = _Before({"quantity": np.nan, "entry_price": np.nan}, np.nan)
    before = [search.found.get(key, nothing) for key in keys]
    payoff = terms.reindex(positions["instrument_id"])
    is_reciprocal = ((payoff["payoff"] == "inverse") & (payoff["kind"] != "option")).to_numpy()
    settled = _settled(
        positions["quantity"].to_numpy(dtype=np.float64),
        positions["entry_price"].to_numpy(dtype=np.float64),
        np.array([each.row["quantity"] for each in before], dtype=np.float64),
        np.array([each.row["entry_price"] for each in before], dtype=np.float64),
        np.array([each.mark for each in before], dtype=np.float64),
        is_reciprocal,
    )
    return _with_expired(positions.assign(settled_price=settled), search, present)


def _look(search: _Search, sources: Mapping[str, SourceFrames], *, is_newest: bool) -> None:
    """Find what one earlier close says; a position that it does not show was opened since."""
    shown: set[_Key] = set()
    accounts: set[str] = set()
    for source in sources.values():
        accounts |= set(source.frame("collateral")["location"].astype(str))
        marks = source.frame("marks").set_index("instrument_id")["mark_price"].to_dict()
        for row in source.frame("positions").to_dict(orient="records"):
            key = (str(row["account_id"]), str(row["instrument_id"]))
            shown.add(key)
            if is_newest:
                search.newest.add(key)
            # Without a mark it was not settled then: an earlier close says at what it was.
            if key[1] in marks and (key in search.open or is_newest):
                search.found.setdefault(key, _Before(row, float(marks[key[1]])))
                search.open.discard(key)
    accounts |= {account for account, _ in shown}
    search.open -= {key for key in search.open if key[0] in accounts and key not in shown}


def _settled(
    now: Float64Array1D,
    entry: Float64Array1D,
    quantity_before: Float64Array1D,
    entry_before: Float64Array1D,
    mark_before: Float64Array1D,
    is_reciprocal: BoolArray1D,
) -> Float64Array1D:
    """Return settled prices; inverse contracts average the reciprocals of prices."""
    grows = np.abs(now) > np.abs(quantity_before)
    is_same_side = now * quantity_before > 0.0

    def flipped(price: Float64Array1D) -> Float64Array1D:
        return np.where(is_reciprocal, 1.0 / price, price)

    with np.errstate(divide="ignore", invalid="ignore"):
        share = quantity_before / now
        added = flipped(entry) + share * (flipped(mark_before) - flipped(entry_before))
        grown = flipped(added)
    kept = is_same_side & np.isfinite(mark_before)
    usable = kept & grows & np.isfinite(grown) & (grown > 0.0)
    settled: Float64Array1D = np.where(usable, grown, np.where(kept & ~grows, mark_before, entry))
    return settled


def _with_expired(
    positions: pd.DataFrame,
    search: _Search,
    present: Present,
) -> pd.DataFrame:
    shown = set(zip(positions["account_id"], positions["instrument_id"], strict=True))
    carried = []
    for key in sorted(search.newest - shown):
        account, instrument = key
        # An account that was not read now is not known to have delivered anything.
        if key not in search.found or account not in present.read_at:
            continue
        if instrument not in present.expired:
            continue
        before = search.found[key]
        carried.append(
            {
                **before.row, "business_date": present.day,
                "settled_price": before.mark, "observed_utc": present.read_at[account],
            }
        )  # fmt: skip
    if not carried:
        return positions
    rows = pd.DataFrame(carried, columns=positions.columns)
    rows["observed_utc"] = pd.to_datetime(rows["observed_utc"], utc=True)
    return pd.concat([positions, rows.astype(positions.dtypes.to_dict())], ignore_index=True)
