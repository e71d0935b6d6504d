"""Where a hedge may come first: accounts that the venue margins by portfolio, and with what.

A venue that revalues futures and options together in scenarios lets a position that offsets
another one count. There the cheapest way out of a breach may be to take the direction off first,
with the instrument that trades best, and to close options in peace.
"""

from __future__ import annotations

from typing import Final

from engine.errors import ParameterError
from engine.venue_accounts.terms import DERIVE_PORTFOLIO, SCENARIO_GRID
from engine.venue_rules import VenueRules
from engine.whatif import PreparedBook

PORTFOLIO_MODELS: Final = frozenset({SCENARIO_GRID, DERIVE_PORTFOLIO})
"""Models in which a position offsets another one of the same underlying."""


def is_portfolio_margined(rules: VenueRules, venue: str, mode: str) -> bool:
    """Return whether an account in ``mode`` margins futures and options together."""
    try:
        found = rules.account_mode(venue, mode)
    except ParameterError:
        return False
    return found.futures_model == found.option_model and found.futures_model in PORTFOLIO_MODELS


def portfolio_accounts(book: PreparedBook) -> tuple[tuple[str, str], ...]:
    """Return account and venue of the netting set's accounts that are margined by portfolio."""
    if book.venue is None:
        return ()
    rows = book.venue.before.margins.sort_values("account_id")
    return tuple(
        (str(row["account_id"]), str(row["venue"]))
        for _, row in rows.iterrows()
        if is_portfolio_margined(book.rules.venues, str(row["venue"]), str(row["account_mode"]))
    )


def hedge_instruments(book: PreparedBook, account_id: str, venue: str) -> tuple[str, ...]:
    """Return what each underlying of an account is hedged with: a perpetual, else a future.

    Only underlyings on which options are held: without them a hedge is a reduction by another
    name, at twice the notional.
    """
    table = book.snapshot.instruments
    kinds = dict(zip(table["instrument_id"].astype(str), table["kind"].astype(str), strict=True))
    settled = dict(
        zip(table["instrument_id"].astype(str), table["settlement_asset"].astype(str), strict=True)
    )
    market, rows = book.market, book.instruments
    found = []
    held = [
        name
        for name, by_account in sorted(book.holdings.by_instrument.items())
        if by_account.get(account_id) and kinds[name] == "option"
    ]
    for underlying in sorted({int(market.underlying[rows.row_of[name]]) for name in held}):
        coins = {settled[name] for name in held
                 if market.underlying[rows.row_of[name]] == underlying}  # fmt: skip
        offered = [
            (kinds[name] != "perpetual", settled[name] not in coins, name)
            for name, row in rows.row_of.items()
            if rows.venue[row] == venue
            and kinds[name] in ("perpetual", "future")
            and market.underlying[row] == underlying
            and rows.has_finite_pnl[row]
            and market.delta_notional[row]
        ]
        if offered:
            found.append(min(offered)[2])
    return tuple(found)
