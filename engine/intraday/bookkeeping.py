"""Holdings, books and trust of all netting sets, kept together as reports come in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.arrays import Int64Array1D
from engine.errors import ModelInputError
from engine.intraday.changes import (
    CollateralReport,
    Degradation,
    Fill,
    OrderReport,
    PositionReport,
    TransferReport,
)
from engine.intraday.degraded import is_end
from engine.intraday.fills import after_fill
from engine.intraday.holdings import Holdings, InFlight
from engine.intraday.lasting import Lasting
from engine.intraday.layout import Layout
from engine.intraday.live_market import LiveMarket, Moved
from engine.intraday.pledged import capped
from engine.intraday.pledges import Pledges
from engine.intraday.reported import pledges_of, set_holdings
from engine.intraday.set_books import books_of_set
from engine.intraday.trust import Trust, members_of, places_of, scopes_of
from engine.reconciliation import SOURCES


class Bookkeeping:
    """What is held and what of it is trusted; every report lays its netting set out anew.

    Attributes
    ----------
    market : LiveMarket
    holdings : Holdings
    layout : Layout
    trust : Trust
    pledges : Pledges
    """

    def __init__(
        self,
        market: LiveMarket,
        holdings: Holdings,
        layout: Layout,
        trust: Trust,
        pledges: Pledges,
        lasting: Lasting,
    ) -> None:
        self.market, self.holdings, self.layout, self.trust = market, holdings, layout, trust
        self.pledges = pledges
        self._lasting = lasting
        self._asset_row = {asset: row for row, asset in enumerate(market.prepared.assets)}
        names = market.prepared.instrument_id
        self._row_of: Mapping[str, int] = {str(name): row for row, name in enumerate(names)}

    def fill(self, fill: Fill) -> int:
        """Take in an execution and return its netting set."""
        netting_set = self.holdings.owner(fill.account_id, fill.owner)
        for source in _places(fill.sources, self.holdings.position_sources):
            after_fill(self.holdings, self.market, netting_set, fill, source)
        return self._changed(netting_set)

    def position(self, report: PositionReport) -> int:
        """Take in a position as it stands and return its netting set."""
        holdings = self.holdings
        if not np.isfinite(report.quantity):
            raise ModelInputError(
                f"position of {report.account_id} in {report.instrument_id} is {report.quantity}, "
                "limit finite",
                identifier=report.account_id,
                value=report.quantity,
            )
        netting_set = holdings.owner(report.account_id, report.owner)
        for source in _places(report.sources, holdings.position_sources):
            row = holdings.position(netting_set, report.account_id, report.instrument_id, source)
            settled = report.settled_price
            if settled is None:
                settled = self._mark_of(report.instrument_id)
                if row >= 0:
                    settled = float(holdings.positions["settled_price"][row])
            key = (report.account_id, report.instrument_id, source)
            holdings.set_position(netting_set, key, report.quantity, settled)
        return self._changed(netting_set)

    def order(self, report: OrderReport) -> int:
        """Take in an open order as it stands and return its netting set."""
        if not 0.0 <= report.remaining_quantity < np.inf or report.side not in ("buy", "sell"):
            raise ModelInputError(
                f"order {report.order_id} of {report.account_id}: {report.side} "
                f"{report.remaining_quantity}, needs buy or sell of a finite quantity >= 0",
                identifier=report.order_id,
                value=report.remaining_quantity,
            )
        return self._changed(self.holdings.set_order(report))

    def collateral(self, report: CollateralReport) -> int:
        """Take in what lies at a location and return its netting set."""
        _require_amount(report.netting_set_id, report.asset, report.quantity)
        holdings, netting_set = self.holdings, self.known(report.netting_set_id)
        key = (report.location, report.asset, report.state)
        is_distrusted = self.trust.haircut_of(places_of(holdings, report.location)) >= 0.0
        for source in _places(report.sources, holdings.collateral_sources or (0,)):
            row = holdings.set_collateral(netting_set, key, source, report.quantity)
            if row >= 0 and is_distrusted:
                # What was not there when a place was last trusted is not there now.
                holdings.collateral["cap"][row] = 0.0
        return self._changed(netting_set)

    def transfer(self, report: TransferReport) -> int:
        """Take in how far a transfer is and return its netting set."""
        _require_amount(report.netting_set_id, report.asset, report.quantity)
        netting_set = self.known(report.netting_set_id)
        holdings = self.holdings
        said = InFlight(
            netting_set,
            holdings.locations.code(report.source),
            holdings.assets.code(report.asset),
            report.quantity,
        )
        known = holdings.in_flight.get(report.transfer_key)
        if known is not None and known != said:
            raise ModelInputError(
                f"transfer {report.transfer_key} was of {known.quantity:g} "
                f"{holdings.assets[known.asset]} of {holdings.netting_sets[known.netting_set]}, "
                f"now of {report.quantity:g} {report.asset} of {report.netting_set_id}: a key "
                "stands for one transfer for ever",
                identifier=report.transfer_key,
                value=report.quantity,
                limit=f"{known.quantity:g}",
            )
        if report.state == "sent":
            holdings.in_flight[report.transfer_key] = said
        else:
            holdings.in_flight.pop(report.transfer_key, None)
        return self._changed(netting_set)

    def members(self, degradation: Degradation) -> Int64Array1D:
        """Return the netting sets that a state touches; none where it ends."""
        if is_end(degradation):
            return np.zeros(0, dtype=np.int64)
        return members_of(degradation, self.holdings, self.layout, self.market.prepared)

    def degrade(self, degradation: Degradation, members: Int64Array1D) -> Int64Array1D:
        """Take in what is not trusted, or trusted again; return the netting sets it touches."""
        touched = self.trust.apply(degradation, members)
        for netting_set in capped(self.holdings, self.trust, degradation).tolist():
            self._lay_out(netting_set)
        return touched

    def with_usability(self, moved: Moved) -> Int64Array1D:
        """Lay out anew whoever holds what can be priced now and could not, or the other way."""
        table, orders = self.holdings.positions, self.holdings.orders
        owners: set[int] = set()
        for row in moved.usability.tolist():
            owners |= set(table["owner"][table["instrument"] == row].tolist())
            name = str(self.market.prepared.instrument_id[row])
            owners |= {
                netting_set
                for netting_set, own in orders.items()
                if any(order.instrument_id == name for order in own.values())
            }
        for netting_set in sorted(owners):
            self._lay_out(netting_set)
        return np.array(sorted(owners), dtype=np.int64)

    def known(self, netting_set_id: str) -> int:
        """Return the row of a netting set.

        Raises
        ------
        ModelInputError
            If it was not in the book when that was opened.
        """
        netting_set = self.holdings.netting_sets.find(netting_set_id)
        if netting_set < 0:
            raise ModelInputError(
                f"netting set {netting_set_id} is not in the book: open the book anew with its "
                "agreement",
                identifier=netting_set_id,
            )
        return netting_set

    def _changed(self, netting_set: int) -> int:
        self._lay_out(netting_set)
        market = self.market.prepared
        scopes = scopes_of(self.holdings, self.layout, market, netting_set)
        self.trust.join(netting_set, scopes)
        return netting_set

    def _mark_of(self, instrument_id: str) -> float:
        row = self._row_of.get(instrument_id)
        mark = np.nan if row is None else float(self.market.instruments.mark_price[row])
        return mark if mark > 0.0 else 1.0

    def _lay_out(self, netting_set: int) -> None:
        found = set_holdings(self.holdings, self.trust, netting_set)
        books = books_of_set(found, self.market.prepared, self._row_of)
        lasting, layout = self._lasting, self.layout
        layout.replace(netting_set, books)
        self.pledges.replace(netting_set, pledges_of(found, self._asset_row))
        texts = (books.hold, lasting.hold.get(netting_set, ""))
        layout.hold[netting_set] = "; ".join(text for text in texts if text)
        texts = (books.failure, lasting.failure.get(netting_set, ""))
        layout.failure[netting_set] = "; ".join(text for text in texts if text)
        layout.has_break[netting_set] = books.has_break or lasting.has_break[netting_set]


def _places(named: tuple[str, ...], reporting: tuple[int, ...]) -> tuple[int, ...]:
    unknown = [name for name in named if name not in SOURCES]
    if unknown:
        raise ModelInputError(
            f"source {unknown[0]!r} is none of {', '.join(SOURCES)}", identifier=unknown[0]
        )
    return tuple(SOURCES.index(name) for name in named) or reporting


def _require_amount(netting_set_id: str, asset: str, quantity: float) -> None:
    if not 0.0 <= quantity < np.inf:
        raise ModelInputError(
            f"{netting_set_id}: {quantity} {asset}, limit finite and >= 0",
            identifier=netting_set_id,
            value=quantity,
            limit=">= 0",
        )
