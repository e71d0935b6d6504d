"""Venue accounts of a close: who they belong to, their margin mode, and the books they may hold.

An account has one book, unless its sources disagree about it: then it has one per source. Open
orders add two books to each, as if all its buys, or all its sells, were filled. Initial margin is
that of the worst book, maintenance margin that of the worst book without orders: orders are not
held yet, but a venue sets their initial margin aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import BoolArray1D, Float64Array1D, Int64Array1D
from engine.reconciliation import reporting_quantities, sources_differ
from engine.snapshot import PositionSet

AGREED: Final = "agreed"
VENUE_SOURCE: Final = "venue"
_FACTS: Final = ("venue", "client_id", "netting_set_id")


@dataclass(frozen=True, slots=True, eq=False)
class VenueBooks:
    """Accounts with their books; rows of all books follow each other.

    Attributes
    ----------
    accounts : pandas.DataFrame
        One row per account, sorted by account_id: account_id, venue, client_id, netting_set_id,
        account_mode (empty where none is known), leverage (NaN where none is chosen),
        has_break (its sources disagree), n_positions.
    book_account : Int64Array1D, shape (n_books,)
        Row of each book's account; ascending.
    book_label : tuple of str, length n_books
        ``agreed`` or a source, and ``+ buys`` or ``+ sells``.
    has_orders : BoolArray1D, shape (n_books,)
    is_venues_own : BoolArray1D, shape (n_books,)
        What the venue itself reports to hold (with or without orders).
    book, quantity : Int64Array1D and Float64Array1D, shape (n_rows,)
        Book and signed contracts of each row; rows of a book are sorted by instrument.
    instrument_id : numpy.ndarray of str objects, shape (n_rows,)
    """

    accounts: pd.DataFrame
    book_account: Int64Array1D
    book_label: tuple[str, ...]
    has_orders: BoolArray1D
    is_venues_own: BoolArray1D
    book: Int64Array1D
    quantity: Float64Array1D
    instrument_id: np.ndarray

    @property
    def n_accounts(self) -> int:
        """Number of accounts."""
        return len(self.accounts)

    @property
    def n_books(self) -> int:
        """Number of books."""
        return len(self.book_account)


def venue_books(positions: PositionSet) -> VenueBooks:
    """Return every account of the close with its books.

    Accounts are those in force and those that hold a position or an order; one that the accounts
    dataset does not know has no mode.
    """
    by_source = reporting_quantities(positions.positions, ["account_id", "instrument_id"])
    differs = pd.Series(sources_differ(by_source.to_numpy()), index=by_source.index)
    has_break = differs.groupby(level="account_id", sort=True).any()
    accounts = _accounts(positions, has_break)
    row_of = pd.Series(np.arange(len(accounts)), index=accounts["account_id"])
    base = _base_contents(by_source, has_break)
    base["account"] = row_of.reindex(base["account_id"]).to_numpy(dtype=np.int64)
    base = base.drop(columns="account_id")
    labels = _base_labels(accounts, list(by_source.columns))
    orders = _signed_orders(positions.open_orders, row_of)
    contents, labels = _with_orders(base, labels, orders)
    labels = labels.sort_values(["account", "label"], ignore_index=True)
    labels["book"] = np.arange(len(labels))
    table = contents.merge(labels[["account", "label", "book"]], on=["account", "label"])
    table = table.groupby(["book", "instrument_id"], sort=True)["quantity"].sum().reset_index()
    table = table[table["quantity"] != 0.0]
    held = table.assign(account=labels["account"].to_numpy()[table["book"].to_numpy()])
    counts = held[["account", "instrument_id"]].drop_duplicates()["account"]
    accounts["n_positions"] = np.bincount(counts.to_numpy(), minlength=len(accounts))
    own = np.array([text.partition(" + ")[0] for text in labels["label"]], dtype=object)
    return VenueBooks(
        accounts=accounts,
        book_account=labels["account"].to_numpy(dtype=np.int64),
        book_label=tuple(labels["label"].astype(str)),
        has_orders=labels["label"].str.contains(" + ", regex=False).to_numpy(dtype=np.bool_),
        is_venues_own=(own == AGREED) | (own == VENUE_SOURCE),
        book=table["book"].to_numpy(dtype=np.int64),
        quantity=table["quantity"].to_numpy(dtype=np.float64),
        instrument_id=table["instrument_id"].to_numpy(dtype=object),
    )


def _accounts(positions: PositionSet, has_break: pd.Series) -> pd.DataFrame:
    known = positions.accounts.sort_values(["account_id", "effective_date"], kind="stable")
    known = known.drop_duplicates("account_id", keep="last")
    used = pd.concat([positions.positions, positions.open_orders], ignore_index=True)
    used = used[["account_id", *_FACTS]].drop_duplicates("account_id")
    strangers = used[~used["account_id"].isin(known["account_id"])]
    columns = ["account_id", *_FACTS, "account_mode", "leverage"]
    table = pd.concat([known, strangers.assign(account_mode="", leverage=np.nan)])[columns]
    table = table.sort_values("account_id", ignore_index=True)
    table["account_mode"] = table["account_mode"].fillna("")
    table["is_known"] = table["account_id"].isin(known["account_id"])
    table["has_break"] = has_break.reindex(table["account_id"]).fillna(False).to_numpy(dtype=bool)
    texts = ("account_id", *_FACTS, "account_mode")
    return table.astype({**dict.fromkeys(texts, "str"), "leverage": "float64"})


def _base_contents(by_source: pd.DataFrame, has_break: pd.Series) -> pd.DataFrame:
    """Return account_id, label, instrument_id, quantity of the books without orders."""
    account = by_source.index.get_level_values("account_id")
    instrument = by_source.index.get_level_values("instrument_id")
    broken = has_break.reindex(account).to_numpy(dtype=bool)
    parts = []
    for position, source in enumerate(by_source.columns):
        chosen = broken | (position == 0)
        label = np.where(broken, str(source), AGREED)
        parts.append(
            pd.DataFrame(
                {
                    "account_id": account[chosen],
                    "label": label[chosen],
                    "instrument_id": instrument[chosen],
                    "quantity": by_source[source].to_numpy()[chosen],
                }
            )
        )
    columns = ["account_id", "label", "instrument_id", "quantity"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _base_labels(accounts: pd.DataFrame, sources: list[str]) -> pd.DataFrame:
    """Return account and label of every book without orders; an empty account has one as well."""
    broken = accounts["has_break"].to_numpy()
    rows = np.arange(len(accounts))
    parts = [pd.DataFrame({"account": rows[~broken], "label": AGREED})]
    parts += [pd.DataFrame({"account": rows[broken], "label": str(name)}) for name in sources]
    return pd.concat(parts, ignore_index=True).astype({"account": "int64", "label": "str"})


def _signed_orders(open_orders: pd.DataFrame, row_of: pd.Series) -> pd.DataFrame:
    summed = open_orders.groupby(["account_id", "side", "instrument_id"], sort=True)[
        "remaining_quantity"
    ].sum()
    table = summed.reset_index()
    table["account"] = row_of.reindex(table["account_id"]).to_numpy(dtype=np.int64)
    sign = np.where(table["side"] == "buy", 1.0, -1.0)
    table["quantity"] = table["remaining_quantity"].to_numpy(dtype=np.float64) * sign
    return table[["account", "side", "instrument_id", "quantity"]]


def _with_orders(
    base: pd.DataFrame, labels: pd.DataFrame, orders: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    contents, names = [base], [labels]
    for side in ("buy", "sell"):
        filled = orders[orders["side"] == side].drop(columns="side")
        active = labels[labels["account"].isin(filled["account"])]
        renamed = active.assign(label=active["label"] + f" + {side}s")
        kept = base[base["account"].isin(filled["account"])]
        contents.append(kept.assign(label=kept["label"].astype(str) + f" + {side}s"))
        contents.append(filled.merge(renamed, on="account"))
        names.append(renamed)
    return pd.concat(contents, ignore_index=True), pd.concat(names, ignore_index=True)
