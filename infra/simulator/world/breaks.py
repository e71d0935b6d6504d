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

from engine.arrays import Int64Array1D

POSITION_BREAKS = (
    "missing_position",
    "wrong_sign",
    "quantity_off",
    "stale_quantity",
    "duplicate_fill",
    "wrong_account",
)
TRADE_BREAKS = ("stale_quantity", "duplicate_fill")
BALANCE_BREAK = "balance_off"
BALANCE_SHARE = 0.2
"""Part of all breaks that are in balances."""
AGED_SHARE = 1.0 / 3.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Which netting sets break, and how; sorted by netting set."""

    kind_of: dict[str, str]
    aged: frozenset[str]

    def of_kinds(self, *kinds: str) -> dict[str, str]:
        """Return the netting sets of some kinds only."""
        return {key: kind for key, kind in self.kind_of.items() if kind in kinds}


def plan_breaks(
    names: list[str], traded: list[str], break_share: float, rng: np.random.Generator
) -> Plan:
    """Return which netting sets break and how; a positive share of them breaks at least one.

    Parameters
    ----------
    names : list of str
        Netting sets with positions, sorted.
    traded : list of str
        Those whose positions changed on the date: only they can show a stale or doubled trade.
    break_share : float
        Part of the netting sets that breaks. [-]
    rng : numpy.random.Generator
    """
    n = min(max(round(break_share * len(names)), 1 if break_share > 0.0 else 0), len(names))
    n_balance = round(BALANCE_SHARE * n)
    kinds = [POSITION_BREAKS[k % len(POSITION_BREAKS)] for k in range(n - n_balance)]
    kinds += [BALANCE_BREAK] * n_balance
    of_trades = [kind for kind in kinds if kind in TRADE_BREAKS][: len(traded)]
    chosen = _some_of(traded, len(of_trades), rng)
    left = [name for name in names if name not in set(chosen)]
    others = [kind for kind in kinds if kind not in TRADE_BREAKS]
    # Where too little was traded, a quantity that is simply off stands in.
    others += ["quantity_off"] * (n - len(of_trades) - len(others))
    chosen += _some_of(left, len(others), rng)
    kind_of = dict(zip(chosen, [*of_trades, *others], strict=True))
    aged = rng.random(n) < AGED_SHARE
    return Plan(
        kind_of={name: kind_of[name] for name in sorted(kind_of)},
        aged=frozenset(name for name, old in zip(sorted(kind_of), aged, strict=True) if old),
    )


def _some_of(names: list[str], n: int, rng: np.random.Generator) -> list[str]:
    return [names[k] for k in rng.permutation(len(names))[:n]]


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
    broken = _planted(frame, plan, rng, where, _POSITION_ITEM)
    # Zero is no position: a break may take one away whole.
    held = broken.frame["quantity"] != 0.0
    return Broken(broken.frame[held].reset_index(drop=True), broken.planted)


def break_balances(
    frame: pd.DataFrame,
    plan: dict[str, str],
    rng: np.random.Generator,
    where: pd.DataFrame | None = None,
) -> Broken:
    """Return the collateral of one date with one settled balance off in each planned set."""
    return _planted(frame, plan, rng, where, _BALANCE_ITEM)


_POSITION_ITEM = ("source", "account_id", "instrument_id")
_BALANCE_ITEM = ("source", "location", "asset")


def _planted(
    frame: pd.DataFrame,
    plan: dict[str, str],
    rng: np.random.Generator,
    where: pd.DataFrame | None,
    item: tuple[str, str, str],
) -> Broken:
    affected = frame["netting_set_id"].isin(list(plan))
    parts, found = [frame[~affected]], []
    for name, rows in frame[affected].groupby("netting_set_id", sort=True):
        netting_set_id = str(name)
        allowed = np.ones(len(rows), dtype=np.bool_)
        if where is not None:
            known = where[where["netting_set_id"] == netting_set_id]
            keys = set(zip(known["source"], known["account_id"], known["item"], strict=True))
            shown = zip(*(rows[column] for column in item), strict=True)
            allowed = np.array([key in keys for key in shown], dtype=np.bool_)
        if item == _BALANCE_ITEM:
            allowed &= (rows["state"] == "settled").to_numpy()
        if not allowed.any():
            parts.append(rows)
            continue
        plant = _break_balance if item == _BALANCE_ITEM else _break_position
        edited, kind, place = plant(rows, plan[netting_set_id], np.flatnonzero(allowed), rng)
        parts.append(edited)
        shown_row = rows.iloc[place]
        found.append((netting_set_id, kind, *(str(shown_row[column]) for column in item)))
    columns = ["netting_set_id", "kind", "source", "account_id", "item"]
    return Broken(
        frame=pd.concat(parts, ignore_index=True),
        planted=pd.DataFrame(found, columns=columns, dtype="str"),
    )


def _break_position(
    rows: pd.DataFrame, kind: str, allowed: Int64Array1D, rng: np.random.Generator
) -> tuple[pd.DataFrame, str, int]:
    quantity = rows["quantity"].to_numpy(copy=True)
    before = rows["quantity_before"].to_numpy()
    traded = allowed[(before[allowed] != quantity[allowed]) & (before[allowed] != 0.0)]
    candidates = traded if kind in TRADE_BREAKS else allowed
    if len(candidates) == 0:
        kind, candidates = "quantity_off", allowed
    place = int(rng.choice(candidates))
    held = float(quantity[place])
    if kind == "missing_position":
        return rows.drop(index=rows.index[place]), kind, place
    if kind == "wrong_account":
        return _moved_to_another_account(rows, place), kind, place
    if kind == "wrong_sign":
        quantity[place] = -held
    elif kind == "stale_quantity":
        quantity[place] = before[place]
    elif kind == "duplicate_fill":
        quantity[place] = round(2.0 * held - float(before[place]), 10)
    else:
        lot = float(rows["lot_size"].to_numpy()[place])
        lots = max(1.0, np.ceil(0.1 * rng.random() * abs(held) / lot))
        quantity[place] = round(held + lots * lot, 10)
    return rows.assign(quantity=quantity), kind, place


def _moved_to_another_account(rows: pd.DataFrame, place: int) -> pd.DataFrame:
    # The second account at the venue where there is one, else the one for unexplained items.
    accounts = rows["account_id"].to_numpy(dtype=object, copy=True)
    account = str(accounts[place])
    other = account.removesuffix("-b") if account.endswith("-b") else f"{account}-b"
    suspense = f"{rows['netting_set_id'].iloc[place]}-suspense"
    accounts[place] = other if other in set(accounts) else suspense
    return rows.assign(account_id=accounts)


def _break_balance(
    rows: pd.DataFrame, kind: str, allowed: Int64Array1D, rng: np.random.Generator
) -> tuple[pd.DataFrame, str, int]:
    quantity = rows["quantity"].to_numpy(copy=True)
    place = int(rng.choice(allowed))
    share = (0.02 + 0.1 * rng.random()) * (1.0 if rng.random() < 0.5 else -1.0)
    quantity[place] = float(f"{quantity[place] * (1.0 + share):.6g}")
    return rows.assign(quantity=quantity), kind, place
