"""What a margin assumes where the market or the rule book says nothing."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import ObjectArray1D
from engine.margin.tiered import NotionalTiers
from engine.venue_accounts.by_position import lacks_open_interest
from engine.venue_accounts.governing import MarginedAccounts
from engine.venue_accounts.terms import DERIVE_PORTFOLIO, DERIVE_STANDARD

NOTES_MAX: Final = 5
_TOO_LARGE: Final = "{} is {:,.0f}, above the {:,.0f} that {} admits: the last tier's rates"
_NO_OPEN_INTEREST: Final = "open interest of {} is not known: initial margin is its whole notional"

_BY_MODEL: Final = {
    DERIVE_PORTFOLIO: "oracles are sure and rates zero; coins in collateral offset no position",
    DERIVE_STANDARD: "oracles are sure",
}
"""Models that ask for more than a close knows."""


def component_notes(accounts: MarginedAccounts, table: pd.DataFrame) -> ObjectArray1D:
    """Return what each row of ``charge_table`` assumes, or empty text."""
    instrument = table["instrument"].to_numpy(dtype=np.int64)
    sets = accounts.market.terms.sets
    models = [sets[at].model if at >= 0 else "" for at in table["set"].tolist()]
    found = np.array([_BY_MODEL.get(model, "") for model in models], dtype=object)
    lacks = lacks_open_interest(accounts.market, instrument, table["set"].to_numpy(dtype=np.int64))
    for row in np.flatnonzero(lacks).tolist():
        name = accounts.market.instruments.instrument_id[instrument[row]]
        found[row] = _NO_OPEN_INTEREST.format(name)
    for row, text in _too_large(accounts, table).items():
        found[row] = text
    return found


def _too_large(accounts: MarginedAccounts, table: pd.DataFrame) -> dict[int, str]:
    """Return what is said of positions above the largest that the venue admits, by row."""
    market, placed = accounts.market, accounts.found.placed
    limits = {
        row: each.parameters.notional_max
        for row, each in enumerate(market.terms.sets)
        if isinstance(each.parameters, NotionalTiers) and each.parameters.notional_max is not None
    }
    if not limits:
        return {}
    account = accounts.books.book_account[placed.book]
    governs = np.flatnonzero(accounts.initial_book[account] == placed.book)
    held = dict(
        zip(
            zip(account[governs].tolist(), placed.instrument[governs].tolist(), strict=True),
            placed.quantity[governs].tolist(),
            strict=True,
        )
    )
    unit = market.instruments.notional()
    found: dict[int, str] = {}
    keys = table[["account", "instrument", "set"]].to_numpy(dtype=np.int64)
    for row, (owner, instrument, chosen) in enumerate(keys.tolist()):
        size = abs(held.get((owner, instrument), 0.0)) * float(unit[instrument])
        if chosen in limits and size > limits[chosen]:
            name = market.instruments.instrument_id[instrument]
            label = market.terms.sets[chosen].label
            found[row] = _TOO_LARGE.format(name, size, limits[chosen], label)
    return found


def account_notes(
    accounts: MarginedAccounts, components: pd.DataFrame, uncounted: dict[int, str]
) -> ObjectArray1D:
    """Return what each account's figures assume, or empty text.

    Parameters
    ----------
    components : pandas.DataFrame
        ``VenueMargins.components``.
    uncounted : dict of int to str
        By account, assets that count nothing because the rule book has no rate of them.
    """
    stated = components[components["note"] != ""]
    by_account = stated.groupby("account_id", sort=True)["note"].unique()
    found = np.full(accounts.books.n_accounts, "", dtype=object)
    for row, name in enumerate(accounts.account_id.tolist()):
        notes = [str(note) for note in by_account.get(name, [])]
        more = len(notes) - NOTES_MAX
        texts = [*notes[:NOTES_MAX], *([f"and {more} more"] if more > 0 else [])]
        if row in uncounted:
            texts.append(f"no collateral rate of {uncounted[row]}: it counts nothing")
        found[row] = "; ".join(texts)
    return found
