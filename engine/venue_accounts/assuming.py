"""What a margin assumes where the market or the rule book says nothing."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from engine.arrays import ObjectArray1D
from engine.venue_accounts.by_position import lacks_open_interest
from engine.venue_accounts.governing import MarginedAccounts
from engine.venue_accounts.terms import DERIVE_PORTFOLIO, DERIVE_STANDARD

NOTES_MAX: Final = 5
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
