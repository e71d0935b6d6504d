"""What the venues would liquidate of a netting set's accounts, at the marks of the close."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

import numpy as np
import pandas as pd

from engine.errors import ParameterError
from engine.reduction.hedging import hedge_instruments
from engine.reduction.waterfall import (
    AccountState,
    HedgeOf,
    LiquidationRules,
    Waterfall,
    waterfall,
)
from engine.snapshot import CollateralSet, PositionSet
from engine.venue_accounts.assembly import venue_margins
from engine.venue_rules import Evidence
from engine.whatif import PreparedBook

LIQUIDATION: Final = "liquidation"
"""Model of the rule book that says how a venue liquidates; its scope is the account mode."""
AccountStanding: TypeAlias = Literal["covered", "below", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountWaterfall:
    """One venue account: where it stands, and what the venue would do.

    ``waterfall`` is None where the account is covered, or ``reason`` says why it is unknown.
    ``evidence`` grades the venue's rules.
    """

    account_id: str
    venue: str
    standing: AccountStanding
    maintenance_margin: float
    equity: float
    waterfall: Waterfall | None = None
    evidence: Evidence | None = None
    reason: str = ""


def account_waterfalls(book: PreparedBook) -> tuple[AccountWaterfall, ...]:
    """Return each venue account of a prepared netting set, in order of its name.

    Positions are closed at the marks, so that equity stays what it is but for the fees. An account
    whose margin, equity or venue's rules are not known is said to be so, never to be covered.
    """
    if book.venue is None:
        return ()
    rows = book.venue.before.margins.sort_values("account_id")
    return tuple(_of_account(book, row) for _, row in rows.iterrows())


def _of_account(book: PreparedBook, row: pd.Series) -> AccountWaterfall:
    name, venue = str(row["account_id"]), str(row["venue"])
    maintenance, equity = float(row["maintenance_margin"]), float(row["equity"])

    def told(
        standing: AccountStanding,
        reason: str = "",
        found: Waterfall | None = None,
        evidence: Evidence | None = None,
    ) -> AccountWaterfall:
        return AccountWaterfall(
            account_id=name, venue=venue, standing=standing, maintenance_margin=maintenance,
            equity=equity, waterfall=found, evidence=evidence, reason=reason,
        )  # fmt: skip

    if not np.isfinite(maintenance):
        return told("unknown", str(row["reason"]) or "the venue's margin is not known")
    if maintenance > 0.0 and not np.isfinite(equity):
        return told("unknown", "equity at the venue is not known")
    if maintenance == 0.0 or maintenance <= equity:
        return told("covered")
    mode = str(row["account_mode"])
    try:
        rules = book.rules.venues.parameters(venue, LIQUIDATION, mode, LiquidationRules)
    except ParameterError as error:
        return told("below", str(error))
    held = {
        instrument: by_account[name]
        for instrument, by_account in book.holdings.by_instrument.items()
        if by_account.get(name)
    }
    exposure = {
        instrument: abs(float(book.market.delta_notional[book.instruments.row_of[instrument]]))
        for instrument in held
    }
    hedges = hedge_instruments(book, name, venue) if rules.hedges_first else ()
    exposure |= {
        instrument: abs(float(book.market.delta_notional[book.instruments.row_of[instrument]]))
        for instrument in hedges
    }
    margins = _Margins(book, name, equity)
    found = waterfall(held, exposure, rules, margins.of, _hedge_of(book, hedges))
    evidence = book.rules.venues.find(venue, LIQUIDATION, mode).evidence
    return told("below", found=found, evidence=evidence)


def _hedge_of(book: PreparedBook, hedges: tuple[str, ...]) -> HedgeOf:
    """Return what takes the direction of each hedge's underlying off, at the marks."""
    market, rows = book.market, book.instruments.row_of

    def opened(left: Mapping[str, float]) -> Mapping[str, float]:
        found = {}
        for hedge in hedges:
            underlying = market.underlying[rows[hedge]]
            net = sum(
                quantity * float(market.delta_notional[rows[name]])
                for name, quantity in sorted(left.items())
                if market.underlying[rows[name]] == underlying
            )
            lot = book.instruments.lot_size[rows[hedge]]
            wanted = -net / float(market.delta_notional[rows[hedge]])
            found[hedge] = float(np.trunc(wanted / lot) * lot)
        return found

    return opened


class _Margins:
    """The venue's maintenance margin of one account with other quantities in it."""

    def __init__(self, book: PreparedBook, account_id: str, equity: float) -> None:
        self._book, self._account_id, self._equity = book, account_id, equity
        own = book.positions
        positions = own.positions[own.positions["account_id"] == account_id]
        first = sorted(positions["source"].unique())[:1]
        self._positions = PositionSet(
            positions=positions[positions["source"].isin(first)],
            open_orders=own.open_orders[own.open_orders["account_id"] == account_id],
            accounts=own.accounts[own.accounts["account_id"] == account_id],
            venue_margin=own.venue_margin[own.venue_margin["account_id"] == account_id],
        )

    def of(self, left: Mapping[str, float], has_orders: bool) -> AccountState:
        """Return margin with ``left`` contracts; see ``waterfall.MarginOf``."""
        rows = self._positions.positions
        held = rows[rows["instrument_id"].isin(list(left))]
        new = [name for name in left if name not in set(rows["instrument_id"])]
        # A hedge is a row like the account's others, in an instrument of its own.
        opened = rows.iloc[[0] * len(new)].assign(instrument_id=new)
        rows = pd.concat([held, opened], ignore_index=True)
        rows = rows.assign(quantity=[left[str(name)] for name in rows["instrument_id"]])
        orders = self._positions.open_orders
        positions = replace(
            self._positions, positions=rows, open_orders=orders if has_orders else orders.iloc[:0]
        )
        nothing = CollateralSet(_no_holdings())
        found = venue_margins(self._book.snapshot, positions, nothing, self._book.rules).margins
        is_here = found["account_id"] == self._account_id
        margin = float(found.loc[is_here, "maintenance_margin"].sum()) if is_here.any() else 0.0
        if not left and (orders.empty or not has_orders):
            margin = 0.0
        return AccountState(maintenance_margin=margin, equity=self._equity)


def _no_holdings() -> pd.DataFrame:
    columns = ("source", "netting_set_id", "location", "asset", "state", "quantity")
    frame = pd.DataFrame({name: pd.Series(dtype="str") for name in columns})
    return frame.astype({"quantity": "float64"})
