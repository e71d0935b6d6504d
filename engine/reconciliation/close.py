"""Three-way reconciliation of positions and balances: OMS × venue × clearing.

A difference is a *break* with a class, a tolerance and an owner. It is closed by postings or by a
source that corrects itself, never by this module: until then the netting set is margined on the
worse book and its collateral counts at the smallest quantity that any source confirms.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array2D, Int64Array1D
from engine.kernels.compensated import grouped_in_order

SOURCES: Final = ("oms", "venue", "clearing")
# Quantities travel as decimal text through three systems; what is left of a float is noise.
RELATIVE_TOLERANCE: Final = 1e-9
ABSOLUTE_TOLERANCE: Final = 1e-9
_NUMBERS_MAX: Final = 2**62

# Who has to explain a difference of each class, first.
OWNERS: Final = {
    "missing_at_oms": "trading operations",
    "missing_at_venue": "venue operations",
    "missing_at_clearing": "clearing operations",
    "sign": "trading operations",
    "account": "trading operations",
    "quantity_oms": "trading operations",
    "quantity_venue": "venue operations",
    "quantity_clearing": "clearing operations",
    "quantity_all": "middle office",
    "balance": "treasury operations",
}

BREAK_COLUMNS: Final = (
    "break_id", "scope", "kind", "netting_set_id", "account_id", "item", "oms_quantity",
    "venue_quantity", "clearing_quantity", "difference", "tolerance", "owner",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Reconciliation:
    """What the sources agree on, and where they do not.

    Attributes
    ----------
    quantities : pandas.DataFrame
        netting_set_id, instrument_id and one column per source that reports at all: the net
        quantity over the netting set's accounts. [contracts]
    broken_netting_sets : frozenset of str
        Netting sets whose sources disagree on a net position: margined on every book.
    collateral : pandas.DataFrame
        netting_set_id, location, asset, state, quantity: the smallest confirmed quantity.
    breaks : pandas.DataFrame
        One row per difference, columns ``BREAK_COLUMNS``, sorted by break_id.
    """

    quantities: pd.DataFrame
    broken_netting_sets: frozenset[str]
    collateral: pd.DataFrame
    breaks: pd.DataFrame


def reconcile(positions: pd.DataFrame, holdings: pd.DataFrame) -> Reconciliation:
    """Return agreed quantities and breaks of positions and collateral holdings.

    A source that reports no row at all is not part of the comparison; a source that reports others
    but not this one says zero, which is a break of class ``missing_at_<source>``.

    Parameters
    ----------
    positions, holdings : pandas.DataFrame
        Contracts ``positions`` and ``collateral`` of one business date.
    """
    by_account = reporting_quantities(positions, ["netting_set_id", "account_id", "instrument_id"])
    by_holding = reporting_quantities(holdings, ["netting_set_id", "location", "asset", "state"])
    net = _net(by_account)
    disagreeing = sources_differ(net.to_numpy())
    broken = net.index.get_level_values("netting_set_id")[disagreeing]
    agreed_net = pd.Series(~disagreeing, index=net.index)
    breaks = pd.concat(
        [_position_breaks(by_account, agreed_net), _balance_breaks(by_holding)], ignore_index=True
    )
    return Reconciliation(
        quantities=net.reset_index(),
        broken_netting_sets=frozenset(str(name) for name in broken),
        collateral=smallest_confirmed(by_holding),
        breaks=breaks.sort_values("break_id", ignore_index=True),
    )


def _net(by_account: pd.DataFrame) -> pd.DataFrame:
    """Return quantities by netting set and instrument, accounts added in their order."""
    grouped = by_account.groupby(["netting_set_id", "instrument_id"], sort=True)
    group = grouped.ngroup().to_numpy().astype(np.int64)
    index = grouped.size().index
    sums = {
        source: grouped_in_order(by_account[source].to_numpy(dtype=np.float64), group, len(index))
        for source in by_account.columns
    }
    return pd.DataFrame(sums, index=index, columns=by_account.columns)


def reporting_quantities(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return quantities by key (rows) and reporting source (columns), zero where unreported."""
    codes, names = zip(
        *(pd.factorize(rows[key], sort=True) for key in [*keys, "source"]), strict=True
    )
    number = _key_numbers(codes, [len(each) for each in names])
    order = np.argsort(number, kind="stable")
    sorted_number = number[order]
    if (sorted_number[1:] == sorted_number[:-1]).any():
        # Contracts forbid it; rows of other origin are added up first.
        once = rows.groupby([*keys, "source"], sort=True)["quantity"].sum().reset_index()
        return reporting_quantities(once, keys)
    key_number = sorted_number // max(len(names[-1]), 1)
    starts_key = np.ones(len(order), dtype=np.bool_)
    starts_key[1:] = key_number[1:] != key_number[:-1]
    quantities = np.zeros((int(starts_key.sum()), len(names[-1])))
    # Adding zero turns a negative zero into zero.
    held = rows["quantity"].fillna(0.0).to_numpy(dtype=np.float64)[order] + 0.0
    quantities[np.cumsum(starts_key) - 1, codes[-1][order]] = held
    first = order[starts_key]
    index = pd.MultiIndex(
        levels=list(names[:-1]), codes=[code[first] for code in codes[:-1]], names=keys
    )
    found = pd.DataFrame(quantities, index=index, columns=pd.Index(names[-1], name="source"))
    reporting = [source for source in SOURCES if source in set(names[-1])]
    return found.reindex(columns=reporting, fill_value=0.0)


def _key_numbers(codes: Sequence[Int64Array1D], sizes: Sequence[int]) -> Int64Array1D:
    """Return one number for each row's codes, in the order of the codes, the last one fastest."""
    number: Int64Array1D = np.zeros(len(codes[0]), dtype=np.int64)
    count = 1
    for code, size in zip(codes, sizes, strict=True):
        if count * size > _NUMBERS_MAX:
            # Closer together, in the same order, before they would overflow.
            number = np.unique(number, return_inverse=True)[1].astype(np.int64)
            count = len(number)
        number, count = number * max(size, 1) + code, count * max(size, 1)
    return number


def sources_differ(quantities: Float64Array2D) -> BoolArray1D:
    """Return whether the sources (columns) disagree on each quantity beyond the tolerance."""
    if quantities.shape[1] < 2:
        return np.zeros(quantities.shape[0], dtype=np.bool_)
    spread = quantities.max(axis=1) - quantities.min(axis=1)
    differs: BoolArray1D = spread > _tolerance(quantities)
    return differs


def _tolerance(quantities: Float64Array2D) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    largest = np.abs(quantities).max(axis=1)
    tolerance: np.ndarray[tuple[int], np.dtype[np.float64]] = np.maximum(
        ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE * largest
    )
    return tolerance


def _position_breaks(by_account: pd.DataFrame, agreed_net: pd.Series) -> pd.DataFrame:
    found = by_account[sources_differ(by_account.to_numpy())]
    if found.empty:
        return _break_frame([])
    rows = []
    for key, row in zip(found.index, found.to_dict(orient="records"), strict=True):
        netting_set_id, account_id, instrument_id = (str(part) for part in key)
        by_source = {str(source): float(quantity) for source, quantity in row.items()}
        is_agreed = bool(agreed_net.loc[(netting_set_id, instrument_id)])
        kind = "account" if is_agreed else _kind_of(by_source)
        rows.append(
            _break_row("position", kind, netting_set_id, account_id, instrument_id, by_source)
        )
    return _break_frame(rows)


def _balance_breaks(by_holding: pd.DataFrame) -> pd.DataFrame:
    found = by_holding[sources_differ(by_holding.to_numpy())]
    rows = []
    for key, row in zip(found.index, found.to_dict(orient="records"), strict=True):
        netting_set_id, location, asset, state = (str(part) for part in key)
        by_source = {str(source): float(quantity) for source, quantity in row.items()}
        item = f"{asset} {state}"
        rows.append(_break_row("balance", "balance", netting_set_id, location, item, by_source))
    return _break_frame(rows)


def _kind_of(by_source: dict[str, float]) -> str:
    """Return the class of a position difference: who is alone, and how."""
    quantities = list(by_source.values())
    missing = [source for source, quantity in by_source.items() if quantity == 0.0]
    if len(missing) == 1 and len(quantities) > 1:
        return f"missing_at_{missing[0]}"
    if min(quantities) < 0.0 < max(quantities):
        return "sign"
    for source, quantity in by_source.items():
        others = np.array([[q for name, q in by_source.items() if name != source]])
        if others.shape[1] > 1 and not sources_differ(others)[0] and quantity != others[0, 0]:
            return f"quantity_{source}" if others[0, 0] != 0.0 else f"missing_at_{missing[0]}"
    return "quantity_all"


def _break_row(
    scope: str, kind: str, netting_set_id: str, account: str, item: str, by_source: dict[str, float]
) -> dict[str, object]:
    quantities = np.array([list(by_source.values())])
    # A break keeps its name while it lasts, whatever its size or class becomes.
    identity = "|".join((scope, netting_set_id, account, item))
    return {
        "break_id": "brk-" + hashlib.sha256(identity.encode()).hexdigest()[:16],
        "scope": scope,
        "kind": kind,
        "netting_set_id": netting_set_id,
        "account_id": account,
        "item": item,
        **{f"{source}_quantity": by_source.get(source, np.nan) for source in SOURCES},
        "difference": float(quantities.max() - quantities.min()),
        "tolerance": float(_tolerance(quantities)[0]),
        "owner": OWNERS[kind],
    }


def _break_frame(rows: list[dict[str, object]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(BREAK_COLUMNS))
    text = [name for name in BREAK_COLUMNS if not name.endswith(("quantity", "ance", "ence"))]
    kinds = {name: "str" if name in text else "float64" for name in BREAK_COLUMNS}
    return frame.astype(kinds)


def smallest_confirmed(by_holding: pd.DataFrame) -> pd.DataFrame:
    """Return each holding at the smallest quantity that any source confirms."""
    confirmed = by_holding.min(axis=1) if by_holding.shape[1] else by_holding.sum(axis=1)
    return confirmed.rename("quantity").reset_index()
