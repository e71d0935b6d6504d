"""Differences between the three books, planted as operations people know them.

===================  ===========================================================================
kind                 what one source shows
===================  ===========================================================================
missing_position     the position is absent from one source
wrong_sign           one source has it with the opposite sign
quantity_off         one source is a few lots, or a tenth, away
stale_quantity       one source still shows yesterday's quantity
duplicate_fill       one source has booked the day's trade twice
wrong_account        one source has it in another account of the netting set
balance_off          one source shows another collateral balance
===================  ===========================================================================

A netting set gets at most one. A third of those of the last date is a day old already.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

POSITION_BREAKS = (
    "missing_position",
    "wrong_sign",
    "quantity_off",
    "stale_quantity",
    "duplicate_fill",
    "wrong_account",
)
BALANCE_BREAK = "balance_off"
BALANCE_SHARE = 0.2
"""Part of all breaks that are in balances."""
AGED_SHARE = 1.0 / 3.0
KEY = ["source", "account_id", "instrument_id"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which netting sets break, and how; sorted by netting set."""

    kind_of: dict[str, str]
    aged: frozenset[str]

    def of_kinds(self, *kinds: str) -> dict[str, str]:
        """Return the netting sets of some kinds only."""
        return {key: kind for key, kind in self.kind_of.items() if kind in kinds}


def plan_breaks(netting_set_ids: list[str], break_share: float, rng: np.random.Generator) -> Plan:
    """Return which of the netting sets break; a positive share of them breaks at least one."""
    n = round(break_share * len(netting_set_ids))
    n = min(max(n, 1 if break_share > 0.0 else 0), len(netting_set_ids))
    names = sorted(netting_set_ids)
    chosen = [names[k] for k in sorted(rng.choice(len(names), size=n, replace=False))]
    n_balance = round(BALANCE_SHARE * n)
    cycle = [POSITION_BREAKS[k % len(POSITION_BREAKS)] for k in range(n - n_balance)]
    kinds = [*cycle, *[BALANCE_BREAK] * n_balance]
    order = rng.permutation(n)
    aged = rng.random(n) < AGED_SHARE
    return Plan(
        kind_of={name: kinds[k] for name, k in zip(chosen, order, strict=True)},
        aged=frozenset(name for name, old in zip(chosen, aged, strict=True) if old),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Broken:
    """Frame with planted breaks and a row for each that could be planted.

    ``planted`` has business_date, netting_set_id, kind, source, account_id (or location) and item.
    """

    frame: pd.DataFrame
    planted: pd.DataFrame


def break_positions(
    frame: pd.DataFrame,
    plan: dict[str, str],
    rng: np.random.Generator,
    where: pd.DataFrame | None = None,
) -> Broken:
    """Return the positions of one date with the planned breaks.

    A kind that finds nothing to work on (no trade today to book twice) becomes ``quantity_off``.
    With ``where``, the planted rows of another date, a break is planted in the same row or not at
    all: that is how one gets a day old.
    """
    values = _Edited(frame)
    rows_of = frame[frame["netting_set_id"].isin(list(plan))].groupby("netting_set_id").indices
    index_of = np.flatnonzero(frame["netting_set_id"].isin(list(plan)))
    for netting_set_id in sorted(plan):
        rows = index_of[rows_of[netting_set_id]] if netting_set_id in rows_of else index_of[:0]
        if where is not None:
            rows = values.same_rows(rows, where[where["netting_set_id"] == netting_set_id])
        if len(rows):
            values.plant(netting_set_id, plan[netting_set_id], rows, rng)
    return Broken(values.frame(), values.planted())


class _Edited:
    """Columns of a positions frame while breaks are written into them."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._quantity = frame["quantity"].to_numpy(copy=True)
        self._account = frame["account_id"].to_numpy(dtype=object, copy=True)
        self._dropped: list[int] = []
        self._found: list[tuple[str, str, str, str, str]] = []

    def same_rows(self, rows: np.ndarray, planted: pd.DataFrame) -> np.ndarray:
        """Return those of ``rows`` that show a planted item at its source and account."""
        keys = set(zip(planted["source"], planted["account_id"], planted["item"], strict=True))
        mine = self._frame.iloc[rows]
        shown = zip(mine["source"], mine["account_id"], mine["instrument_id"], strict=True)
        return rows[np.array([key in keys for key in shown], dtype=np.bool_)]

    def plant(
        self, netting_set_id: str, kind: str, rows: np.ndarray, rng: np.random.Generator
    ) -> None:
        before = self._frame["quantity_before"].to_numpy()
        traded = rows[(before[rows] != self._quantity[rows]) & (before[rows] != 0.0)]
        candidates = traded if kind in ("stale_quantity", "duplicate_fill") else rows
        if len(candidates) == 0:
            kind, candidates = "quantity_off", rows
        row = int(rng.choice(candidates))
        account, quantity = str(self._account[row]), float(self._quantity[row])
        if kind == "missing_position":
            self._dropped.append(row)
        elif kind == "wrong_sign":
            self._quantity[row] = -quantity
        elif kind == "stale_quantity":
            self._quantity[row] = before[row]
        elif kind == "duplicate_fill":
            self._quantity[row] = round(2.0 * quantity - before[row], 10)
        elif kind == "wrong_account":
            self._account[row] = self._another_account(netting_set_id, account)
        else:
            lot = float(self._frame["lot_size"].to_numpy()[row])
            lots = max(1.0, np.ceil(0.1 * rng.random() * abs(quantity) / lot))
            self._quantity[row] = round(quantity + lots * lot, 10)
        source = str(self._frame["source"].to_numpy()[row])
        item = str(self._frame["instrument_id"].to_numpy()[row])
        self._found.append((netting_set_id, kind, source, account, item))

    def _another_account(self, netting_set_id: str, account: str) -> str:
        # The second account at the venue where there is one, else the one for unexplained items.
        mine = (self._frame["netting_set_id"] == netting_set_id).to_numpy()
        known = {str(name) for name in self._account[mine]}
        other = account.removesuffix("-b") if account.endswith("-b") else f"{account}-b"
        return other if other in known else f"{netting_set_id}-suspense"

    def frame(self) -> pd.DataFrame:
        edited = self._frame.assign(quantity=self._quantity, account_id=self._account)
        edited = edited.drop(index=self._dropped)
        # What a break moved onto an existing position adds to it; zero is no position.
        totals = edited.groupby(KEY, sort=False)["quantity"].transform("sum").round(10)
        edited = edited.assign(quantity=totals).drop_duplicates(KEY)
        return edited[edited["quantity"] != 0.0].reset_index(drop=True)

    def planted(self) -> pd.DataFrame:
        columns = ["netting_set_id", "kind", "source", "account_id", "item"]
        return pd.DataFrame(self._found, columns=columns, dtype="str")


def break_balances(
    frame: pd.DataFrame,
    plan: dict[str, str],
    rng: np.random.Generator,
    where: pd.DataFrame | None = None,
) -> Broken:
    """Return the collateral of one date with one settled balance off in each planned set."""
    quantity = frame["quantity"].to_numpy(copy=True)
    settled = (frame["state"] == "settled").to_numpy()
    columns = ["netting_set_id", "kind", "source", "account_id", "item"]
    found = []
    for netting_set_id in sorted(plan):
        rows = np.flatnonzero((frame["netting_set_id"] == netting_set_id) & settled)
        if where is not None:
            at = where[where["netting_set_id"] == netting_set_id]
            keys = set(zip(at["source"], at["account_id"], at["item"], strict=True))
            mine = frame.iloc[rows]
            shown = zip(mine["source"], mine["location"], mine["asset"], strict=True)
            rows = rows[np.array([key in keys for key in shown], dtype=np.bool_)]
        if len(rows) == 0:
            continue
        row = int(rng.choice(rows))
        share = (0.02 + 0.1 * rng.random()) * (1.0 if rng.random() < 0.5 else -1.0)
        quantity[row] = float(f"{quantity[row] * (1.0 + share):.6g}")
        place = frame.iloc[row]
        source, location, asset = str(place["source"]), str(place["location"]), str(place["asset"])
        found.append((netting_set_id, BALANCE_BREAK, source, location, asset))
    planted = pd.DataFrame(found, columns=columns, dtype="str")
    return Broken(frame.assign(quantity=quantity), planted)
