"""Our margins beside the venues' own reports, and what ours would be without some positions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import Int64Array1D
from engine.drift import (
    MODEL_ONLY,
    PARAMETERS,
    PRICE_SHIFTS,
    SHIFTED_COLUMNS,
    UNKNOWN,
    WITHOUT_COLUMNS,
    Replica,
    Trials,
    measure_drift,
    with_causes,
)
from engine.kernels.exact_sums import grouped_sums, rounded
from engine.venue_accounts.charges import Charges
from engine.venue_accounts.governing import MarginedAccounts
from engine.venue_accounts.margins import BookMargins, BookRows, margin_books
from engine.venue_accounts.market import at_moved_prices

_FIGURES: Final = ("initial_margin", "maintenance_margin")
_NOTES_MAX: Final = 3
_POSITIONS_MAX: Final = 400
"""Positions of an account that are left out one by one; beyond it the search says nothing."""


def account_drift(
    accounts: MarginedAccounts,
    buckets: pd.DataFrame,
    components: pd.DataFrame,
    reported: pd.DataFrame,
    rates: dict[str, float],
) -> pd.DataFrame:
    """Return the drift of every account, with its probable cause; see ``engine.drift``.

    An account whose venue is far from us is margined again: as the venue's own statement has it,
    and without each of its positions in turn.
    """
    facts = accounts.books.accounts[["account_id", "venue", "netting_set_id", "account_mode"]]
    replica = Replica(
        accounts=facts.assign(status=accounts.status, reason=accounts.reason).astype(
            {"status": "str", "reason": "str"}
        ),
        buckets=buckets[
            ["account_id", "bucket", "currency", "initial_margin", "maintenance_margin"]
        ],
        usd_rates=rates,
    )
    drift = measure_drift(replica, reported)
    in_doubt = drift.loc[drift["drift_class"] == MODEL_ONLY, "account_id"].unique()
    rows = np.flatnonzero(np.isin(accounts.account_id.astype(str), in_doubt.astype(str)))
    labels = components[["account_id", "bucket", "parameters"]].drop_duplicates()
    labels = labels[labels["parameters"] != ""].rename(columns={"parameters": "label"})
    trials = Trials(_without(accounts, rows), _shifted(accounts, rows), labels)
    return _with_assumptions(with_causes(drift, trials), components)


def _with_assumptions(drift: pd.DataFrame, components: pd.DataFrame) -> pd.DataFrame:
    """Return the drift with what our figure assumes, where positions and prices explain nothing."""
    stated = components[components["note"] != ""]
    notes = {
        (str(account), str(bucket)): "; ".join(rows["note"].unique()[:_NOTES_MAX])
        for (account, bucket), rows in stated.groupby(["account_id", "bucket"], sort=True)
    }
    keys = zip(drift["account_id"], drift["bucket"], drift["cause"], drift["detail"], strict=True)
    detail = [
        f"{text}; ours assumes: {note}"
        if cause in (UNKNOWN, PARAMETERS)
        and (note := notes.get((str(account), str(bucket)))) is not None
        else str(text)
        for account, bucket, cause, text in keys
    ]
    return drift.assign(detail=pd.Series(detail, index=drift.index, dtype="str"))


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """A book of an account in doubt as it might be: what is left out, and whether with orders."""

    account: int
    without: str
    book: int
    left_out: int
    """Instrument; -1 for none."""


def _without(accounts: MarginedAccounts, doubtful: Int64Array1D) -> pd.DataFrame:
    trials = [trial for row in doubtful.tolist() for trial in _trials(accounts, int(row))]
    if not trials:
        return pd.DataFrame({name: [] for name in WITHOUT_COLUMNS})
    rows = accounts.rows
    parts = []
    for number, trial in enumerate(trials):
        kept = np.flatnonzero((rows.book == trial.book) & (rows.instrument != trial.left_out))
        parts.append((np.full(len(kept), number, dtype=np.int64), kept))
    chosen = np.concatenate([kept for _, kept in parts])
    book = np.array([trial.book for trial in trials], dtype=np.int64)
    found = margin_books(
        accounts.market,
        BookRows(
            mode=rows.mode[book],
            leverage=rows.leverage[book],
            book=np.concatenate([number for number, _ in parts]),
            instrument=rows.instrument[chosen],
            quantity=rows.quantity[chosen],
        ),
    )
    return _worst(accounts, trials, found)


def _shifted(accounts: MarginedAccounts, doubtful: Int64Array1D) -> pd.DataFrame:
    """Return the figures of the accounts in doubt at all prices moved by ``PRICE_SHIFTS``."""
    if not len(doubtful):
        return pd.DataFrame({name: [] for name in SHIFTED_COLUMNS})
    return pd.concat([_at_shift(accounts, doubtful, shift) for shift in PRICE_SHIFTS])


def _at_shift(accounts: MarginedAccounts, doubtful: Int64Array1D, shift: float) -> pd.DataFrame:
    books, rows = accounts.books, accounts.rows
    chosen = np.flatnonzero(np.isin(books.book_account, doubtful))
    kept = np.flatnonzero(np.isin(rows.book, chosen))
    found = margin_books(
        at_moved_prices(accounts.market, shift),
        BookRows(
            mode=rows.mode[chosen],
            leverage=rows.leverage[chosen],
            book=np.searchsorted(chosen, rows.book[kept]),
            instrument=rows.instrument[kept],
            quantity=rows.quantity[kept],
        ),
    )
    sides = {
        "": _by_bucket(_charges_of(accounts.found, chosen)),
        "_shifted": _by_bucket(found.charges),
    }
    figures = pd.concat(
        [
            table.set_index(["trial", "bucket"])[list(_FIGURES)].add_suffix(suffix)
            for suffix, table in sides.items()
        ],
        axis=1,
    ).fillna(0.0)
    table = figures.reset_index()
    book = chosen[table["trial"].to_numpy(dtype=np.int64)]
    table["account"] = books.book_account[book]
    governs = table[accounts.maintenance_book[table["account"]] == book]
    maintenance = ["maintenance_margin", "maintenance_margin_shifted"]
    initial = table.drop(columns=maintenance).assign(
        # The book that governs at the prices of the close is tried first.
        rank=accounts.initial_book[table["account"]] != book
    )
    frame = initial.merge(
        governs[["account", "bucket", *maintenance]], on=["account", "bucket"], how="left"
    ).sort_values(["account", "bucket", "rank", "trial"], kind="stable")
    frame[maintenance] = frame[maintenance].fillna(0.0)
    frame["account_id"] = accounts.account_id[frame["account"].to_numpy(dtype=np.int64)]
    frame["shift"] = shift
    shifted: pd.DataFrame = frame[list(SHIFTED_COLUMNS)]
    return shifted


def _charges_of(found: BookMargins, books: Int64Array1D) -> Charges:
    """Return the charges of some books, numbered by their place among them."""
    kept = found.charges.rows(np.isin(found.charges.book, books))
    return replace(kept, book=np.searchsorted(books, kept.book))


def _trials(accounts: MarginedAccounts, row: int) -> list[_Trial]:
    books, held = accounts.books, accounts.market.instruments
    mine = np.flatnonzero(books.book_account == row)
    own = mine[books.is_venues_own[mine]]
    trials = []
    if len(own) < len(mine):
        text = "what the venue does not report to hold"
        trials += [_Trial(row, text, int(book), -1) for book in own]
    for book in (own if len(own) else mine).tolist():
        instruments = np.unique(accounts.rows.instrument[accounts.rows.book == book])
        if len(instruments) > _POSITIONS_MAX:
            continue
        trials += [
            _Trial(row, str(held.instrument_id[each]), int(book), int(each))
            for each in instruments.tolist()
            if each >= 0
        ]
    return trials


def _by_bucket(charges: Charges) -> pd.DataFrame:
    """Return trial, bucket, initial_margin and maintenance_margin. [bucket's currency]"""
    words, code = np.unique(charges.bucket.astype(str), return_inverse=True)
    key = charges.book * len(words) + code
    distinct, place = np.unique(key, return_inverse=True)
    sums = {
        name: rounded(grouped_sums(np.nan_to_num(getattr(charges, name)), place, len(distinct)))
        for name in ("initial_margin", "maintenance_margin")
    }
    return pd.DataFrame(
        {"trial": distinct // len(words), "bucket": words[distinct % len(words)], **sums}
    )


def _worst(accounts: MarginedAccounts, trials: list[_Trial], found: BookMargins) -> pd.DataFrame:
    """Return the governing trials of each supposition, as books govern their account."""
    has_orders = accounts.books.has_orders[[trial.book for trial in trials]]
    facts = pd.DataFrame(
        {
            "trial": np.arange(len(trials)),
            "account": [trial.account for trial in trials],
            "without": [trial.without for trial in trials],
        }
    )
    table = _by_bucket(found.charges)
    key = ["account", "without"]
    sides = []
    for name, size in (
        ("initial_margin", np.nan_to_num(found.initial_margin, nan=-1.0)),
        ("maintenance_margin", np.where(has_orders, -2.0, np.nan_to_num(found.maintenance_margin))),
    ):
        ranked = facts.assign(size=size).sort_values([*key, "size"], kind="stable")
        chosen = ranked.drop_duplicates(key, keep="last")
        joined = chosen.merge(table[["trial", "bucket", name]], on="trial")
        sides.append(joined.set_index([*key, "bucket"])[name])
    # A bucket that nothing is left in is empty, not absent.
    buckets = _by_bucket(accounts.found.charges)
    buckets["account"] = accounts.books.book_account[buckets["trial"].to_numpy(dtype=np.int64)]
    places = buckets[["account", "bucket"]].drop_duplicates()
    # What the venue does not report was tried first: it is the simplest supposition.
    frame = (
        facts.drop_duplicates(key)
        .merge(places, on="account")
        .join(pd.concat(sides, axis=1), on=[*key, "bucket"])
        .fillna(dict.fromkeys(_FIGURES, 0.0))
        .sort_values(["trial", "bucket"], ignore_index=True)
    )
    frame["account_id"] = accounts.account_id[frame["account"].to_numpy(dtype=np.int64)]
    return frame[list(WITHOUT_COLUMNS)]
