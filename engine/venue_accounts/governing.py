"""Which book of each account is charged: the worst one it may hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D, ObjectArray1D
from engine.venue_accounts.accounts import VenueBooks
from engine.venue_accounts.margins import BookMargins, BookRows
from engine.venue_accounts.market import VenueMarket

ASSESSED: Final = "assessed"
FAILED: Final = "failed"
UNMODELLED: Final = "unmodelled"
_HOLDINGS: Final = ("positions", "open_orders")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MarginedAccounts:
    """Accounts with the margins of all their books, and which book governs.

    Attributes
    ----------
    market : VenueMarket
    books : VenueBooks
    mode : Int64Array1D, shape (n_accounts,)
        Row of each account's mode in the market's terms.
    rows : BookRows
    found : BookMargins
    status, reason : ObjectArray1D of str, shape (n_accounts,)
    initial_book, maintenance_book : Int64Array1D, shape (n_accounts,)
        Book with the largest initial margin; and, of those without orders, with the largest
        maintenance margin.
    """

    market: VenueMarket
    books: VenueBooks
    mode: Int64Array1D
    rows: BookRows
    found: BookMargins
    status: ObjectArray1D
    reason: ObjectArray1D
    initial_book: Int64Array1D
    maintenance_book: Int64Array1D

    @property
    def is_assessed(self) -> BoolArray1D:
        """Whether each account has margins."""
        return np.asarray(self.status == ASSESSED)

    @property
    def account_id(self) -> ObjectArray1D:
        """Identifier of each account."""
        return self.books.accounts["account_id"].to_numpy(dtype=object)


def with_governing(
    market: VenueMarket,
    books: VenueBooks,
    rows: BookRows,
    found: BookMargins,
    faults: pd.DataFrame,
) -> MarginedAccounts:
    """Return the accounts with their governing books.

    One book that cannot be margined fails its account: what it would have needed is unknown. So
    does a position or an order that is in quarantine. An account that holds nothing needs nothing,
    whatever its mode.
    """
    n = books.n_accounts
    quarantined = _quarantined(books, faults)
    is_empty = np.bincount(books.book_account[books.book], minlength=n) == 0
    problem = np.full(n, "", dtype=object)
    for book in np.flatnonzero(found.failure != "").tolist():
        account = int(books.book_account[book])
        problem[account] = problem[account] or found.failure[book]
    mode = rows.mode[np.searchsorted(books.book_account, np.arange(n))]
    lacks_mode = np.array([market.terms.modes[int(m)].mode is None for m in mode], dtype=np.bool_)
    lost = _lost_accounts(faults)
    names = books.accounts["account_id"].to_numpy(dtype=object)
    reason = np.full(n, "", dtype=object)
    for row in range(n):
        texts = [] if is_empty[row] else [str(problem[row])]
        if not is_empty[row] and lacks_mode[row] and str(names[row]) in lost:
            texts.append(f"row of accounts in quarantine ({lost[str(names[row])]})")
        texts.append(str(quarantined[row]))
        reason[row] = "; ".join(text for text in texts if text)
    unmodelled = ~is_empty & lacks_mode
    status = np.where(reason == "", ASSESSED, np.where(unmodelled, UNMODELLED, FAILED))
    return MarginedAccounts(
        market=market,
        books=books,
        mode=mode,
        rows=rows,
        found=found,
        status=status.astype(object),
        reason=reason,
        initial_book=_largest(books, found.initial_margin, np.ones(books.n_books, dtype=np.bool_)),
        maintenance_book=_largest(books, found.maintenance_margin, ~books.has_orders),
    )


def _largest(books: VenueBooks, values: Float64Array1D, eligible: BoolArray1D) -> Int64Array1D:
    """Return the eligible book of each account with the largest value, the first of equals."""
    size = np.where(eligible, np.nan_to_num(values, nan=-1.0), -np.inf)
    order = np.lexsort((np.arange(books.n_books), -size, books.book_account))
    account = books.book_account[order]
    first: Int64Array1D = order[np.searchsorted(account, np.arange(books.n_accounts))]
    return first


def _quarantined(books: VenueBooks, faults: pd.DataFrame) -> ObjectArray1D:
    lost = faults[faults["dataset"].isin(_HOLDINGS)]
    reasons = {
        str(name): f"row of {dataset} in quarantine ({reason})"
        for dataset, name, reason in zip(
            lost["dataset"], lost["identifier"], lost["reason"], strict=True
        )
    }
    sets = books.accounts["netting_set_id"].astype(str)
    return np.array([reasons.get(name, "") for name in sets], dtype=object)


def _lost_accounts(faults: pd.DataFrame) -> dict[str, str]:
    lost = faults[faults["dataset"] == "accounts"]
    return dict(zip(lost["identifier"].astype(str), lost["reason"].astype(str), strict=True))
