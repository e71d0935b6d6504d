"""One book under the rules of several venues and modes: what each would demand of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import pandas as pd

from engine.errors import ParameterError
from engine.rules import RuleBook
from engine.snapshot import CollateralSet, PositionSet, Snapshot
from engine.venue_accounts.assembly import VenueMargins, venue_margins
from engine.venue_accounts.governing import FAILED
from engine.venue_accounts.like_contracts import LikeContracts, like_contracts
from engine.venue_accounts.margins import REASONS_MAX

_FIGURES: Final = (
    "initial_margin", "maintenance_margin", "demand", "maintenance_demand", "margin_ratio",
)  # fmt: skip


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

    Contracts keep their terms and marks and are margined as if they were listed at that venue.
    Where its parameters go by its own symbols, a position has those of the like contract there; a
    position for which there is none is refused by name, and its regime fails.

    Parameters
    ----------
    book : pandas.DataFrame
        Columns instrument_id and quantity (signed contracts); one row per instrument.
    regimes : sequence of Regime
        Where the book is moved to.
    """
    return {regime: _moved(snapshot, book, rules, regime) for regime in regimes}


def _moved(snapshot: Snapshot, book: pd.DataFrame, rules: RuleBook, regime: Regime) -> VenueMargins:
    held = book["instrument_id"].astype(str).tolist()
    like = _like(snapshot, held, rules, regime)
    listed = snapshot.instruments.assign(
        venue=pd.Series(regime.venue, index=snapshot.instruments.index, dtype="str"),
        venue_symbol=_symbols(snapshot.instruments, like),
    )
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
    found = venue_margins(
        replace(snapshot, instruments=listed, faults=snapshot.faults.iloc[:0]),
        PositionSet(positions, nothing, account),
        _no_collateral(),
        rules,
    )
    return _refused(found, like)


def _no_collateral() -> CollateralSet:
    texts = ("source", "netting_set_id", "location", "asset", "state")
    frame = pd.DataFrame({name: pd.Series([], dtype="str") for name in texts})
    return CollateralSet(frame.assign(quantity=pd.Series([], dtype="float64")))


def _like(snapshot: Snapshot, held: list[str], rules: RuleBook, regime: Regime) -> LikeContracts:
    try:
        mode = rules.venues.account_mode(regime.venue, regime.account_mode)
    except ParameterError:
        # An unknown mode is said once, by the account.
        return LikeContracts({}, {})
    return like_contracts(snapshot.instruments, held, regime.venue, mode, rules.venues)


def _symbols(instruments: pd.DataFrame, like: LikeContracts) -> pd.Series:
    names, own = instruments["instrument_id"], instruments["venue_symbol"]
    symbols = [like.symbol.get(str(n), str(o)) for n, o in zip(names, own, strict=True)]
    return pd.Series(symbols, index=instruments.index, dtype="str")


def _refused(found: VenueMargins, like: LikeContracts) -> VenueMargins:
    """Return the margins as failed where the venue lists no like contract of a position."""
    if not like.refused:
        return found
    shown = list(like.refused.values())[:REASONS_MAX]
    more = len(like.refused) - len(shown)
    reason = "; ".join([*shown, *([f"and {more} more"] if more else [])])
    margins = found.margins.assign(
        status=pd.Series([FAILED], dtype="str"),
        reason=pd.Series([reason], dtype="str"),
        evidence=pd.Series([""], dtype="str"),
        **dict.fromkeys(_FIGURES, float("nan")),
    )
    # Parts of what has no sum would read as one.
    return VenueMargins(
        margins=margins,
        **{
            each.name: getattr(found, each.name).iloc[:0]
            for each in fields(VenueMargins)
            if each.name != "margins"
        },
    )
