"""What the venues would demand: each candidate's accounts margined with the candidate in them.

The margins are those of ``engine.venue_accounts``, asked about one account per candidate and
account that it touches; what a candidate leaves alone keeps its demand. A venue's own report knows
nothing of a candidate: an account that stands on it alone becomes unknown when it is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Float64Array2D, Int64Array1D
from engine.books import AGREED, FILLED
from engine.rules import RuleBook
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from engine.venue_accounts.accounts import VenueBooks
from engine.venue_accounts.assembly import VenueMargins, margined_accounts, venue_margins
from engine.venue_accounts.governing import MarginedAccounts, with_governing
from engine.venue_accounts.margins import BookRows, margin_books
from engine.whatif.venue_additions import (
    BookChange,
    Exchange,
    HeldCharges,
    added_margins,
    exchange_of,
    held_charges,
)

# Rows of all accounts of a slice.
_ROWS_MAX = 400_000
# Accounts whose charges are exchanged at a time.
_ADDED_MAX = 2_048


@dataclass(frozen=True, slots=True, eq=False)
class VenueSide:
    """Venue accounts of the netting set as they stand.

    Attributes
    ----------
    accounts : MarginedAccounts
    before : VenueMargins
        With one row of ``margins`` per account, in order.
    account_row : dict
        Row of each account.
    contents : tuple
        By account and book, instrument rows (ascending) and signed contracts.
    filled : dict
        By (account, side), what its open orders add to each instrument row. [contracts]
    charges : HeldCharges
    """

    accounts: MarginedAccounts
    before: VenueMargins
    account_row: dict[str, int]
    contents: tuple[tuple[tuple[Int64Array1D, Float64Array1D], ...], ...]
    filled: dict[tuple[int, str], dict[int, float]]
    charges: HeldCharges

    def books_of(self, account: int) -> range:
        """Return the books of one account."""
        first, stop = np.searchsorted(self.accounts.books.book_account, [account, account + 1])
        return range(int(first), int(stop))


@dataclass(frozen=True, slots=True)
class Touched:
    """One account of one candidate, and its new quantities by instrument row. [contracts]"""

    candidate: int
    account_id: str
    quantities: dict[int, float]


def venue_side(
    snapshot: Snapshot, positions: PositionSet, collateral: CollateralSet, rules: RuleBook
) -> VenueSide:
    """Return the accounts of one netting set's holdings as they stand."""
    accounts = margined_accounts(snapshot, positions, rules)
    books, known = accounts.books, accounts.market.instruments.instrument_id
    row = np.searchsorted(known, books.instrument_id)
    edges = np.searchsorted(books.book, np.arange(books.n_books + 1))
    by_book = [
        (row[edges[b] : edges[b + 1]], books.quantity[edges[b] : edges[b + 1]])
        for b in range(books.n_books)
    ]
    account_row = {str(name): i for i, name in enumerate(accounts.account_id)}
    first = np.searchsorted(books.book_account, np.arange(books.n_accounts + 1))
    return VenueSide(
        accounts=accounts,
        before=venue_margins(snapshot, positions, collateral, rules),
        account_row=account_row,
        contents=tuple(tuple(by_book[first[a] : first[a + 1]]) for a in range(books.n_accounts)),
        filled=_filled(positions.open_orders, account_row, known),
        charges=held_charges(accounts),
    )


def _filled(
    open_orders: pd.DataFrame, account_row: dict[str, int], known: np.ndarray
) -> dict[tuple[int, str], dict[int, float]]:
    keys = ["account_id", "side", "instrument_id"]
    summed = open_orders.groupby(keys, sort=True)["remaining_quantity"].sum().reset_index()
    row = np.searchsorted(known, summed["instrument_id"].to_numpy(dtype=object))
    sign = np.where(summed["side"] == "buy", 1.0, -1.0)
    filled: dict[tuple[int, str], dict[int, float]] = {}
    for account, side, at, quantity in zip(
        summed["account_id"].astype(str),
        summed["side"].astype(str),
        row.tolist(),
        (sign * summed["remaining_quantity"].to_numpy(dtype=np.float64)).tolist(),
        strict=True,
    ):
        filled.setdefault((account_row[account], side), {})[at] = quantity
    return filled


def demands(
    side: VenueSide, touched: Sequence[Touched], n_candidates: int, names: Sequence[str]
) -> pd.DataFrame:
    """Return what the venues demand of each candidate, account by account.

    Columns netting_set_id (the name of the candidate), demand and maintenance_demand [USD], as
    ``engine.binding.venue_columns`` takes them; NaN where nobody knows.
    """
    margins = side.before.margins
    initial = np.tile(margins["demand"].to_numpy(dtype=np.float64), (n_candidates, 1))
    maintenance = np.tile(
        margins["maintenance_demand"].to_numpy(dtype=np.float64), (n_candidates, 1)
    )
    known = [each for each in touched if each.account_id in side.account_row]
    changes = [_changes(side, each) for each in known]
    exchanges = [
        [exchange_of(side.accounts, side.charges, change) for change in of_account]
        for of_account in changes
    ]
    is_whole = [any(each is None for each in of_account) for of_account in exchanges]
    added = [i for i, whole in enumerate(is_whole) if not whole]
    figures = np.full((2, len(known)), np.nan)
    for start in range(0, len(added), _ADDED_MAX):
        part = added[start : start + _ADDED_MAX]
        figures[:, part] = _added(side, [changes[i] for i in part], [exchanges[i] for i in part])
    whole = [i for i, each in enumerate(is_whole) if each]
    for chosen in _slices(side, known, whole):
        figures[:, chosen] = _whole(side, [known[i] for i in chosen])
    candidate = [each.candidate for each in known]
    account = [side.account_row[each.account_id] for each in known]
    initial[candidate, account], maintenance[candidate, account] = figures
    strangers = [
        names[each.candidate] for each in touched if each.account_id not in side.account_row
    ]
    return pd.DataFrame(
        {
            "netting_set_id": pd.Series(
                [*np.repeat(np.array(names, dtype=object), initial.shape[1]), *strangers],
                dtype="str",
            ),
            "demand": np.append(initial.ravel(), np.full(len(strangers), np.nan)),
            "maintenance_demand": np.append(maintenance.ravel(), np.full(len(strangers), np.nan)),
        }
    )


def _changes(side: VenueSide, touched: Touched) -> list[BookChange]:
    """Return what the touched account changes in each of its books."""
    account = side.account_row[touched.account_id]
    labels = side.accounts.books.book_label
    changes = []
    for book, (row, quantity) in zip(side.books_of(account), side.contents[account], strict=True):
        coming = _coming(side, account, labels[book])
        at = np.searchsorted(row, list(touched.quantities))
        held = {
            r: float(quantity[i]) if i < len(row) and row[i] == r else 0.0
            for r, i in zip(touched.quantities, at.tolist(), strict=True)
        }
        new = {r: q + coming.get(r, 0.0) for r, q in touched.quantities.items()}
        changes.append(BookChange(book, new, held))
    return changes


def _added(
    side: VenueSide,
    changes: Sequence[Sequence[BookChange]],
    exchanges: Sequence[Sequence[Exchange | None]],
) -> Float64Array2D:
    """Return initial and maintenance margin of touched accounts by exchanging charges."""
    flat = [change for of_account in changes for change in of_account]
    by_book = added_margins(
        side.accounts,
        side.charges,
        flat,
        [each for of_account in exchanges for each in of_account if each is not None],
    )
    first = np.cumsum([0, *(len(of_account) for of_account in changes)])[:-1]
    has_orders = side.accounts.books.has_orders[[change.book for change in flat]]
    # One book that fails, fails its account: maximum lets NaN through.
    initial = np.maximum.reduceat(by_book[0], first)
    held_only = np.where(has_orders & ~np.isnan(by_book[1]), -np.inf, by_book[1])
    return np.stack(
        [initial, np.where(np.isnan(initial), np.nan, np.maximum.reduceat(held_only, first))]
    )


def _whole(side: VenueSide, touched: Sequence[Touched]) -> Float64Array2D:
    """Return initial and maintenance margin of touched accounts, margined in whole."""
    found = _margined(side, touched)
    margins = found.found
    return np.where(
        found.is_assessed,
        np.stack(
            [
                margins.initial_margin[found.initial_book],
                margins.maintenance_margin[found.maintenance_book],
            ]
        ),
        np.nan,
    )


def _slices(
    side: VenueSide, touched: Sequence[Touched], whole: Sequence[int]
) -> Iterator[Sequence[int]]:
    chosen: list[int] = []
    n_rows = 0
    for i in whole:
        each = touched[i]
        contents = side.contents[side.account_row[each.account_id]]
        n_rows += sum(len(rows) + len(each.quantities) for rows, _ in contents)
        chosen.append(i)
        if n_rows >= _ROWS_MAX:
            yield chosen
            chosen, n_rows = [], 0
    if chosen:
        yield chosen


def _margined(side: VenueSide, touched: Sequence[Touched]) -> MarginedAccounts:
    """Return the touched accounts as accounts of their own, with the margins of all their books."""
    held = side.accounts.books
    account = np.array([side.account_row[each.account_id] for each in touched], dtype=np.int64)
    books = [list(side.books_of(int(row))) for row in account]
    source = np.array([book for each in books for book in each], dtype=np.int64)
    book_account = np.repeat(np.arange(len(touched)), [len(each) for each in books])
    rows, quantities, book = _contents(side, touched, account)
    mode = side.accounts.mode[account][book_account]
    facts = held.accounts.iloc[account].reset_index(drop=True)
    pseudo = VenueBooks(
        accounts=facts.assign(account_id=[f"{i:09d}" for i in range(len(touched))]),
        book_account=book_account,
        book_label=tuple(held.book_label[b] for b in source.tolist()),
        has_orders=held.has_orders[source],
        is_venues_own=held.is_venues_own[source],
        book=book,
        quantity=quantities,
        instrument_id=side.accounts.market.instruments.instrument_id[rows],
    )
    table = BookRows(
        mode=mode,
        leverage=facts["leverage"].to_numpy(dtype=np.float64)[book_account],
        book=book,
        instrument=rows,
        quantity=quantities,
    )
    found = margin_books(side.accounts.market, table)
    return with_governing(side.accounts.market, pseudo, table, found, _NO_FAULTS)


_NO_FAULTS = pd.DataFrame({"dataset": [], "identifier": [], "reason": []}, dtype="str")


def _contents(
    side: VenueSide, touched: Sequence[Touched], account: Int64Array1D
) -> tuple[Int64Array1D, Float64Array1D, Int64Array1D]:
    """Return instrument rows, signed contracts and book of all rows of the touched accounts."""
    labels = side.accounts.books.book_label
    rows: list[Int64Array1D] = []
    quantities: list[Float64Array1D] = []
    sizes: list[int] = []
    for each, held in zip(touched, account.tolist(), strict=True):
        for book, (row, quantity) in zip(side.books_of(held), side.contents[held], strict=True):
            coming = _coming(side, held, labels[book])
            new_rows, new = _replaced(row, quantity, each.quantities, coming)
            rows.append(new_rows)
            quantities.append(new)
            sizes.append(len(new_rows))
    return (
        np.concatenate(rows),
        np.concatenate(quantities),
        np.repeat(np.arange(len(sizes)), sizes),
    )


def _coming(side: VenueSide, account: int, label: str) -> dict[int, float]:
    for name, ending in FILLED.items():
        if label == AGREED + ending:
            return side.filled[account, name]
    return {}


def _replaced(
    row: Int64Array1D,
    quantity: Float64Array1D,
    changed: dict[int, float],
    coming: dict[int, float],
) -> tuple[Int64Array1D, Float64Array1D]:
    at = np.array(sorted(changed), dtype=np.int64)
    new = np.array([changed[r] + coming.get(r, 0.0) for r in at.tolist()], dtype=np.float64)
    kept: BoolArray1D = ~np.isin(row, at)
    rows, values = np.append(row[kept], at), np.append(quantity[kept], new)
    return rows[values != 0.0], values[values != 0.0]
