"""The like contract at another venue: whose tiers a position that is moved there would have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from engine.contract_symbols import CONTRACT_SYMBOLS, ContractSymbols
from engine.errors import ParameterError
from engine.venue_rules import EVERY_SCOPE, AccountMode, VenueRules


@dataclass(frozen=True, slots=True)
class LikeContracts:
    """Symbols that positions go by at another venue, and those that it lists nothing for.

    Attributes
    ----------
    symbol : dict of str to str
        The venue's symbol by instrument; absent where the position needs none.
    refused : dict of str to str
        By instrument, the sentence that says what the venue does not list.
    """

    symbol: dict[str, str]
    refused: dict[str, str]


def like_contracts(
    instruments: pd.DataFrame, names: list[str], venue: str, mode: AccountMode, rules: VenueRules
) -> LikeContracts:
    """Return the like contracts of ``names`` at ``venue``: same underlying, kind and payoff.

    Of a stable-settled contract the settlement asset may differ, of a dated one the day: tiers
    are of the family. What the market lists at the venue comes first, the nearest expiry before
    others; a market that lists no like contract may just not know, so the venue's own naming
    (``contract_symbols``) is asked next, and whether the rule book has parameters of that symbol.
    """
    found = LikeContracts({}, {})
    if mode.futures_scope != "symbol":
        return found
    listed = instruments[instruments["venue"] == venue]
    facts = instruments.set_index("instrument_id")
    for name in names:
        if name not in facts.index:
            continue
        row = {str(key): value for key, value in facts.loc[name].items()}
        if row["venue"] == venue or row["kind"] not in ("perpetual", "future"):
            continue
        symbol = _from_listing(row, listed) or _from_rules(row, venue, mode, rules)
        if symbol:
            found.symbol[name] = symbol
        else:
            kind = f"{row['payoff']} {row['kind']} on {row['underlying']}"
            found.refused[name] = f"{name}: {venue} lists no {kind}"
    return found


def _from_listing(row: dict[str, Any], listed: pd.DataFrame) -> str:
    alike = listed[
        (listed["underlying"] == row["underlying"])
        & (listed["kind"] == row["kind"])
        & (listed["payoff"] == row["payoff"])
    ]
    if alike.empty:
        return ""
    distance = (alike["expiry_utc"] - row["expiry_utc"]).abs().fillna(pd.Timedelta(0))
    ordered = alike.assign(
        distance=distance, other=alike["settlement_asset"] != row["settlement_asset"]
    ).sort_values(["distance", "other", "venue_symbol"])
    return str(ordered["venue_symbol"].iloc[0])


def _from_rules(row: dict[str, Any], venue: str, mode: AccountMode, rules: VenueRules) -> str:
    try:
        symbols = rules.parameters(venue, CONTRACT_SYMBOLS, EVERY_SCOPE, ContractSymbols)
    except ParameterError:
        # Nobody has said how the venue names contracts: the position keeps its own symbol.
        return str(row["venue_symbol"])
    like = symbols.of(str(row["kind"]), str(row["payoff"]))
    if like is None:
        return ""
    symbol = like.symbol(str(row["underlying"]), _day(row["expiry_utc"]))
    try:
        rules.find(venue, mode.futures_model, symbol)
    except ParameterError:
        return ""
    return symbol


def _day(expiry: Any) -> date | None:
    return None if pd.isna(expiry) else pd.Timestamp(expiry).date()
