"""One book under the rules of several venues and modes: what each would demand of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from engine.rules import RuleBook
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from engine.venue_accounts.assembly import VenueMargins, venue_margins


@dataclass(frozen=True, slots=True)
class Regime:
    """A venue and one of its margin modes."""

    venue: str
    account_mode: str

    @property
    def label(self) -> str:
        """Return ``venue/mode``."""
        return f"{self.venue}/{self.account_mode}"


def margins_elsewhere(
    snapshot: Snapshot, book: pd.DataFrame, rules: RuleBook, regimes: Sequence[Regime]
) -> dict[Regime, VenueMargins]:
    """Return the margins of one book by each regime, every position in one account there.

    Contracts keep their terms and marks and are margined as if they were listed at that venue. A
    model whose parameters go by the venue's own symbols knows none for another venue's, so such a
    regime fails and says which.

    Parameters
    ----------
    book : pandas.DataFrame
        Columns instrument_id and quantity (signed contracts); one row per instrument.
    regimes : sequence of Regime
        Where the book is moved to.
    """
    return {regime: _moved(snapshot, book, rules, regime) for regime in regimes}


def _moved(snapshot: Snapshot, book: pd.DataFrame, rules: RuleBook, regime: Regime) -> VenueMargins:
    listed = snapshot.instruments.assign(
        venue=pd.Series(regime.venue, index=snapshot.instruments.index, dtype="str")
    )
    held = book["instrument_id"].astype(str).tolist()
    marks = snapshot.marks.set_index("instrument_id")["mark_price"]
    facts = {
        "account_id": regime.label,
        "client_id": "book",
        "netting_set_id": "book",
        "venue": regime.venue,
    }
    positions = pd.DataFrame(
        {
            "source": pd.Series("venue", index=book.index, dtype="str"),
            **{
                name: pd.Series(text, index=book.index, dtype="str") for name, text in facts.items()
            },
            "instrument_id": pd.Series(held, index=book.index, dtype="str"),
            "quantity": book["quantity"].astype("float64"),
            # Settled at the mark: what the book has gained before is not the question.
            "settled_price": marks.reindex(held).to_numpy(),
        }
    )
    account = pd.DataFrame(
        {
            **{name: pd.Series([text], dtype="str") for name, text in facts.items()},
            "effective_date": pd.Series([pd.Timestamp(snapshot.business_date)]),
            "account_mode": pd.Series([regime.account_mode], dtype="str"),
            "leverage": [float("nan")],
        }
    )
    nothing = positions.iloc[:0].assign(
        order_id=pd.Series([], dtype="str"),
        side=pd.Series([], dtype="str"),
        remaining_quantity=pd.Series([], dtype="float64"),
    )
    collateral = pd.DataFrame(
        {
            name: pd.Series([], dtype="str")
            for name in ("source", "netting_set_id", "location", "asset", "state")
        }
    ).assign(quantity=pd.Series([], dtype="float64"))
    return venue_margins(
        replace(snapshot, instruments=listed, faults=snapshot.faults.iloc[:0]),
        PositionSet(positions, nothing, account),
        CollateralSet(collateral),
        rules,
    )
